"""The project's own gates, and whose policy it is that judges."""

from __future__ import annotations

import html
import json
import os
import re
import time

import psutil
import pytest
from markdown_it import MarkdownIt
from msgspec import structs

from towpath.backends.git import Repository
from towpath.delivery.gates.gate_context import TimeBelow
from towpath.delivery.promotion import evidence
from towpath.markdown_text import markdown_table
from towpath.registry import VersionNumber, policy_at_commit

OWN = "{kind: function, run: 'checks.own:judge', model: false, timeout: 20s}"


def test_a_function_sees_the_version_and_says_why(desk):
    code = """
from checks.limits import LIMIT

def judge(context):
    print("noise")
    assert context["incumbent"]["version"] == "v1.0.0"
    assert context["stage"] == "prod"
    assert context["model"].endswith("/model.skops")
    size = len(open(context["model"], "rb").read())
    open(context["model"], "w").close()  # its own copy
    rows = open(context["data"]["rows.csv"]).read()
    value = context["candidate"]["artifact"]["size"]
    return {"passed": value < LIMIT and size == value and rows == "a\\n1\\n",
            "value": value, "bound": f"below {LIMIT}", "detail": "bytes"}
"""
    (desk.data / "rows.csv").write_text("a\n1\n")
    files = {"checks/own.py": code, "checks/limits.py": "LIMIT = 1_000_000\n"}
    gate = "{kind: function, run: 'checks.own:judge', data: [rows.csv]}"
    verdict = desk.one(gate, files, incumbent=desk.record(version=VersionNumber(1, 0, 0)))
    size = desk.model.stat().st_size
    assert size > 0
    assert verdict.passed, verdict.detail
    assert (verdict.value, verdict.bound, verdict.detail) == (size, "below 1000000", "bytes")


@pytest.mark.parametrize(
    ("code", "passed", "detail"),
    [
        ("return True", True, ""),
        ("return False", False, ""),
        ("return {'passed': False, 'value': [1]}", False, ""),
        ("return 'yes'", False, "checks.own:judge returned a str, not true, false or a mapping"),
        ("return {'pased': True}", False, "returned a dict, not true, false or a mapping"),
        (
            "return {'passed': True, 'valu': 1}",
            False,
            "checks.own:judge returned `valu`; known are",
        ),
        ("return {'passed': 1}", False, "returned a dict, not true, false or a mapping"),
        ("return None", False, "returned a NoneType"),
        ("return {'passed': True, 'value': float('nan')}", False, "is NaN or infinite"),
        ("return {'passed': True, 'value': object()}", False, "has no place in JSON"),
        ("raise ValueError('too\\nlarge')", False, "ValueError: too large (checks/own.py:2)"),
        ("import sys; sys.exit(0)", False, "it called sys.exit(0)"),
        ("import os; os._exit(0)", False, "its process ended with 0 before it answered"),
        ("import os; os.abort()", False, "its process was killed by SIGABRT before it answered"),
        ("return checks", False, "NameError: name 'checks' is not defined (checks/own.py:2)"),
    ],
)
def test_what_a_function_may_answer(desk, code, passed, detail):
    verdict = desk.one(OWN, {"checks/own.py": f"def judge(context):\n    {code}\n"})
    assert verdict.passed is passed
    assert detail in verdict.detail
    assert verdict.detail.startswith("cannot be evaluated: ") is bool(detail)


@pytest.mark.parametrize(
    "answer",
    [
        {"answer": {"passed": "yes"}},
        {"answer": {"passed": True, "value": float("nan")}},
        {"answer": {"passed": True, "more": 1}},
        {"answer": [True]},
        {"passed": True},
        {"why": ["no"]},
        [],
    ],
    ids=str,
)
def test_an_answer_that_the_function_wrote_itself(desk, answer):
    """It finds where its process answers, and writes there before that does."""
    lines = json.dumps({"answer": answer}) + "\n"
    code = f"""
import os
def judge(context):
    for number in range(3, 4096):
        try:
            os.write(number, {lines.encode()!r})
        except OSError:
            pass
    os._exit(0)
"""
    verdict = desk.one(OWN, {"checks/own.py": code})
    assert not verdict.passed
    assert "cannot be evaluated: its process answers with what is no answer" in verdict.detail


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ("checks.own:judeg", "there is no function `judeg` (did you mean `judge`?)"),
        ("checks.owl:judge", "there is no checks/owl.py in the commit that judges"),
        ("broken:judge", "SyntaxError"),
    ],
)
def test_a_function_that_is_not_there(desk, run, why):
    files = {"checks/own.py": "def judge(context): ...\n", "broken.py": "def judge(:\n"}
    verdict = desk.one(OWN.replace("checks.own:judge", run), files)
    assert not verdict.passed
    assert why in verdict.detail


def test_a_function_that_hangs_is_ended_with_all_that_it_started(desk):
    seconds = f"600.{os.getpid()}"
    code = f"""
import subprocess, time
def judge(context):
    subprocess.Popen(["sleep", "{seconds}"], start_new_session=True)
    time.sleep(600)
"""
    begun = time.monotonic()
    verdict = desk.one(OWN.replace("20s", "3s"), {"checks/own.py": code})
    assert not verdict.passed
    assert verdict.detail == (
        "cannot be evaluated: it took longer than its timeout of 3 s and was ended"
    )
    assert time.monotonic() - begun < 15
    assert not _runs(["sleep", seconds])


def _runs(words):
    return any(
        process.info["cmdline"] == words and process.info["status"] != psutil.STATUS_ZOMBIE
        for process in psutil.process_iter(["cmdline", "status"])
    )


def test_a_function_gets_what_its_gate_declares_and_nothing_else(desk, monkeypatch):
    code = """
import os, socket

def judge(context):
    keys = sorted(name for name in os.environ if name.endswith("_KEY"))
    try:
        socket.socket().close()
        return {"passed": True, "detail": f"{keys} with a socket"}
    except OSError:
        return {"passed": True, "detail": f"{keys} without"}
"""
    for name in ("API_KEY", "PROD_KEY"):
        monkeypatch.setenv(name, "hunter2")
    files = {"checks/own.py": code}
    assert desk.one(OWN, files).detail == "[] without"
    declared = f"{OWN[:-1]}, environment: [API_KEY], network: true}}"
    assert desk.one(declared, files).detail == "['API_KEY'] with a socket"
    missing = desk.one(f"{OWN[:-1]}, environment: [NO_KEY]}}", files)
    assert not missing.passed
    assert "NO_KEY is not in the environment, and `environment` names it" in missing.detail


POLICY = """
metric: {kind: metric, metric: mse, at_most: 1}
golden: {kind: golden, samples: g.csv, when: review, absolute: 0.1}
own: {kind: function, run: 'own:judge', model: false, when: review}
data: {kind: expectations, expectations: s.yaml, data: holdout.parquet}
"""


def test_a_candidate_does_not_judge_itself(desk):
    suite = "expectations:\n  - {type: expect_column_to_exist, column: %s}\n"
    strict = {
        "g.csv": "a,b,expected\n0,0,99\n",
        "own.py": "from lib import answer\ndef judge(context):\n    return answer\n",
        "lib.py": "answer = False\n",
        "s.yaml": suite % "none",
    }
    base = desk.commit(POLICY, strict)
    lax = {"g.csv": "a,b,expected\n0,0,0\n", "lib.py": "answer = True\n", "s.yaml": suite % "a"}
    desk.commit(POLICY.replace("at_most: 1", "at_most: 9"), lax)
    desk.base = base
    verdicts = (*desk.judge("review"), *desk.judge("deploy"))
    assert [verdict.passed for verdict in verdicts] == [False] * 4
    assert [verdict.source for verdict in verdicts] == [
        f"towpath.yaml:{line} at {base[:7]}" for line in (6, 7, 8, 9)
    ]
    assert all("cannot be evaluated" not in verdict.detail for verdict in verdicts)


def test_a_project_in_a_folder_of_a_bare_repository(desk, tmp_path):
    files = {
        "apps/abalone/towpath.yaml": (
            "name: abalone\nstages:\n  prod:\n    gates:\n"
            "      own: {kind: function, run: 'own:judge', model: false, when: review}\n"
            "      g: {kind: golden, samples: none.csv, when: review}\n"
        ),
        "apps/abalone/own.py": "import lib, package\ndef judge(context):\n    return lib.answer\n",
        "apps/abalone/src/package/__init__.py": "",
        "apps/abalone/lib.py": "answer = True\n",
        "lib.py": "answer = False\n",
    }
    desk.commit("g: {kind: safe}", files)
    desk.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    repository = Repository.open(tmp_path / "bare.git")
    project = policy_at_commit.read_project_at(repository, desk.base, "apps/abalone")
    own, golden = desk.judge(repository=repository, project=project, folder="apps/abalone")
    assert own.passed, own.detail
    assert own.source == f"apps/abalone/towpath.yaml:5 at {desk.base[:7]}"
    assert "there is no none.csv at" in golden.detail


def test_gates_are_judged_in_their_time_and_order(desk):
    desk.commit("z: {kind: signature}\nown: {kind: safe}\na: {kind: soak, at_least: 1s}")
    judged = desk.judge("review", below=TimeBelow(1_790_000_000, 0))
    assert [verdict.gate for verdict in judged] == ["z", "a"]
    assert [verdict.gate for verdict in desk.judge("deploy")] == ["own"]
    assert desk.judge("review", stage="uat") == ()


HOSTILE = "x | `rm -rf` <img src=x> @ada [a](http://evil.org) **b** $1$ #7 ~~c~~ www.evil.org\n| |"


def test_text_of_others_is_only_text(desk):
    code = f"def judge(context):\n    return {{'passed': False, 'detail': {HOSTILE!r}}}\n"
    metrics = {"mse\x1b[31m|`<b>": 4.5}
    candidate = structs.replace(desk.record(), metrics=metrics)
    named = json.dumps("@ada|<script>")
    gate = f"{named}: {{kind: metric, metric: mse, at_most: 6}}\nown: {OWN[:-1]}, when: review}}"
    desk.commit(gate, {"checks/own.py": code})
    verdicts = desk.judge(candidate=candidate)
    table = markdown_table(("",) * 5, map(evidence._verdict_row, verdicts))
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(table)
    tags = {tag.partition(" ")[0] for tag in re.findall(r"</?([^>]+)>", shown)}
    assert tags == {"table", "thead", "tbody", "tr", "th", "td", "strong", "code"}
    text = html.unescape(shown).replace("\u200b", "")
    assert f"<td>{' '.join(HOSTILE.split())}</td>" in text
    assert shown.count("<td>") == 2 * 5
    assert shown.count("<strong>failed</strong>") == 2
    for called in ("@ada", "#7", "http://", "www."):
        outside = re.sub("<code>.*?</code>", "", shown)  # in which GitHub makes no link
        assert called not in html.unescape(outside), "GitHub would make a link of it"
    assert verdicts[1].detail.startswith("x | `rm -rf` <img src=x> @ada")
    cells = [cell for verdict in verdicts for cell in structs.astuple(verdict)]
    assert all(str(cell).isprintable() for cell in cells)
