"""The same figure gives the same bytes: returned, or saved by the step itself."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pandas
import pytest
from msgspec.structs import replace

from towpath.steps import formats, step_worker

needs_matplotlib = pytest.mark.skipif(not find_spec("matplotlib"), reason="no matplotlib here")

DRAW = """
    from pathlib import Path

    def draw(kind, svg: Path, pdf: Path, ps: Path, png: Path):
        import matplotlib.pyplot as plt
        if kind == "defaults":
            plt.rcdefaults()
        if kind == "style":
            plt.style.use("ggplot")
        figure, axes = plt.subplots()
        axes.plot([1, 2, 3], [3, 1, 2], "o-", label="a")
        axes.fill_between([1, 2], [0, 1], hatch="/")
        axes.legend()
        for path in (svg, pdf, ps, png):
            figure.savefig(path)
        return figure

    def own(svg: Path):
        import matplotlib
        matplotlib.rcParams["svg.hashsalt"] = "mine"
        svg.write_text(matplotlib.rcParams["svg.hashsalt"])

    def without():
        import sys
        return "matplotlib" in sys.modules
"""
OUTPUTS = ["svg.svg", "pdf.pdf", "ps.ps", "png.png", "back.svg"]


@needs_matplotlib
@pytest.mark.parametrize(
    ("kind", "libraries"),
    [("plain", ()), ("defaults", ("matplotlib.pyplot",)), ("style", ("matplotlib.pyplot",))],
)
def test_a_figure_that_a_step_saves_has_the_same_bytes(project, warm, kind, libraries):
    project.steps(DRAW)
    warm()
    first, second = (
        project.call(replace(project.order("draw", OUTPUTS, {"kind": kind}), libraries=libraries))
        for _ in range(2)
    )
    assert first.outputs == second.outputs


@needs_matplotlib
def test_a_step_s_own_setting_holds_and_nobody_imports_it_for_others(project, warm):
    project.steps(DRAW)
    warm()
    made = project.carry_out("own", ["svg.svg"])
    assert project.read(made.outputs["svg"]) == b"mine"
    assert project.carry_out("without", ["it.json"]).values == {"it": False}


def test_a_package_that_was_imported_before_is_set_up_too(monkeypatch):
    class Late:
        rcParams = {"svg.hashsalt": None}  # noqa: RUF012, N815 - matplotlib's name
        rcParamsDefault = {"svg.hashsalt": "project's"}  # noqa: RUF012, N815

    monkeypatch.setitem(sys.modules, "matplotlib", Late)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    step_worker.install_figure_settings()
    assert Late.rcParams["svg.hashsalt"] == "towpath"
    assert Late.rcParamsDefault["svg.hashsalt"] == "project's"


def test_a_styled_table_has_the_same_page(tmp_path):
    table = pandas.DataFrame({"a": [1, 2]})
    for name in ("a.html", "b.html"):
        formats.write_file(table.style.highlight_max(), tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
