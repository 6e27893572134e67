"""How a step's process begins and ends with a supervisor that is a Python of its own.

What is imported there, which files it was imported from, and what it leaves when it ends is seen
where it is started (``forked_supervisors.FRESH``).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from ended_processes import gone, wait_until
from msgspec.structs import replace

from towpath.steps import step_process


def test_a_step_has_no_declaration_s_types_to_import(project, way):
    project.steps("""
        import sys

        def look():
            heavy = ("pydantic", "towpath.config.pipeline_declaration")
            return [name for name in heavy if name in sys.modules]
    """)
    way()
    outputs = [{"path": "seen.json", "plot": {"x": "n"}}]
    made = project.carry_out("look", outputs, retry={"attempts": 2})
    assert made.values == {"seen": []}


def test_a_pool_of_processes_leaks_nothing(project):
    project.steps("""
        from joblib import Parallel, delayed

        def square(k):
            return k * k

        def work():
            return Parallel(n_jobs=2)(delayed(square)(k) for k in range(4))
    """)
    order = replace(project.order("work", ["out.json"]), libraries=("joblib",))
    with step_process.warm_supervisor(project.root, "flows/training", []):
        assert project.call(order).values == {"out": [0, 1, 4, 9]}
    time.sleep(0.5)  # what watches over semaphores speaks when all else has ended
    assert order.log.read_text() == ""


@pytest.mark.parametrize("before", [(), ("prefect",)])
def test_a_package_s_own_settings_are_no_input(project, warm, before):
    project.write("pyproject.toml", "[tool.prefect]\n")
    project.write("prefect.toml", "")
    project.write(".env", "A=1\n")
    project.steps("""
        import prefect, prefect.settings
        import tomllib
        from pathlib import Path

        def own():
            with prefect.settings.temporary_settings({}):
                prefect.settings.get_current_settings()
            return prefect.settings.get_current_settings().home.name

        def read():
            return tomllib.loads(Path("pyproject.toml").read_text())
    """)
    warm()
    order = replace(project.order("own", ["home.json"]), libraries=before)
    assert "undeclared" not in project.call(order).facts
    assert project.carry_out("read", ["a.json"]).facts["undeclared"] == ["pyproject.toml"]


RUN = """
    import sys, threading, time
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from conftest import FOLDER, Project
    from towpath.steps import step_process as process
    project = Project(Path({root!r}))
    with process.warm_supervisor(project.root, FOLDER, []):
        project.carry_out("hang", (), {{"pids": {pids!r}}})
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_when_the_run_ends_so_do_its_steps(project, tmp_path, number):
    project.steps("""
        import os, subprocess, time
        from pathlib import Path

        def hang(pids):
            child = subprocess.Popen(["sleep", "1000"])
            fled = subprocess.Popen(["sleep", "1000"], start_new_session=True)
            scratch = Path(pids + ".part")
            scratch.write_text(f"{os.getpid()} {os.getppid()} {child.pid} {fled.pid}")
            scratch.rename(pids)
            time.sleep(1000)
    """)
    pids = tmp_path / "pids"
    text = textwrap.dedent(RUN).format(
        tests=str(Path(__file__).parent), root=str(project.root), pids=str(pids)
    )
    run = subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.DEVNULL)
    wait_until(pids.exists, 180)
    run.send_signal(number)
    run.wait(180)
    for pid in map(int, pids.read_text().split()):
        wait_until(lambda pid=pid: gone(pid), 20)


def test_an_edit_within_a_second_that_keeps_the_size_is_run(project, monkeypatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    for way in ("1", "0"):
        monkeypatch.setenv("TOWPATH_FORK", way)
        for answer in ("1", "2"):
            project.write("shared/said.py", f"ANSWER = {answer}\n")
            project.steps(
                f"from shared.said import ANSWER\n\n\ndef run():\n    print(ANSWER, {answer})\n"
            )
            for path in ("shared/said.py", "flows/training/steps.py"):
                os.utime(project.root / path, (1_000_000_000, 1_000_000_000))
            project.carry_out("run")
            assert project.lines[-1] == f"{answer} {answer}"
