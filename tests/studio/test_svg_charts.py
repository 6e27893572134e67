"""Charts: where a value stands, what cannot be drawn, and that a name draws nothing itself."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from towpath.audit.stage_history import StageMove
from towpath.studio.pages.stage_page import StageSpan, list_stage_spans
from towpath.studio.svg_charts import (
    AxisSpan,
    NamedLine,
    draw_curves,
    draw_parallel,
    draw_points,
)
from towpath.studio.svg_time_line import draw_time_line

EVIL = '"/><script>alert(1)</script>'
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


def test_ticks_are_round_and_inside() -> None:
    assert AxisSpan.of_values([0, 10], 0, 100).ticks() == [0, 2, 4, 6, 8, 10]
    assert AxisSpan.of_values([0.013, 0.027], 0, 100).ticks() == [0.015, 0.02, 0.025]
    assert AxisSpan.of_values([7, 7], 0, 100).place(7) == 50  # equal values: the middle
    assert AxisSpan.of_values([], 0, 100).ticks()


def test_a_curve_stands_where_its_values_do_and_parts_at_a_gap() -> None:
    line = NamedLine("loss", [(0, 4.0), (1, math.nan), (2, 2.0), (3, 3.0)])
    drawn = draw_curves([line], "step", "loss")
    (path,) = re.findall(r'<path class="curve c0" d="([^"]+)"', drawn)
    assert path == "M52.0 10.0 M314.7 190.0 L446.0 100.0"
    assert "loss ends at 3" in drawn


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=20))
def test_whatever_is_logged_is_drawn(points: list[tuple[float, float]]) -> None:
    drawn = draw_curves([NamedLine(EVIL, points)], EVIL, EVIL)
    tags = {element.tag for element in ElementTree.fromstring(drawn).iter()}
    assert tags <= {"svg", "path", "text", "title"}
    rows = {str(n): point for n, point in enumerate(points)}
    cloud = draw_points(rows, {}, EVIL, EVIL)
    for svg in (drawn, cloud, draw_parallel(["x", "y"], rows, frozenset())):
        places = re.findall(r' (?:d|cx|cy|x|y)="([^"]*)"', svg)
        assert not re.search(r"nan|inf", "".join(places))


def test_a_cloud_and_parallel_lines_name_their_runs() -> None:
    cloud = draw_points({"a": (1, 2), EVIL: (2, 1)}, {"a": "runs/a/"}, "rate", "mse")
    assert '<a href="runs/a/">' in cloud
    assert "<script" not in cloud
    rows = {"a": (1.0, None, 3.0), "b": (2.0, 5.0, 1.0)}
    threads = draw_parallel(["rate", "depth", "mse"], rows, frozenset({"b"}))
    assert 'class="thread" d="M60.0' in threads
    assert 'class="thread is-marked"' in threads


def test_a_version_runs_until_the_next_has_taken_its_place() -> None:
    days = [f"2026-03-0{day}T00:00:00Z" for day in range(1, 6)]
    move = StageMove(
        model="a", stage="prod", version="v1.0.0", sha256=None, over=None, merged=days[0],
        until=days[2], commit="", author="", entered=days[1], tag=None, rejected=None,
    )  # fmt: skip
    after = replace(move, version="v1.1.0", merged=days[2], until=days[4], entered=days[3])
    out = replace(move, version=None, merged=days[4], until=None, entered=None)
    first, second = list_stage_spans([out, after, move])["a"]
    assert (first.end, second.end) == (second.begin, second.begin + 86400)
    assert f"to {days[3]}" in first.words


def test_a_time_line_is_as_long_as_a_version_was_there() -> None:
    spans = [
        StageSpan("v1.0.0", 0, 50, True, "a@v1.0.0 from 0 to 50"),
        StageSpan("v1.1.0", 50, 75, False, EVIL),
        StageSpan("v1.0.0", 75, None, True, "it came back, and has its colour again"),
    ]
    drawn = draw_time_line({EVIL: spans, "b": ()}, now=100)
    bars = re.findall(
        r'class="time-bar ([^"]+)" x="([0-9.]+)" y="[0-9.]+" width="([0-9.]+)"', drawn
    )
    wide = [
        ("c0", "130.0", "411.0"), ("c1 is-waiting", "541.0", "205.5"), ("c0", "746.5", "205.5")
    ]  # fmt: skip
    narrow = [
        ("c0", "1.0", "179.0"), ("c1 is-waiting", "180.0", "89.5"), ("c0", "269.5", "89.5")
    ]  # fmt: skip
    assert bars == [*wide, *narrow]
    assert re.findall("01-01 00:0[0-9] UTC", drawn) == ["01-01 00:00 UTC", "01-01 00:01 UTC"] * 2
    assert "<script" not in drawn
    ElementTree.fromstring(f"<p>{drawn}</p>")
    ElementTree.fromstring(f"<p>{draw_time_line({}, now=0)}</p>")
