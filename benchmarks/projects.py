"""Makes the projects that are measured: the six steps, abalone, chains and fans."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
TOWPATH_YAML = "name: bench\n"


def six_steps(folder: Path, kind: str = "six_steps") -> Path:
    """The six steps over the abalone table, as a committed project: with pandas (`six_steps`), or
    without (`plain_steps`)."""
    project = folder / kind.replace("_", " ")
    shutil.copytree(HERE / kind / "flows", project / "flows")
    (project / "data").mkdir()
    (project / "data" / "abalone.csv").write_bytes(_abalone())
    return _committed(project)


def abalone(folder: Path) -> Path:
    """The project that the template makes."""
    from towpath import projects

    return projects.make_from_template("tabular", folder, {}, ask=False)


def forget(project: Path) -> None:
    """Take away all that runs left, so that the next one is a first one."""
    for name in (".towpath/state", ".towpath/runs", "artifacts", ".dvc/cache/towpath"):
        shutil.rmtree(project / name, ignore_errors=True)
    for name in ("dvc.lock", "dvc.yaml"):
        (project / name).unlink(missing_ok=True)
    subprocess.run(["git", "checkout", "-q", "--", "."], cwd=project, check=True)
    tags = subprocess.run(["git", "tag"], cwd=project, check=True, capture_output=True, text=True)
    if names := tags.stdout.split():
        subprocess.run(["git", "tag", "-d", *names], cwd=project, check=True, capture_output=True)


def no_ops(folder: Path, count: int, shape: str) -> Path:
    """A pipeline of steps that do nothing: a chain, or a fan out of one."""
    project = folder / f"{shape} {count}"
    flow = project / "flows" / "training"
    flow.mkdir(parents=True)
    steps = ["  s0:\n    run: begin\n    outputs: [value.txt]\n"]
    for n in range(1, count):
        before = n - 1 if shape == "chain" else 0
        # In a fan all have one input: with one name of the output, too, the second would be reused.
        name = "value" if shape == "chain" else f"value_{n}"
        steps.append(
            f"  s{n}:\n    run: pass_on\n    inputs: [s{before}.value]\n    outputs: [{name}.txt]\n"
        )
    (flow / "pipeline.yaml").write_text("steps:\n" + "".join(steps))
    functions = (
        "def begin() -> str:\n    return 'x'",
        "def pass_on(value: str) -> str:\n    return value",
    )
    (flow / "steps.py").write_text("\n\n\n".join(functions) + "\n")
    return _committed(project)


def _abalone() -> bytes:
    (table,) = (HERE.parent / "templates" / "tabular").glob("*/data/abalone.csv")
    return table.read_bytes()


def no_op_cells(folder: Path, count: int, others: int = 1) -> Path:
    """A step that does nothing, for ``count`` items by ``others``, and one that takes all."""
    project = folder / f"cells {count} {others}"
    flow = project / "flows" / "training"
    flow.mkdir(parents=True)
    (flow / "pipeline.yaml").write_text(
        f"params: {{ns: {list(range(count))}, ms: {list(range(others))}}}\n"
        "steps:\n"
        "  cell:\n    run: cell\n    each: {n: ns, m: ms}\n    params: [n, m]\n"
        "    outputs: [value.json]\n"
        "  all:\n    run: every\n    inputs: [cell.value]\n    outputs: [all.json]\n"
    )
    (flow / "steps.py").write_text(
        "def cell(n: int, m: int) -> list:\n    return [n, m]\n\n\n"
        "def every(value: list) -> int:\n    return len(value)\n"
    )
    return _committed(project)


def trials(folder: Path, count: int) -> Path:
    """A search of ``count`` trials over a function that does nothing."""
    project = folder / f"trials {count}"
    flow = project / "flows" / "training"
    flow.mkdir(parents=True)
    (flow / "pipeline.yaml").write_text(
        "steps:\n  tune:\n    kind: tuning\n    run: tune\n"
        "    ranges: {x: {at_least: 0.0, at_most: 1.0}}\n    minimize: score.y\n"
        f"    trials: {count}\n    outputs: [score.json]\n"
    )
    (flow / "steps.py").write_text("def tune(x: float) -> dict:\n    return {'y': x}\n")
    return _committed(project)


def _committed(project: Path) -> Path:
    from towpath.backends.dvc.dvc_config import initialise_store

    (project / "towpath.yaml").write_text(TOWPATH_YAML)
    (project / ".gitignore").write_text(
        ".towpath/\nartifacts/\n*.parquet\n*.joblib\n*.pkl\nmetrics.json\nregistry.json\nregistry/\n__pycache__/\n"
    )
    (project / "README.md").write_text("# Bench\n")
    git = ["git", "-c", "user.name=Bench", "-c", "user.email=bench@example.org"]
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=project, check=True)
    initialise_store(project)
    subprocess.run(["git", "config", "user.name", "Bench"], cwd=project, check=True)
    subprocess.run(["git", "config", "user.email", "bench@example.org"], cwd=project, check=True)
    subprocess.run(["git", "add", "-A"], cwd=project, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "Begin"], cwd=project, check=True)
    return project
