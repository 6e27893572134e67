"""What `towpath check` and `plan` say of a project without a pipeline, and of one fault twice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from command_line import call_towpath


def towpath(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return call_towpath(Path.cwd(), "-C", str(root), *arguments)


def test_without_a_pipeline_nothing_is_said_of_one(tmp_path: Path) -> None:
    (tmp_path / "towpath.yaml").write_text("name: p\n")
    told = towpath(tmp_path, "check")
    assert told.returncode == 0
    said = told.stdout + told.stderr
    assert (
        said == "towpath.yaml is sound; no pipeline yet: flows/<name>/pipeline.yaml would be one\n"
    )


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    """A project whose pipeline takes one model, which is not there, as two inputs."""
    folder = tmp_path / "flows" / "main"
    folder.mkdir(parents=True)
    (tmp_path / "towpath.yaml").write_text("name: p\n")
    (tmp_path / ".dvc").mkdir()
    (folder / "steps.py").write_text("def f(a, b, n): return {}\n")
    (folder / "pipeline.yaml").write_text(
        "params: {n: 5}\ninputs: {a: m@v1.0.0, b: m@v1.0.0}\n"
        "steps: {s: {run: f, inputs: [a, b], params: [n], outputs: [x.json]}}\n"
    )
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


def test_one_fault_is_said_once(declared: Path) -> None:
    told = towpath(declared, "plan")
    assert told.returncode != 0
    assert told.stderr.count("there is no model `m`") == 1


@pytest.mark.parametrize(("given", "hint"), [("1_000", "1000"), ("010", "10"), ("no", "false")])
def test_a_doubtful_value_is_hinted_without_quotes(declared: Path, given: str, hint: str) -> None:
    told = towpath(declared, "plan", "-p", f"n={given}")
    assert told.returncode == 2
    assert f"write `--param n={hint}`" in told.stderr
    assert "quotes" not in told.stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--promotion", "main"], "--promotion checks a branch, and not `main`"),
        (["--base", "HEAD"], "--base is for --promotion"),
        (["main", "--head", "HEAD"], "--head is for --promotion"),
        (["--format", "md"], "--format is for --promotion"),
    ],
)
def test_what_would_say_nothing_is_refused(declared: Path, words: list[str], what: str) -> None:
    told = towpath(declared, "check", *words)
    assert told.returncode == 2
    assert told.stderr.startswith(f"error: {what}\n")
