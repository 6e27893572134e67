"""What goes wrong in a step: a clear word, what ended well is kept, the work tree is left alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from running import FOLDER, Project, ran, reasons, states

FAILING = """\
steps:
  good: {run: good, outputs: [answer.json]}
  raises: {run: raises, outputs: [answer.json]}
  short: {run: short, outputs: [one.json, other.json]}
  misnamed: {run: misnamed, outputs: [one.json, other.json]}
  tuples: {run: tuples, outputs: [one.json, other.json]}
  nothing: {run: nothing, outputs: [answer.json]}
  unwritten: {run: unwritten, outputs: [answer.json]}
  greedy: {run: greedy, outputs: [answer.json]}
  exits: {run: exits, outputs: [answer.json]}
  dies: {run: dies, outputs: [answer.json]}
  killed: {run: killed, outputs: [answer.json]}
  slow: {run: slow, outputs: [answer.json], timeout: 500ms}
  follows: {run: follows, inputs: [raises.answer], outputs: [answer.json]}
  odd: {run: odd, outputs: [answer.json]}
"""

STEPS = """\
import os
import signal
import sys
import time
from pathlib import Path


def good() -> dict:
    print("so far so good")
    return {"value": 1}


def divide(one, other):
    return one / other


def raises() -> dict:
    print("about to divide")
    return {"value": divide(1, 0)}


def short() -> dict:
    return {"one": 1}


def misnamed() -> dict:
    return {"one": 1, "othre": 2}


def tuples():
    return 1, 2


def nothing() -> dict:
    pass


def unwritten(answer: Path) -> None:
    pass


def greedy() -> dict:
    bytearray(1 << 60)


def exits() -> dict:
    sys.exit("no more")


def dies() -> dict:
    os._exit(7)


def killed() -> dict:
    os.kill(os.getpid(), signal.SIGKILL)


def slow() -> dict:
    time.sleep(60)


def follows(answer: dict) -> dict:
    return answer


def odd() -> dict:
    class Odd(Exception):
        def __init__(self, one, two):
            super().__init__(one)
            self.lock = open(os.devnull)

    raise Odd("odd", 2)
"""


def line(text: str) -> int:
    """Where a line of the functions stands."""
    found = [n for n, said in enumerate(STEPS.splitlines(), 1) if said.startswith(text)]
    assert len(found) == 1
    return found[0]


def test_each_fault_has_its_word(project: Project) -> None:
    project.declare(FAILING, STEPS)
    project.commit()
    run = project.run_by_prefect()
    assert (run.state, run.exit_code) == ("failed", 1)
    at = f"{FOLDER}/steps.py"
    said = {name: step.error[0] for name, step in run.steps.items() if step.error}
    assert {name: re.sub(r"at \d+ MB", "at <n> MB", words) for name, words in said.items()} == {
        "raises": f"{at}:{line('    return one / other')}: ZeroDivisionError: division by zero",
        "short": f"{at}:{line('def short() -> dict:')}: the function did not return `other` "
        "(it returned `one`)",
        "misnamed": f"{at}:{line('def misnamed() -> dict:')}: the function did not return `other` "
        "(it returned `one`, `othre`)",
        "tuples": f"{at}:{line('def tuples():')}: the function returned a tuple, "
        'expected `one`, `other` by name (return {"one": ..., "other": ...})',
        "nothing": f"{at}:{line('def nothing() -> dict:')}: the function returned nothing, "
        "expected `answer` (return it, or take an argument `answer: Path` and write the file "
        "yourself)",
        "unwritten": f"{at}:{line('def unwritten(answer: Path) -> None:')}: output `answer`: "
        "the function wrote nothing at answer.json",
        "exits": f"{at}:{line('    sys.exit(')}: the step called sys.exit('no more')",
        "greedy": f"{at}:{line('    bytearray(')}: MemoryError",
        "dies": "its process ended by itself with code 7, before the step was done; "
        "its memory peaked at <n> MB",
        "killed": "its process was killed by SIGKILL; its memory peaked at <n> MB "
        "(perhaps the machine ran out of memory)",
        "slow": "it ran longer than its timeout of 0.5 s and was killed",
        "odd": f"{at}:{line('    raise Odd(')}: Odd: odd",
    }
    assert (states(run)["good"], states(run)["follows"]) == ("done", "skipped")
    assert reasons(run)["follows"] == "`raises` failed"
    assert not project.artifacts.exists(), "a failed run leaves the work tree"
    assert project.git("status", "--porcelain") == ""
    project.assert_whole()

    log = project.towpath("logs", "last", "raises")
    assert "about to divide" in log.out
    assert "return one / other" in log.out, "the traceback is in the log"
    assert "towpath" not in log.out.partition("Traceback")[2], "and begins in the project"
    assert project.towpath("logs", "last", "good").out == "so far so good\n"

    project.code("    return one / other", "    return other / one")
    again = project.run_by_prefect()
    assert ran(again) == {*states(again)} - {"good"}, "it goes on from what ended well"
    assert states(again)["follows"] == "done"


RETRYING = """\
params: {notes: {type: string}}
steps:
  again: {run: again, params: [notes], outputs: [a.json], retry: {attempts: 3, errors: [OSError]}}
  never: {run: never, params: [notes], outputs: [a.json], retry: {attempts: 3, errors: [KeyError]}}
  spent: {run: spent, params: [notes], outputs: [a.json], retry: {attempts: 2}}
"""

TRYING = """\
from pathlib import Path


def count(notes, name):
    with (Path(notes) / name).open("a") as file:
        file.write("x")
    return len((Path(notes) / name).read_text())


def again(notes: str) -> dict:
    if count(notes, "again") < 3:
        raise ConnectionError("not yet")
    return {}


def never(notes: str) -> dict:
    count(notes, "never")
    raise ValueError("no use")


def spent(notes: str) -> dict:
    raise KeyError(count(notes, "spent"))
"""


def test_another_attempt(project: Project, tmp_path: Path) -> None:
    project.declare(RETRYING, TRYING)
    notes = tmp_path / "notes"
    notes.mkdir()
    run = project.run_by_prefect(params={"notes": str(notes)})
    assert {path.name: path.read_text() for path in notes.iterdir()} == {
        "again": "xxx", "never": "x", "spent": "xx",
    }  # fmt: skip
    assert states(run) == {"again": "done", "never": "failed", "spent": "failed"}
    assert {name: step.attempt for name, step in run.steps.items()} == {
        "again": 3, "never": 1, "spent": 2,
    }  # fmt: skip
    assert reasons(run)["spent"] == "KeyError: 2"
    failed = {
        name: [(a.number, a.error) for a in s.failed_attempts] for name, s in run.steps.items()
    }
    not_yet = "ConnectionError: not yet"
    assert failed == {
        "again": [(1, not_yet), (2, not_yet)],
        "never": [],
        "spent": [(1, "KeyError: 1")],
    }
    again = run.steps["again"]
    assert again.failed_attempts[0].started < again.failed_attempts[1].started < again.started
    told = project.towpath("show", run.id, "--json").json
    assert '"error": "KeyError: 1"' in json.dumps(told)


def test_what_cannot_begin(project: Project) -> None:
    """Faults of declaration and code come all at once, before anything has run."""
    project.declare(
        """\
        params: {level: 1}
        steps:
          one: {run: missing, outputs: [a.json]}
          two: {run: two, params: {levle: level}, outputs: [b.json]}
        """,
        """\
        def two(level: int, other: int) -> dict:
            return {}


        def mising():
            return {}
        """,
    )
    error = project.refused()
    assert error.exit_code == 2
    assert [str(fault) for fault in error.faults] == [
        "flows/training/pipeline.yaml:3: there is no function `missing` in "
        "`flows/training/steps.py` "
        "(did you mean `mising`?)",
        "flows/training/pipeline.yaml:4: two() has no argument `levle`, which step `two` gives it "
        "(did you mean `level`?)",
        "flows/training/steps.py:1: two() wants `other`, which step `two` does not give it",
    ]


SIGNS = """\
def shout(text: str) -> dict:
    raise ValueError(text)
"""


@pytest.mark.parametrize("sign", ["\u2028", "\u0085"])
def test_a_record_holds_whatever_signs_there_are(project: Project, sign: str) -> None:
    project.declare(
        """\
        params: {text: a}
        steps:
          shout: {run: shout, params: [text], outputs: [a.json]}
        """,
        SIGNS,
    )
    run = project.run_by_prefect(params={"text": f"a{sign}b"})
    assert (run.state, run.exit_code) == ("failed", 1)
    assert run.params == {"text": f"a{sign}b"}


def test_half_a_character(project: Project) -> None:
    declared = """\
        params: {text: a}
        steps:
          shout: {run: shout, params: [text], outputs: [a.json]}
        """
    project.declare(declared, SIGNS.replace("ValueError(text)", "ValueError(chr(0xD800))"))
    assert "must be text" in str(project.refused(params={"text": "a\ud800"}))
    run = project.run_by_prefect()
    assert (run.state, run.exit_code) == ("failed", 1)
    assert run.error == (f"shout: {FOLDER}/steps.py:2: ValueError: \\ud800",)


def test_a_key_that_is_not_there_is_a_step_that_failed(project: Project) -> None:
    project.declare(
        """\
        steps:
          one: {run: one, outputs: [a.json]}
          two: {run: two, inputs: {x: one.a.nosuch}, outputs: [b.json]}
          other: {run: one, outputs: [c.json]}
        """,
        "def one(): return {'v': 1}\n\n\ndef two(x): return {'x': x}\n",
    )
    for _ in range(2):  # the second knows from the start what there is
        run = project.run_by_prefect()
        assert (run.state, run.exit_code) == ("failed", 1)
        assert run.error == ("two: one.a has no `nosuch` (it has v)",)
        assert states(run)["other"] in ("done", "reused")


def test_a_failed_condition_counts(project: Project) -> None:
    project.declare(
        """\
        steps:
          one: {run: one, outputs: [a.json]}
          good: {kind: condition, if: one.a.v > 1, then: [two]}
          two: {run: one, outputs: [b.json]}
        """,
        "def one(): return {'v': float('nan')}\n",
    )
    said = project.towpath("run")
    assert said.code == 1
    assert re.search(r"failed in [\d.]+s: .*1 failed", said.err)


def test_sixty_attempts(project: Project) -> None:
    project.declare(
        "steps: {one: {run: one, outputs: [a.json], retry: {attempts: 60, backoff: 1.01}}}\n",
        "def one(): return {'v': 1}\n",
    )
    assert project.run_by_prefect().state == "done"


def test_what_code_names_is_looked_for_before_anything_runs(project: Project) -> None:
    project.declare(
        """\
        steps:
          one: {run: missing, outputs: [a.json], tiemout: 3}
          two: {run: two, outputs: [b.json], code: [nosuch.R]}
          three: {run: gone, outputs: [c.json]}
        """,
        "def two(): return {'v': 1}\n",
    )
    faults = "\n".join(map(str, project.refused().faults))
    for words in ("no key `tiemout`", "yaml:3: `code: nosuch.R` matches no file", "`gone`"):
        assert words in faults
