"""The command line over runs and versions: its words, its documents, its exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from command_line import call_towpath
from running import FOLDER, Project, plain

HEAVY = ("prefect", "pandas", "numpy", "sklearn", "pyarrow", "dvc", "great_expectations",
         "cookiecutter", "skops", "pydantic_settings", "sqlalchemy", "httpx")  # fmt: skip

#: Calls the command line, and at its end tells on stderr what of HEAVY was imported.
TELLING = """
import atexit, sys
heavy = sys.argv[1].split(",")
atexit.register(lambda: print("loaded", [n for n in heavy if n in sys.modules], file=sys.stderr))
sys.argv = ["towpath", *sys.argv[2:]]
from towpath.cli.main import main
main()
"""


def loaded(project: Project, *words: str, heavy: tuple[str, ...] = HEAVY) -> list[str]:
    """What of the heavy a command imports."""
    command = [sys.executable, "-c", TELLING, ",".join(heavy), *words]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.splitlines()[-1].removeprefix("loaded ").replace("'", '"'))


def test_a_day_with_it(project: Project) -> None:
    first = project.towpath("run")
    assert (first.code, first.out) == (0, "")
    assert (
        plain(first.err)
        == """\
<time> training <run> started
<time> clean running never run here
<time> clean done
<time> fit running never run here
<time> fit done
<time> score running never run here
<time> score done error 7 rows 3
<time> good done `score.metrics.error <= limit` is true
<time> register running not registered yet
<time> register done mean@v1.0.0
<time> reject skipped `good` is true
done in: 4 run, 1 skipped
registered mean@v1.0.0 (towpath show mean@v1.0.0)
"""
    )
    again = project.towpath("run")
    assert (
        plain(again.err)
        == """\
<time> training <run> started
<time> clean reused made by <run>
<time> fit reused made by <run>
<time> score reused made by <run>
<time> good done `score.metrics.error <= limit` is true
<time> register reused mean@v1.0.0, registered before
<time> reject skipped `good` is true
done in: 4 reused, 1 skipped
mean@v1.0.0 was registered before (towpath show mean@v1.0.0)
"""
    )
    for words in (["run"], ["plan"], ["models"], ["runs"], ["check"], ["show", "mean@v1.0.0"]):
        assert loaded(project, *words) == [], words
    assert loaded(project, "--help", heavy=(*HEAVY, "rich", "pydantic", "towpath.errors")) == []
    assert loaded(project, "--version", heavy=(*HEAVY, "rich", "pydantic", "towpath.errors")) == []

    quiet = project.towpath("-q", "run")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    failed = project.towpath("-q", "run", "-p", "limit=1")
    assert (failed.code, failed.out) == (1, "")
    assert failed.err == "error: reject: error 7.0 is above 1\n"
    said = project.towpath("run", "-p", "limit=1")
    assert plain(said.err).endswith(
        "error: reject: error 7.0 is above 1\n"
        "failed in: 3 reused, 1 skipped, 1 failed\n"
        " towpath logs <run> reject\n"
    )
    retried = project.towpath("run", "--retry", "last", "-p", "limit=9", "--json")
    assert retried.json["run"]["params"] == {"factor": 2, "limit": 9}
    assert retried.json["run"]["exit_code"] == retried.code == 0

    tried = project.towpath("run", "-p", "factor=3")
    assert plain(tried.err).splitlines()[-1] == (
        "a trial: nothing is registered (towpath register <run>)"
    )
    assert project.towpath("register", "last").code == 0
    names = project.runs()
    runs = project.towpath("runs")
    assert re.findall(r"^(\S+) +training +(.+?)  ", runs.out, re.M)[:2] == [
        (names[-1], "✓ done"), (names[-2], "✓ done"),
    ]  # fmt: skip
    assert runs.out.splitlines()[0].split() == ["run", "pipeline", "state", "time", "steps",
                                                "asked"]  # fmt: skip
    listed = project.towpath("runs", "-n", "2", "--json").json["runs"]
    assert [run["id"] for run in listed] == names[:-3:-1]
    assert listed[0]["steps"]["fit"]["reason"] == "`factor` 2 -> 3"

    diff = project.towpath("diff", names[0])
    rows = [line.split() for line in diff.out.splitlines()[2:]]
    assert ["parameters", "factor", "2", "3"] in rows
    assert ["metrics", "score.metrics.error", "7", "14"] in rows
    document = project.towpath("diff", names[0], "last", "--json").json["diff"]
    assert (document["left"], document["right"]) == (names[0], names[-1])
    assert {"section": "parameters", "name": "factor", "left": 2, "right": 3} in (
        document["differences"]
    )
    assert "do not differ" in project.towpath("diff", names[0], names[1]).err

    assert_registry(project)


def assert_registry(project: Project) -> None:
    models = project.towpath("models")
    assert re.findall(r"^(mean@\S+) +(\d+) +(\d+) +—", models.out, re.M) == [
        ("mean@v1.1.0", "14", "3"), ("mean@v1.0.0", "7", "3"),
    ]  # fmt: skip
    newest, first = project.towpath("models", "mean", "--json").json["models"]
    assert (newest["version"], first["version"]) == ("v1.1.0", "v1.0.0")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", newest["time"])
    show = project.towpath("show", "mean@latest")
    assert show.out.startswith("mean@v1.1.0\n")
    assert "(parameter factor 2 -> 3, minor over v1.0.0)" in show.out
    version = project.towpath("show", "mean@v1.0.0", "--json").json["version"]
    assert (version["metrics"]["rows"], version["version"]) == (3, "v1.0.0")
    compare = project.towpath("compare", "mean@v1.0.0", "mean@latest")
    assert re.search(r"^parameters +factor +2 +3", compare.out, re.M)
    rows = project.towpath("compare", "mean@v1.0.0", "mean@v1.1.0", "--json").json["comparison"]
    assert {"section": "parameters", "name": "factor", "values": [2, 3]} in rows["rows"]
    alike = project.towpath("compare", "mean@v1.0.0", "mean@v1.0.0")
    assert (alike.out, alike.err) == ("", "nothing differs; with --all, all that they have\n")


def test_a_call_that_is_wrong(project: Project, tmp_path: Path) -> None:
    cases = {
        "compare mean@v1.0.0": "error: a version is compared with another: name two or more\n"
        "  hint: `towpath show mean@v1.0.0` tells of one\n",
        "runz": "error: no command `runz`\n  hint: did you mean `run`?\n",
        "run traning": "error: no pipeline `traning`\n  hint: did you mean `training`?\n",
        "run -p factor": "error: --param factor is no assignment\n"
        "  hint: write --param factor=VALUE\n",
        "run --only nothing": "error: no step `nothing` in training\n"
        "  hint: it has clean, fit, score, good, register, reject\n",
        "run --profile": "error: No such option '--profile'.\n"
        "  hint: it goes before the command: `towpath --profile run`\n",
        "logs -C x": "error: No such option '-C'.\n"
        "  hint: it goes before the command: `towpath -C DIR logs`\n",
        "run --retry x": "error: no run is recorded here\n  hint: `towpath run` makes one\n",
        "logs": "error: no run is recorded here\n  hint: `towpath run` makes one\n",
        "show mean@v1.0.0": "error: there is no model `mean`\n  hint: none was registered yet\n",
        "show mean": "error: `mean` names no version\n"
        "  hint: write mean@v1.0.0, mean@latest or mean#prod\n",
    }
    for words, said in cases.items():
        answer = project.towpath(*words.split())
        assert (answer.code, answer.out, answer.err) == (2, "", said), words
        document = project.towpath(*words.split(), "--json")
        assert (document.code, document.err) == (2, "")
        assert document.json["kind"] == "error"
        assert document.json["exit_code"] == 2
        assert said.startswith(f"error: {document.json['faults'][0]['what']}\n")
    option = project.towpath("run", "--onyl", "x")
    assert option.code == 2
    assert re.match(r"error: No such option.*--only", option.err)
    nowhere = call_towpath(tmp_path, "run")
    assert nowhere.returncode == 2
    assert nowhere.stderr.startswith(
        f"error: no project here: there is no towpath.yaml in {tmp_path}"
    )
    assert call_towpath(tmp_path, "-C", str(project.root / FOLDER), "plan").returncode == 0
    assert project.runs() == []


def test_a_run_whose_api_is_away_counts_no_steps(project: Project) -> None:
    url = "http://127.0.0.1:9/api"
    away = project.towpath("run", PREFECT_API_URL=url)
    assert (away.code, away.out) == (1, "")
    fault, last = away.err.splitlines()[-2:]
    assert fault.startswith(f"error: the Prefect API {url} (environment variable PREFECT_API_URL)")
    assert re.fullmatch(r"failed in [\d.]+s", last)


def on_a_terminal(project: Project, *words: str, **environment: str) -> tuple[int, str]:
    """A command whose stderr is a terminal of 100 columns; its exit code, and what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "towpath", *words], cwd=project.root, stderr=theirs,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    return process.wait(180), shown.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


def test_what_a_terminal_shows(project: Project) -> None:
    assert project.towpath("run").code == 0
    code, live = on_a_terminal(project, "run")
    assert code == 0
    assert "\x1b[" in live
    last = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", live).replace("\r", "").splitlines()
    rows = [re.sub(r"\s+", " ", line).strip() for line in last]
    assert f"↺ clean processing reused, made by {project.runs()[0]}" in rows
    assert "✓ good condition `score.metrics.error <= limit` is true" in rows
    assert any(re.fullmatch(r"\S reject fail `good` is true", row) for row in rows)
    assert rows[-2].startswith("done in ")

    _, uncoloured = on_a_terminal(project, "run", NO_COLOR="1")
    assert "\x1b" not in uncoloured
    for colourless in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        _, wrong = on_a_terminal(project, "runz", **colourless)
        assert "runz" in wrong
        assert "\x1b" not in wrong
    _, in_ci = on_a_terminal(project, "run", CI="true")
    assert "\x1b[?25l" not in in_ci
    assert "reused" in in_ci
