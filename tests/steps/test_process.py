"""A step's process: what it says, how it ends and is ended, and that it sees no other's traces."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from ended_processes import gone, wait_until
from msgspec.structs import replace

from towpath.errors import Place, StepFailed
from towpath.steps import step_process
from towpath.steps.work_order import Value


def test_all_that_a_step_says_is_in_its_log(project, way):
    project.steps("""
        import logging, os, subprocess, sys, warnings

        def talk():
            print("printed")
            print("to stderr", file=sys.stderr)
            logging.getLogger("mine").info("logged")
            warnings.warn("warned")
            os.write(1, b"from below\\n")
            subprocess.run(["echo", "by a child"])
            print("no newline at the end", end="")
    """)
    way()
    order = project.order("talk")
    project.call(order)
    said = "\n".join(project.lines)
    for word in (
        "printed",
        "to stderr",
        "INFO mine: logged",
        "UserWarning: warned",
        "from below",
        "by a child",
    ):
        assert word in said
    assert project.lines[-1] == "no newline at the end"
    assert order.log.read_text().splitlines() == project.lines


def test_lines_come_while_the_step_runs(project, warm):
    project.steps("""
        import time
        from pathlib import Path

        def wait(stop):
            print("begun")
            while not Path(stop).exists():
                time.sleep(0.01)
    """)
    warm()
    stop = project.root / "stop"
    thread = threading.Thread(target=project.carry_out, args=("wait", (), {"stop": str(stop)}))
    thread.start()
    wait_until(lambda: project.lines == ["begun"])
    assert thread.is_alive()
    stop.touch()
    thread.join(10)
    assert not thread.is_alive()


def test_an_error_has_the_place_of_the_users_line(project, way):
    project.write("shared/deep.py", "def fall(x):\n    return {}[x]\n")
    project.steps("""
        from shared.deep import fall

        def run(x):
            return fall(x)
    """)
    way()
    with pytest.raises(StepFailed) as failure:
        project.carry_out("run", ["a.json"], {"x": "absent"})
    fault = failure.value.faults[0]
    assert fault.what == "KeyError: 'absent'"
    assert fault.place == Place("shared/deep.py", 2)
    assert {"KeyError", "LookupError", "builtins.KeyError"} <= set(failure.value.causes)
    assert project.lines[0] == "Traceback (most recent call last):"
    assert "steps.py" in project.lines[1]  # the traceback begins with the user's code, not ours
    assert project.lines[-1] == "KeyError: 'absent'"


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        (
            "def run():\n    import packaging.version\n    packaging.version.Version('no.csv')\n",
            "InvalidVersion: ",
            3,
        ),
        ("def run(:\n    pass\n", "SyntaxError: ", 1),
        ("import no_such_package\n\ndef run(): pass\n", "ModuleNotFoundError: ", 1),
        ("raise ValueError('at import')\n\ndef run(): pass\n", "ValueError: at import", 1),
        ("import sys\n\ndef run():\n    sys.exit(3)\n", "the step called sys.exit(3)", 4),
        ("def run():\n    raise MemoryError\n", "MemoryError", 2),
        ("def walk(): pass\n", "there is no function `run`", 0),
        ("def run(needed): pass\n", "TypeError: run() missing 1 required positional", 0),
    ],
)
def test_what_a_users_mistake_says(project, way, text, what, line):
    project.steps(text)
    way()
    with pytest.raises(StepFailed) as failure:
        project.carry_out("run")
    fault = failure.value.faults[0]
    assert fault.what.startswith(what)
    assert fault.place and fault.place.file == "flows/training/steps.py"
    assert fault.place.line == line


def test_a_step_that_hangs_is_killed_with_all_that_it_started(project, way):
    project.steps("""
        import subprocess, time
        from pathlib import Path

        def hang(pids):
            Path(pids).write_text(str(subprocess.Popen(["sleep", "1000"]).pid))
            time.sleep(1000)
    """)
    pids = project.root / "pids"
    way()
    for timeout in (2, 10, 60):  # a machine that is busy may need longer to begin
        with pytest.raises(StepFailed) as failure:
            project.call(project.order("hang", (), {"pids": str(pids)}), timeout=timeout)
        if pids.exists():
            break
    what = f"it ran longer than its timeout of {timeout} s and was killed"
    assert failure.value.faults[0].what == what
    assert "TimeoutError" in failure.value.causes
    wait_until(lambda: gone(int(pids.read_text())))


ESCAPES = """
    import os, signal, subprocess, sys, time
    from pathlib import Path

    def escape(pids, way, then):
        sleep = [sys.executable, "-c", "import time; time.sleep(1000)"]
        if way == "session":
            found = [subprocess.Popen(sleep, start_new_session=True).pid]
        elif way == "stubborn":
            text = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True)"
            child = subprocess.Popen(
                [sys.executable, "-c", text + "; time.sleep(1000)"],
                start_new_session=True, stdout=subprocess.PIPE,
            )
            child.stdout.readline()
            found = [child.pid]
        else:
            inside, outside = os.pipe()
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.write(outside, str(os.getpid()).encode())
                    os.execv(sleep[0], sleep)
                os._exit(0)
            os.wait()
            found = [int(os.read(inside, 99))]
        part = Path(pids + ".part")
        part.write_text(" ".join(map(str, found)))
        part.rename(pids)
        if then == "hang":
            time.sleep(1000)
        if then == "die":
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing adopts orphans")
@pytest.mark.parametrize(
    ("escape", "then"),
    [("session", "hang"), ("session", "return"), ("daemon", "die"), ("stubborn", "hang")],
)
def test_what_fled_into_a_session_of_its_own_ends_with_the_step(project, way, escape, then):
    project.steps(ESCAPES)
    pids = project.root / "pids"
    way()
    given = {"pids": str(pids), "way": escape, "then": then}
    if then == "return":
        project.carry_out("escape", (), given)
    else:
        with pytest.raises(StepFailed, match="timeout" if then == "hang" else "SIGKILL"):
            project.call(project.order("escape", (), given), timeout=1.5)
    for pid in map(int, pids.read_text().split()):
        wait_until(lambda pid=pid: gone(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing adopts orphans")
def test_what_fled_from_one_step_does_not_take_another_along(project, warm):
    project.steps(ESCAPES)
    warm()
    with ThreadPoolExecutor(2) as pool:
        marks = [project.root / f"pids{number}" for number in range(2)]
        given = [
            {"pids": str(mark), "way": "session", "then": then}
            for mark, then in zip(marks, ("return", "hang"), strict=True)
        ]
        stays = pool.submit(project.call, project.order("escape", (), given[1]), timeout=4)
        wait_until(marks[1].exists)
        project.carry_out("escape", (), given[0])
        wait_until(lambda: gone(int(marks[0].read_text())))
        assert not gone(int(marks[1].read_text()))
        with pytest.raises(StepFailed, match="timeout"):
            stays.result()
    wait_until(lambda: gone(int(marks[1].read_text())))


def test_each_attempt_begins_with_nothing(project, way):
    project.steps("""
        import os, signal, time
        from pathlib import Path

        def write(rows: Path, parts: Path, raw: Path, ends):
            before = sorted(path.name for path in parts.iterdir())
            assert not rows.exists() and before == [] and raw.read_text() == "raw"
            raw.chmod(0o644)
            raw.write_text("spoiled")
            with rows.open("a") as file:
                file.write("0\\n1\\n")
            (parts / f"{ends}.txt").write_text("x")
            if ends == "raises":
                raise ConnectionError
            if ends == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            if ends == "hangs":
                time.sleep(1000)
    """)
    way()
    raw = project.put("raw.txt", "raw")
    first = project.order("write", ["rows.txt", "parts/"], {"raw": raw, "ends": "raises"})
    for ends in ("raises", "dies", "hangs", "well"):
        again = replace(first, arguments={**first.arguments, "ends": Value(ends)})
        # As a machine that lost its power leaves it: nobody was there to clear it.
        left = first.directory / "outputs" / "parts"
        left.mkdir(parents=True)
        (left / "dead.txt").write_text("dead")
        (first.directory / "outputs" / "rows.txt").write_text("dead")
        if ends == "well":
            made = project.call(again)
        else:
            with pytest.raises(StepFailed):
                project.call(again, timeout=1.5)
    assert project.read(made.outputs["rows"]) == b"0\n1\n"
    assert list(project.store.members(made.outputs["parts"].digest)) == ["well.txt"]


def test_a_step_that_will_not_end_is_ended(project, warm):
    project.steps("""
        import os, signal, time
        from pathlib import Path

        def stay(pids):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            Path(pids).write_text(str(os.getpid()))
            while True:
                time.sleep(1)
    """)
    pids = project.root / "pids"
    warm()
    with pytest.raises(StepFailed, match="timeout"):
        project.call(project.order("stay", (), {"pids": str(pids)}), timeout=1)
    wait_until(lambda: gone(int(pids.read_text())))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "its process was killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "its process was killed by SIGSEGV"),
        ("os._exit(7)", "its process ended by itself with code 7, before the step was done"),
    ],
)
def test_a_process_that_dies_is_a_step_that_failed(project, way, body, said):
    text = "import os, signal\n\ndef live(): return 1\n\ndef die():\n    print('last words')\n"
    project.steps(f"{text}    {body}\n")
    way()
    with pytest.raises(StepFailed) as failure:
        project.carry_out("die")
    assert said in failure.value.faults[0].what
    assert failure.value.causes == ("Killed",)
    assert project.lines[0] == "last words"
    assert project.carry_out("live", ["out.json"]).values == {"out": 1}


def test_what_a_step_leaves_running_is_ended(project, warm):
    project.steps("""
        import subprocess

        def leave():
            return subprocess.Popen(["sleep", "1000"]).pid
    """)
    warm()
    pid = project.carry_out("leave", ["pid.json"]).values["pid"]
    wait_until(lambda: gone(pid))


def test_many_threads_at_once(project, warm):
    project.steps("""
        import os, time

        def work(number):
            time.sleep(0.05)
            print("number", number)
            return {"number": number, "pid": os.getpid()}
    """)
    warm()
    orders = [project.order("work", ["out.json"], {"number": n}) for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(project.call, orders))
    assert [each.values["out"]["number"] for each in made] == list(range(24))
    assert sorted(project.lines) == sorted(f"number {n}" for n in range(24))


def test_a_step_outlives_one_that_began_before_it_in_the_same_worker(project):
    """Two threads of a Dask worker, where no run has started a supervisor for all its steps."""
    project.steps("""
        import time
        from pathlib import Path

        def wait(begun, stop):
            Path(begun).touch()
            while not Path(stop).exists():
                time.sleep(0.01)
    """)
    names = [(project.root / f"{name}.begun", project.root / f"{name}.stop") for name in "ab"]
    orders = [project.order("wait", (), {"begun": str(b), "stop": str(s)}) for b, s in names]
    (first_begun, first_stop), (second_begun, second_stop) = names
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(project.call, orders[0])
        wait_until(first_begun.exists)
        second = threads.submit(project.call, orders[1])
        wait_until(second_begun.exists)
        first_stop.touch()
        first.result(10)
        second_stop.touch()
        second.result(10)


STATE = """
    import os

    SEEN = []
    COUNT = 0

    def look(x):
        here = {"env": os.environ.get("MARK"), "cwd": os.getcwd()}
        return {"seen": len(SEEN), "count": COUNT, **here}

    def append(x):
        SEEN.append(x)

    def rebind(x):
        global COUNT
        COUNT += 1

    def environment(x):
        os.environ["MARK"] = "left"

    def wander(x):
        os.chdir("/")

    def thread(x):
        import threading, time
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()

    def child(x):
        import subprocess
        subprocess.Popen(["sleep", "30"])

    def fork(x):
        if os.fork() == 0:
            os._exit(0)
"""


@pytest.mark.parametrize(
    "act", ["append", "rebind", "environment", "wander", "thread", "child", "fork"]
)
def test_no_step_sees_the_traces_of_another(project, warm, act):
    project.steps(STATE)
    warm()
    for number in range(3):
        project.carry_out(act, (), {"x": number})
        seen = project.carry_out("look", ["out.json"], {"x": 0}).values["out"]
        assert (seen["seen"], seen["count"], seen["env"]) == (0, 0, None)
        assert seen["cwd"] == os.path.realpath(project.root)


def test_what_was_not_declared_is_noted(project, way):
    project.write("data/side.csv", "a\n1\n")
    project.write("config/at_import.json", "{}")
    project.write("fit.R", "1\n")
    project.write("data/linked.csv", "a\n1\n")
    project.write("data/below/kept.csv", "a\n1\n")
    project.steps("""
        import json, os, sqlite3, subprocess, tempfile
        from pathlib import Path
        import pandas as pd

        CONFIG = json.loads(Path("config/at_import.json").read_text())

        def read(raw: pd.DataFrame, notes: Path):
            pd.read_csv("data/side.csv")
            subprocess.run(["cat", "fit.R"])
            sqlite3.connect("state.sqlite").close()
            with tempfile.TemporaryFile() as file:
                file.write(b"x")
            with tempfile.TemporaryDirectory() as outside:  # `..` behind a link leads back in
                os.symlink(Path("data/below").resolve(), f"{outside}/link")
                open(f"{outside}/link/../linked.csv").close()
            import helper
            notes.write_text("declared")

        def again():
            pass
    """)
    project.write("flows/training/helper.py", "X = 1\n")
    raw = project.put("raw.csv", "a\n1\n")
    way()
    made = project.carry_out("read", ["notes.txt"], {"raw": raw}, code=["fit.R"])
    assert made.facts["undeclared"] == [
        "config/at_import.json", "data/linked.csv", "data/side.csv",
    ]  # fmt: skip
    assert made.facts["written"] == ["state.sqlite"]
    assert project.carry_out("again").facts["undeclared"] == ["config/at_import.json"]


def test_what_a_step_made_itself_is_no_input_of_it(project, warm):
    project.write("log.txt", "before\n")
    project.write("counted.txt", "1")
    project.steps("""
        import os, sqlite3
        from pathlib import Path

        def write():
            with open("log.txt", "a") as file:
                file.write("more")
            Path("made.txt").write_text("x")
            Path("made.txt").read_text()
            Path("part.txt").write_text("x")
            os.replace("part.txt", "whole.txt")
            Path("whole.txt").read_text()
            base = sqlite3.connect("new.sqlite")
            base.execute("create table if not exists a (b)")
            base.close()
            sqlite3.connect("new.sqlite").close()
            Path("gone.txt").touch()
            Path("gone.txt").unlink()

        def count():
            with open("counted.txt", "r+") as file:
                file.write(str(int(file.read()) + 1))
    """)
    warm()
    made = project.carry_out("write")
    assert "undeclared" not in made.facts
    assert made.facts["written"] == ["log.txt", "made.txt", "new.sqlite", "whole.txt"]
    assert project.carry_out("count").facts["undeclared"] == ["counted.txt"]
    assert project.carry_out("write").facts["undeclared"] == ["new.sqlite"], "it was there before"


def test_a_cache_inside_the_project_is_no_undeclared_file(project, warm):
    project.write(".dvc/config", "[cache]\n    dir = ../cache\n")
    project.steps("def look(raw): return raw\n")
    raw = project.put("raw.json", "1")
    assert (project.root / "cache").is_dir()
    warm()
    assert "undeclared" not in project.carry_out("look", ["a.json"], {"raw": raw}).facts


def test_an_interrupt_ends_every_step_and_lets_none_begin(project, way):
    project.steps("""
        import time
        from pathlib import Path

        def hang(mark):
            Path(mark).touch()
            time.sleep(1000)
    """)
    way()
    marks = [project.root / f"mark{n}" for n in range(3)]
    with ThreadPoolExecutor(3) as pool:
        orders = [project.order("hang", (), {"mark": str(mark)}) for mark in marks]
        calls = [pool.submit(project.call, order) for order in orders]
        wait_until(lambda: all(mark.exists() for mark in marks), 30)
        step_process.stop_steps(project.root, "flows/training")
        for call in calls:
            with pytest.raises(StepFailed, match="the run was interrupted") as failure:
                call.result(20)
            assert failure.value.causes == ("Interrupted",)
    with pytest.raises(StepFailed, match="the run was interrupted"):
        project.carry_out("hang", (), {"mark": "never"})
    assert not (project.root / "never").exists()
