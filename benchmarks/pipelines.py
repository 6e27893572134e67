"""Whole runs over the floor: the six steps, abalone, steps that do nothing."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import projects
from benchmarks.measure import Cost, Row, adopt_orphans, cost, interleaved, median

TOWPATH = str(Path(sys.executable).parent / "towpath")
RUNS = 5


def rows() -> Iterator[Row]:
    """The figures of whole runs; the local API is warm, and its own CPU is not counted."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _warm(folder)
        adopt_orphans()
        yield from _six_steps(folder)
        yield from _no_ops(folder)
    yield from _help()


def _warm(folder: Path) -> None:
    """Start the local API before anything is measured."""
    project = projects.no_ops(folder / "warm", 2, "chain")
    cost([TOWPATH, "run"], project)


def _six_steps(folder: Path) -> Iterator[Row]:
    project = projects.six_steps(folder)
    floor_script = str(Path(projects.HERE) / "six_steps" / "floor.py")

    def floor(n: int) -> Cost:
        return cost([sys.executable, floor_script, str(project), str(50 + n)], project)

    def first(n: int) -> Cost:
        return cost([TOWPATH, "run", "--force"], projects.six_steps(folder / f"first {n}"))

    def changed(n: int) -> Cost:
        return cost([TOWPATH, "run", "-p", f"trees={50 + n}"], project)

    def again(_: int) -> Cost:
        return cost([TOWPATH, "run"], project)

    cost([TOWPATH, "run"], project)
    floors, firsts, changes, agains = interleaved(RUNS, floor, first, changed, again)
    base = median(floors, "cpu")
    note = f"floor {base:.2f} s CPU"
    yield Row("first run, API warm", median(firsts, "cpu") / base, 2.5, "x floor", note)
    yield Row("a training parameter changed", median(changes, "cpu") / base, 2.0, "x floor", note)
    yield Row("nothing changed", median(agains, "cpu") / base, 0.35, "x floor", note)


def _no_ops(folder: Path) -> Iterator[Row]:
    for shape in ("chain", "fan"):
        small, large = (
            (partial(_no_op_run, folder, shape), 2),
            (partial(_no_op_run, folder, shape), 200),
        )
        few, many = interleaved(3, *(partial(call, count) for call, count in (small, large)))
        each = (median(many, "cpu") - median(few, "cpu")) / 198 * 1000
        yield Row(f"a no-op step, {shape} of 200", each, 10, "ms CPU", "beyond a run of 2")
        huge = _no_op_run(folder, shape, 1000, 0)
        slope = (huge.cpu - median(few, "cpu")) / 998 * 1000
        yield Row(
            f"a no-op step, {shape} of 1,000",
            slope,
            each * 1.3,
            "ms CPU",
            "linear: 1.3 of that at 200",
        )


def _no_op_run(folder: Path, shape: str, count: int, n: int) -> Cost:
    return cost([TOWPATH, "run"], projects.no_ops(folder / f"{shape} {count} {n}", count, shape))


def _help() -> Iterator[Row]:
    """The floor is an empty Python; the bound is 0.15 s where that takes 0.01 s."""
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch) / "here"
        here.mkdir()
        commands = ([sys.executable, "-c", "pass"], [TOWPATH, "--help"], [TOWPATH, "--version"])
        empty, helps, versions = interleaved(
            9, *(partial(lambda command, _n: cost(command, here), c) for c in commands)
        )
        base = median(empty, "wall")
        for name, found in (("towpath --help", helps), ("towpath --version", versions)):
            yield Row(
                name,
                median(found, "wall") / base,
                15,
                "x python -c pass",
                f"floor {base * 1000:.0f} ms",
            )
