"""A version made again: from what its record says, beside the project, with real runs."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from running import FOLDER, Project, end, make
from towpath import registry
from towpath.audit.reproduction import ReproducedVersion, reproduce_version
from towpath.errors import RegistryError, StepFailed, StoreError, UsageError
from towpath.registry import RecordedCode, Registration
from tracking import track


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose data DVC tracks, with mean@v1.0.0, which has gone on since."""
    made = make(tmp_path / "mean")
    made.git("init", "-q", "-b", "main")
    track(made.root, made.root / "data/raw.json")
    made.commit()
    assert made.run().exit_code == 0
    assert made.tags() == ["mean@v1.0.0"]
    made.code("factor * sum", "3 * factor * sum")
    made.write("data/raw.json", "[100]")
    track(made.root, made.root / "data/raw.json")
    made.commit()
    return made


def again(project: Project, reference: str = "mean@v1.0.0", **options: object) -> ReproducedVersion:
    return reproduce_version(project.workspace, reference, **options)  # type: ignore[arg-type]


def test_byte_for_byte_from_another_commit_and_other_data(project: Project) -> None:
    before = (project.tags(), project.runs(), project.git("status", "--porcelain"))
    entries = sorted(project.store.layout.entries.rglob("*.json"))
    done = again(project)
    assert (done.verdict, done.differences, done.environment) == ("bytes", (), ())
    assert done.sha256 == done.recorded_sha256
    assert done.metrics == {"error": pytest.approx(7.0), "rows": 3}
    # Nothing of the project has changed, and no work tree is left.
    assert (project.tags(), project.runs(), project.git("status", "--porcelain")) == before
    assert sorted(project.store.layout.entries.rglob("*.json")) == entries
    assert len(project.git("worktree", "list").splitlines()) == 1


def test_what_differs(project: Project, tmp_path: Path) -> None:
    """Records that say other things than their code makes, as an unseeded model's would."""
    near = _also(project, "1", sha256="0" * 64, packages={"click": "0.0.1", "no-such": "1.0"})
    far = _also(project, "2", sha256="0" * 64, metrics={"error": 5.0, "rows": 3})
    same = again(project, near)
    assert (same.verdict, same.differences) == ("metrics", ())
    assert [(one.name, one.recorded) for one in same.environment] == [
        ("click", "0.0.1"),
        ("no-such", "1.0"),
    ]
    kept = tmp_path / "kept"
    other = again(project, far, keep=kept)
    assert other.verdict == "different"
    [difference] = other.differences
    assert (difference.name, difference.recorded) == ("error", 5.0)
    assert difference.now == pytest.approx(7.0)
    assert (kept / FOLDER / "steps.py").is_file()
    assert "3 * factor" not in (kept / FOLDER / "steps.py").read_text()
    with pytest.raises(UsageError, match="is there already"):
        again(project, keep=kept)
    assert again(project, far, tolerance=0.5).verdict == "metrics"


def test_data_from_the_stores_remote_or_from_nowhere(project: Project, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    digest = registry.get_version(project.workspace.registry, "mean@v1.0.0").record.data["raw"]
    objects = project.store.path(digest)
    (remote / "files/md5" / digest[:2]).mkdir(parents=True)
    shutil.move(objects, remote / "files/md5" / digest[:2] / digest[2:])
    with pytest.raises(StoreError, match="is not in the store, which has no remote"):
        again(project)
    said = (project.root / ".dvc/config").read_text()
    config = f"{said}['remote \"far\"']\n    url = {remote}\n[core]\n    remote = far\n"
    (project.root / ".dvc/config.local").write_text(config)
    assert again(project).verdict == "bytes"


def test_a_step_that_fails_and_a_commit_that_is_gone(project: Project) -> None:
    record = registry.get_version(project.workspace.registry, "mean@v1.0.0").record
    project.git("switch", "-q", "--detach", record.code.commit)
    project.code('return {"mean"', "raise OSError('no licence')\n    return {\"mean\"")
    project.commit("broken")
    failing = _also(project, "4", code=RecordedCode(project.git("rev-parse", "HEAD")))
    project.git("switch", "-q", "main")
    with pytest.raises(StepFailed, match="no licence"):
        again(project, failing)
    gone = _also(project, "5", code=RecordedCode("c0ffee" * 6 + "c0ff"))
    with pytest.raises(RegistryError, match="does not have the commit c0ffee"):
        again(project, gone)
    assert len(project.git("worktree", "list").splitlines()) == 1


def test_an_interruption_leaves_nothing(project: Project) -> None:
    record = registry.get_version(project.workspace.registry, "mean@v1.0.0").record
    project.git("switch", "-q", "--detach", record.code.commit)
    project.code('return {"mean"', "__import__('time').sleep(60)\n    return {\"mean\"")
    project.commit("slow")
    slow = _also(project, "6", code=RecordedCode(project.git("rev-parse", "HEAD")))
    project.git("switch", "-q", "main")
    process = project.start("reproduce", slow)
    assert process.stderr
    assert any("fit" in line and "running" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    assert end(process).code == 130
    assert len(project.git("worktree", "list").splitlines()) == 1


def _also(project: Project, key: str, **facts: object) -> str:
    """The first version once more, with other facts in its record."""
    repository = project.workspace.registry
    first = registry.get_version(repository, "mean@v1.0.0").record
    draft = replace(first, key=key * 64, version=None, bump=None, **facts)  # type: ignore[arg-type]
    head = project.git("rev-parse", "HEAD")
    return str(registry.register_version(repository, Registration(draft, head, {})))
