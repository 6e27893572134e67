"""Samples that Git LFS keeps: what Git has is a pointer, which is never taken for data."""

from __future__ import annotations

import hashlib
import io

import pandas
import pytest

from towpath.errors import StepFailed
from towpath.steps import formats

TABLE = pandas.DataFrame({"a": [0.0, 1.0], "b": [0.0, 0.0], "expected": [0.0, 3.0]})
GATE = "{kind: golden, samples: golden.%s, absolute: 0.01}"


def written(extension):
    made = io.BytesIO()
    TABLE.to_parquet(made) if extension == "parquet" else TABLE.to_csv(made, index=False)
    return made.getvalue()


def pointer(content, version="https://git-lfs.github.com/spec/v1"):
    digest = hashlib.sha256(content).hexdigest()
    return f"version {version}\noid sha256:{digest}\nsize {len(content)}\n"


def kept(desk, content, under=None):
    digest = hashlib.sha256(under or content).hexdigest()
    place = desk.root / ".git/lfs/objects" / digest[:2] / digest[2:4] / digest
    place.parent.mkdir(parents=True)
    place.write_bytes(content)


@pytest.mark.parametrize("extension", ["parquet", "csv"])
def test_a_pointer_whose_bytes_are_here_stands_for_them(desk, extension):
    content = written(extension)
    kept(desk, content)
    verdict = desk.one(GATE % extension, {f"golden.{extension}": pointer(content)})
    assert verdict.passed, verdict.detail
    assert verdict.value == "2 of 2"


@pytest.mark.parametrize("extension", ["parquet", "csv"])
def test_a_pointer_whose_bytes_are_elsewhere_is_called_one(desk, extension):
    content = written(extension)
    verdict = desk.one(GATE % extension, {f"golden.{extension}": pointer(content)})
    assert not verdict.passed
    assert verdict.detail == (
        f"cannot be evaluated: golden.{extension} is a pointer of Git LFS, and its bytes are not "
        "in this clone (git lfs pull (and git lfs install, once on each machine))"
    )


def test_bytes_that_are_not_those_of_the_pointer_are_not_read(desk):
    content = written("csv")
    kept(desk, content.replace(b"3.0", b"9.0"), under=content)
    verdict = desk.one(GATE % "csv", {"golden.csv": pointer(content)})
    assert not verdict.passed
    assert "in Git LFS are not those that its pointer says" in verdict.detail


def test_a_pointer_that_says_no_digest(desk):
    text = "version https://git-lfs.github.com/spec/v1\nsize 3\n"
    verdict = desk.one(GATE % "csv", {"golden.csv": text})
    assert "golden.csv is a pointer of Git LFS that says no digest" in verdict.detail


def test_a_step_does_not_take_a_pointer_for_a_table(tmp_path):
    path = tmp_path / "raw.csv"
    path.write_text(pointer(b"x"))
    with pytest.raises(StepFailed, match=r"raw\.csv is a pointer of Git LFS, not its bytes"):
        formats.read_file(path, formats.ReadRequest("raw.csv"))
