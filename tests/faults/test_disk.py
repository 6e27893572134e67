"""A disk that is full, read-only or in the way; and what a run leaves behind on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from own_home import CopyWorld, use_api
from running import Project, end, make
from towpath import scratch
from towpath.backends.prefect import server

MEGABYTES = 6


@pytest.fixture(autouse=True)
def prefect_api(warm_api: server.PrefectApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's own, named as a user names theirs."""
    use_api(warm_api, monkeypatch)


def mount(*words: str) -> None:
    """Mount as root does; whoever runs CI may become it."""
    become = [] if os.geteuid() == 0 else ["sudo", "-n"]
    done = subprocess.run([*become, *words], capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    if sys.platform != "linux":
        pytest.skip("a file system in memory is mounted another way here")
    folder = tmp_path / "small"
    folder.mkdir()
    options = f"size={MEGABYTES}m,uid={os.getuid()},gid={os.getgid()},mode=0755"
    mount("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    yield folder
    mount("umount", "-l", str(folder))


def build(folder: Path) -> Project:
    made = make(folder / "project")
    made.git("init", "-q", "-b", "main")
    made.git("config", "user.name", "Ada Tester")
    made.git("config", "user.email", "ada@example.org")
    made.commit()
    return made


def build_and_run(folder: Path) -> None:
    said = build(folder).towpath("run")
    assert said.code == 0, said.err


@pytest.fixture
def project(small: Path, copy_world: CopyWorld) -> Project:
    copy_world(build, small)
    return Project(small / "project")


@pytest.fixture
def ran(small: Path, copy_world: CopyWorld) -> Project:
    """The same after its first run."""
    copy_world(build_and_run, small)
    return Project(small / "project")


def fill(folder: Path, blocks_left: int = 0) -> None:
    """Leave so many blocks free."""
    ballast = folder / "ballast"
    ballast.unlink(missing_ok=True)
    found = os.statvfs(folder)
    ballast.write_bytes(b"x" * (found.f_bavail * found.f_frsize - 4096 * blocks_left))


def test_a_full_disk_is_named_and_nothing_is_half_written(ran: Project, small: Path) -> None:
    for blocks in (0, 1, 4):
        ran.code("factor * sum", "1.0 * factor * sum")
        ran.commit()
        before = ran.runs()
        fill(small, blocks)
        said = ran.towpath("run")
        assert said.code == 1, said.err
        assert f"the disk is full: no room on {small}, where " in said.err
        assert "fault of Towpath" not in said.err
        if blocks == 0:
            assert ran.runs() == before, "without its first line it is no record"
        assert not list((ran.root / ".towpath").rglob(f"*{scratch.SUFFIX}"))
        ran.assert_whole()
        assert ran.towpath("runs").code == 0
        (small / "ballast").unlink()
    assert ran.towpath("run").code == 0
    assert ran.tags() == ["mean@v1.0.0", "mean@v1.1.0"]


def test_at_the_very_start_it_is_named_too(project: Project, small: Path) -> None:
    fill(small)
    for words in (["plan"], ["run"]):
        said = project.towpath(*words)
        assert said.code == 1
        assert "the disk is full" in said.err
        assert str(small) in said.err
    assert project.runs() == []


def test_what_a_failed_step_was_making_does_not_stay(project: Project, small: Path) -> None:
    project.code('return {"mean":', 'return {"pad": "y" * 9_000_000, "mean":')
    project.code("return [number", "print('a word')\n    return [number")
    for _ in range(2):
        said = project.towpath("run")
        assert said.code == 1, said.err
        assert "No space left on device" in said.err
        free = os.statvfs(small)
        assert free.f_bavail * free.f_frsize > 4 * 2**20
    last = project.workspace.runs / project.runs()[-1]
    assert not (last / "fit" / "outputs").exists()
    assert (last / "fit" / "log.txt").is_file(), "its log stays"


def test_a_read_only_project_says_so(ran: Project, small: Path) -> None:
    ran.code("factor * sum", "1.0 * factor * sum")
    mount("mount", "-o", "remount,ro", str(small))
    for words in (["plan"], ["models"], ["runs"]):
        assert ran.towpath(*words).code == 0
    said = ran.towpath("run")
    assert (said.code, "read-only file system" in said.err.lower()) == (1, True), said.err
    assert str(small) in said.err


@pytest.fixture
def plain(tmp_path: Path, copy_world: CopyWorld) -> Project:
    copy_world(build, tmp_path)
    return Project(tmp_path / "project")


def test_a_file_in_the_place_of_our_folder_is_named(plain: Project) -> None:
    plain.write(".towpath", "")
    said = plain.towpath("run")
    assert said.code == 1
    assert f"{plain.root / '.towpath'} is no folder" in said.err
    assert "move it away" in said.err


AS_USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def test_a_project_that_one_may_not_write_to_is_an_error(plain: Project) -> None:
    """As a normal user: root may write everywhere."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.fail("no way to be another user here")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(plain.root, Path(folder, "project"))
        root = Path(folder, "project")
        home = Path(folder, "home")
        home.mkdir(mode=0o777)
        home.chmod(0o777)
        (home / ".gitconfig").write_text(f"[safe]\n\tdirectory = {root}\n")
        call = [sys.executable, "-m", "towpath", "run"]
        if os.geteuid() == 0:
            call = [*AS_USER, *call]
        else:
            subprocess.run(["chmod", "-R", "a-w", root], check=True)
        environment = {
            **os.environ, "HOME": str(home), "TOWPATH_HOME": str(home / "towpath"),
            "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        }  # fmt: skip
        done = subprocess.run(call, cwd=root, env=environment, capture_output=True, text=True)
        subprocess.run(["chmod", "-R", "u+w", root], check=True)
    assert done.returncode in (1, 2), done.stderr
    assert "may not be written" in done.stderr or "Permission denied" in done.stderr
    assert "Traceback" not in done.stderr


def test_our_folder_taken_away_during_a_run_is_an_error(plain: Project) -> None:
    plain.code("return [number", 'import shutil; shutil.rmtree(".towpath")\n    return [number')
    said = plain.towpath("run")
    assert said.code == 1, said.err
    assert "fault of Towpath" not in said.err
    assert ".towpath" in said.err
    plain.code('import shutil; shutil.rmtree(".towpath")\n    ', "")
    assert plain.towpath("run").code == 0


@pytest.mark.parametrize("words", [["runs"], ["run"], ["models"], ["status"], ["check"], ["new"]])
def test_a_working_folder_that_was_deleted_is_a_wrong_call(
    tmp_path: Path, words: list[str]
) -> None:
    call = "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
    call += "from towpath.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", call, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert "the working folder was deleted" in done.stderr


def gone_process() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    return ended.pid


def test_what_a_kill_left_is_cleared_by_the_next_run(tmp_path: Path, copy_world: CopyWorld) -> None:
    copy_world(build_and_run, tmp_path)
    plain = Project(tmp_path / "project")
    folder = plain.artifacts / "fit"
    killed = folder / f".model.json.{gone_process()}-0a1b2c3d{scratch.SUFFIX}"
    killed.mkdir()
    (killed / "part").touch()
    living = folder / f".model.json.{os.getpid()}-0a1b2c3d{scratch.SUFFIX}"
    living.touch()
    own = folder / ".gitkeep"
    own.touch()
    run = plain.workspace.runs / plain.runs()[-1]
    (run / "fit" / "outputs").mkdir()
    (run / "fit" / "outputs" / "model.json").write_text("half")
    assert plain.towpath("run", "--force").code == 0
    assert not killed.exists()
    assert living.exists(), "its process is at work"
    assert own.exists()
    assert not (run / "fit" / "outputs").exists()
    assert (run / "fit" / "log.txt").exists()


HOLD = """
import sys, time
from towpath.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "big").write_text("bytes")
    print(folder.parent, flush=True)
    time.sleep(600)
"""


def test_a_scratch_folder_goes_once_its_process_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    call = [sys.executable, "-c", HOLD]
    holder = subprocess.Popen(call, env=environment, stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    folder = Path(holder.stdout.readline().strip())
    other = tmp_path / "towpath-of-somebody"
    other.mkdir()
    time.sleep(scratch._YOUNG + 0.1)
    sweep = [sys.executable, "-c", "from towpath.scratch import sweep_folders; sweep_folders()"]
    subprocess.run(sweep, env=environment, check=True)
    assert folder.exists(), "its process is at work"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    subprocess.run(sweep, env=environment, check=True)
    assert not folder.exists()
    assert other.exists(), "what has no lock of ours is not ours"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_fetch_that_is_told_to_end_takes_git_along(
    plain: Project, tmp_path: Path, number: int
) -> None:
    """Git asks a helper of ours, which never answers."""
    helper = tmp_path / "bin" / "git-remote-silent"
    helper.parent.mkdir()
    helper.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    helper.chmod(0o755)
    plain.git("remote", "add", "origin", "silent://nowhere/x")
    path = {"PATH": f"{helper.parent}:{os.environ['PATH']}"}
    asking = plain.begin("fetch", **path)
    deadline = time.monotonic() + 180
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    asking.send_signal(number)
    said = end(asking)
    assert said.code == 130, said.err
    sleeping = int((tmp_path / "pid").read_text())
    while Path(f"/proc/{sleeping}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{sleeping}").exists()
