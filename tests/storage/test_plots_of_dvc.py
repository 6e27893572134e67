"""The `plots` at the top of `dvc.yaml`: ours come and go, the user's own stay as they are."""

from __future__ import annotations

import pytest

from towpath.backends.dvc.dvc_plots import merge_plots
from towpath.documents import parse_yaml, plain_data
from towpath.errors import DeclarationError

OURS = {"training-fit-curve": {"x": "n", "y": {"artifacts/training/fit/c.csv": ["a", "b"]}}}
THEIRS = """\
stages:
  mine: {cmd: echo}
# Mine
plots:
  # a picture
  - my.png
  - both:
      y: {data/x.csv: [a, b]}   # flow
artifacts:
  m: {path: m}
"""


@pytest.mark.parametrize(
    "before", ["", "stages:\n  a: {cmd: x}\n", "stages: {}", "plots:\nstages: {}\n", THEIRS]
)
def test_ours_come_and_go(before: str) -> None:
    merged = merge_plots(before, "training", OURS)
    assert plain_data(parse_yaml(merged, "x").node)["plots"][-1] == OURS
    assert merge_plots(merged, "training", OURS) == merged
    assert merge_plots(merged, "other", {}) == merged
    left = plain_data(parse_yaml(merge_plots(merged, "training", {}), "x").node) or {}
    assert (left.get("plots") or []) == (plain_data(parse_yaml(THEIRS, "x").node)["plots"]
                                         if before == THEIRS else [])  # fmt: skip
    if before == THEIRS:
        assert merge_plots(merged, "training", {}) == before


@pytest.mark.parametrize("before", ["plots: [a.png]\n", "plots: {}\n", "plots:\n-\n  a: {}\n"])
def test_another_spelling_is_refused_and_not_lost(before: str) -> None:
    with pytest.raises(DeclarationError, match="an entry a line"):
        merge_plots(before, "training", OURS)
    assert merge_plots(before, "training", {}) == before
