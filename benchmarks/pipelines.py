"""Whole runs over the floor: the six steps, abalone, steps that do nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.request import Request, urlopen

from msgspec import Struct

from benchmarks import projects
from benchmarks.measure import Cost, Row, cost, environment, interleaved, median
from towpath.backends.prefect.server.api_guard import basic_authorization

TOWPATH = str(Path(sys.executable).parent / "towpath")
PREFECT = str(Path(sys.executable).parent / "prefect")
RUNS = 5


class Goal(Struct, frozen=True):
    """How the rows of six steps are called, and the bounds of a first run, of one with a parameter
    changed, and of one with nothing changed."""

    prefix: str
    bounds: tuple[float, float, float]
    note: str = ""


_WITH_PANDAS = Goal("", (2.5, 2.3, 0.25))
_WITHOUT_PANDAS = Goal("without pandas, ", (1.7, 1.5, 0.17), ", csv and numpy alone")


def rows() -> Iterator[Row]:
    """The figures of whole runs; the local API is warm, and its own CPU is not counted."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        yield from six_steps(folder, "six_steps", "trees", 50, _WITH_PANDAS)
        yield from six_steps(folder, "plain_steps", "seed", 1, _WITHOUT_PANDAS)
        yield from abalone(folder)
        yield from no_ops(folder)
        yield from cells(folder)
        yield from deployed(folder)
    yield from answers()


@contextmanager
def _warm(project: Path) -> Iterator[Path]:
    """A project whose local API runs already."""
    call = partial(subprocess.run, cwd=project, env=environment(), capture_output=True, check=True)
    call([TOWPATH, "run"])
    try:
        yield project
    finally:
        call([TOWPATH, "down", "--force"])


def six_steps(folder: Path, kind: str, changed: str, values: int, goal: Goal) -> Iterator[Row]:
    """The peers' six steps, by CPU; ``changed`` is a training parameter, whose values begin at
    ``values``."""
    script = str(projects.HERE / kind / "floor.py")
    with _warm(projects.six_steps(folder, kind)) as project:

        def floor(n: int) -> Cost:
            return cost([sys.executable, script, str(project), str(values + n)], project)

        def change(n: int) -> Cost:
            return cost([TOWPATH, "run", "-p", f"{changed}={values + 1 + n}"], project)

        costs = interleaved(RUNS, floor, partial(_first, project), change, partial(_again, project))
    base, *ours = (median(command_costs, "cpu") for command_costs in costs)
    note = f"CPU; floor {base:.2f} s{goal.note}"
    names = ("first run, API warm", "a training parameter changed", "nothing changed")
    for name, cpu, bound in zip(names, ours, goal.bounds, strict=True):
        yield Row(f"{goal.prefix}{name}", cpu / base, bound, "x floor", note)


def abalone(folder: Path) -> Iterator[Row]:
    """The template's pipeline with Great Expectations, by wall time."""
    script = str(projects.HERE / "abalone_floor.py")
    with _warm(projects.abalone(folder)) as project:

        def floor(_: int) -> Cost:
            return cost([sys.executable, script, str(project)], project)

        base, first = (
            median(each, "wall") for each in interleaved(RUNS, floor, partial(_first, project))
        )
    note = f"wall; floor {base:.2f} s, with Great Expectations in it"
    yield Row("abalone, first run, API warm", first / base, 1.6, "x floor", note)


def _first(project: Path, _: int) -> Cost:
    projects.forget(project)
    return cost([TOWPATH, "run"], project)


def _again(project: Path, _: int) -> Cost:
    return cost([TOWPATH, "run"], project)


def no_ops(folder: Path) -> Iterator[Row]:
    """What a step costs that does nothing, by CPU of the client; Prefect's part is the floor."""
    floor = _bare_prefect(folder)
    for shape in ("chain", "fan"):
        few = _no_op_run(folder, shape, 2, 3)
        each = (_no_op_run(folder, shape, 200, 3) - few) / 198
        note = f"CPU; {each / floor:.2f} x a task of bare Prefect, {floor * 1000:.1f} ms"
        yield Row(f"a no-op step, {shape} of 200", each * 1000, 30, "ms", note)
        slope = (_no_op_run(folder, shape, 1000, 1) - few) / 998
        yield Row("the same, of 1,000", slope / each, 1.3, "x that of 200", "it is linear")


def cells(folder: Path) -> Iterator[Row]:
    """What a cell of `each` and a trial of a search cost that do nothing, and a plan of many."""
    few, some, many = (_cells_run(folder, count) for count in (2, 200, 1000))
    yield Row("a no-op cell, of 200", (some - few) / 198 * 1000, 30, "ms", "CPU")
    slope = (many - few) / 998 / ((some - few) / 198)
    yield Row("the same, of 1,000", slope, 1.3, "x that of 200", "it is linear")
    with _warm(projects.trials(folder, 2)) as one, _warm(projects.trials(folder, 100)) as other:
        trial = (_first(other, 0).cpu - _first(one, 0).cpu) / 98
    yield Row("a no-op trial, of 100", trial * 1000, 80, "ms", "CPU; a step, and 50 ms")
    plans = [cost([TOWPATH, "plan"], projects.no_op_cells(folder, 100, 100)) for _ in range(1)]
    yield Row("plan of 10,000 cells", median(plans, "cpu"), 3, "s", "CPU")


def _cells_run(folder: Path, count: int) -> float:
    with _warm(projects.no_op_cells(folder, count)) as project:
        return _first(project, 0).cpu


def _bare_prefect(folder: Path) -> float:
    """CPU of one task of Prefect alone, in seconds."""
    script = str(projects.HERE / "bare_prefect.py")
    with _warm(projects.no_ops(folder / "bare", 2, "chain")) as project:
        said = subprocess.run(
            [TOWPATH, "status", "--json"], cwd=project, env=environment(), capture_output=True
        )
        env = {
            "PREFECT_API_URL": json.loads(said.stdout)["status"]["url"],
            "PREFECT_API_AUTH_STRING": _secret(project),
        }

        def chain(count: int) -> Callable[[int], Cost]:
            return lambda _: cost([sys.executable, script, str(count)], project, env)

        few, many = (median(each, "cpu") for each in interleaved(3, chain(2), chain(200)))
    return (many - few) / 198


def _no_op_run(folder: Path, shape: str, count: int, runs: int) -> float:
    with _warm(projects.no_ops(folder, count, shape)) as project:
        return median([_first(project, n) for n in range(runs)], "cpu")


def deployed(folder: Path) -> Iterator[Row]:
    """How long a deployed run of the six steps takes, from stock Prefect's command to its end,
    beside a bare flow's of the same work, deployed to the same worker."""
    project = projects.six_steps(folder / "deployed")
    other = projects.six_steps(folder / "bare deployment")
    shutil.copy(projects.HERE / "bare_deployment.py", project)
    (project / "flows" / "training" / "flow.py").write_text(
        "from towpath import flow\n\ntraining = flow(__file__)\n"
    )
    call = partial(subprocess.run, cwd=project, env=environment(), capture_output=True, check=True)
    call([TOWPATH, "up"])
    try:
        for entrypoint in ("flows/training/flow.py:training", "bare_deployment.py:bare"):
            deploy = ["--no-prompt", "deploy", entrypoint, "--name", "dev", "--pool", "towpath"]
            call([PREFECT, *deploy])
        said = call([TOWPATH, "status", "--json"])
        url = json.loads(said.stdout)["status"]["url"]
        script = str(projects.HERE / "six_steps" / "floor.py")

        def ours(n: int) -> Cost:
            return _deployed_run(project, url, "training/dev", {"trees": 51 + n})

        def bare(n: int) -> Cost:
            given = {"script": script, "folder": other, "trees": 51 + n}
            return _deployed_run(project, url, "bare/dev", given)

        runs, floors = interleaved(RUNS, ours, bare)
    finally:
        call([TOWPATH, "down", "--force"])
    base = median(floors, "wall")
    note = f"wall, from command to finished; bare Prefect {base:.2f} s"
    yield Row("prefect deployment run", median(runs, "wall") / base, 1.5, "x bare Prefect", note)


def _deployed_run(project: Path, url: str, name: str, given: Mapping[str, object]) -> Cost:
    """From the command until the run is finished."""
    secret = _secret(project)
    ended = _finished(url, secret)
    words = [word for key in given for word in ("--param", f"{key}={given[key]}")]
    command = [PREFECT, "deployment", "run", name, *words]
    began = time.perf_counter()
    with (project.parent / "deployed.txt").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=project, env=environment(), stdout=output, stderr=output
        )
        while _finished(url, secret) == ended:
            time.sleep(0.02)
        took = time.perf_counter() - began
        process.wait()
    return Cost(took, 0.0)


def _secret(project: Path) -> str:
    """What the project's local API wants to hear."""
    said = subprocess.run(
        [TOWPATH, "status", "--secret"],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
    )
    return said.stdout.strip()


def _finished(url: str, secret: str) -> int:
    """How many runs are; RuntimeError where one failed."""
    headers = {"content-type": "application/json", "authorization": basic_authorization(secret)}
    asked = Request(f"{url}/flow_runs/filter", b"{}", headers)
    with urlopen(asked) as answer:
        states = [run["state_type"] for run in json.load(answer)]
    if {"FAILED", "CRASHED"} & set(states):
        raise RuntimeError("a deployed run failed")
    return states.count("COMPLETED")


def answers() -> Iterator[Row]:
    """How soon the command line answers; the bound is 0.15 s where an empty Python takes 0.01."""
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch) / "here"
        here.mkdir()
        commands = ([sys.executable, "-c", "pass"], [TOWPATH, "--help"], [TOWPATH, "--version"])
        found = interleaved(9, *(partial(_timed, command, here) for command in commands))
    base, help_, version = (median(each, "wall") for each in found)
    note = f"wall; floor {base * 1000:.0f} ms"
    yield Row("towpath --help", help_ / base, 15, "x python -c pass", note)
    yield Row("towpath --version", version / base, 15, "x python -c pass", note)


def _timed(command: list[str], here: Path, _: int) -> Cost:
    return cost(command, here)
