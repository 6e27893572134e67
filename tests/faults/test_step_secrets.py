"""The secrets of a step: nothing that is kept or shown holds one, whatever the step does."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

import run_fixtures
from running import FOLDER, Project, reasons, states
from towpath.errors import UserError

loose = run_fixtures.loose

TOKEN = "hush-9+8/very-secret"

PIPELINE = """
steps:
  fetch:
    run: fetch
    env: {MODE: fast, DEPTH: 3, DRY: true}
    secrets: [API_TOKEN]
    outputs: [seen.json]
  shown:
    kind: command
    command: [bash, -c, 'echo "in the shell: $KEY" | tee /dev/stderr']
    secrets: {KEY: API_TOKEN}
    code: []
  plain:
    run: plain
    outputs: [none.json]
  leaks:
    run: leaks
    secrets: [API_TOKEN]
    outputs: [told.txt]
  raises:
    run: raises
    secrets: [API_TOKEN]
  names:
    run: names
    secrets: [API_TOKEN]
    outputs: [parts/]
  hides:
    run: hides
    secrets: [API_TOKEN]
  dies:
    run: dies
    secrets: {KEYS: OF_MANY_LINES, API_TOKEN: API_TOKEN}
"""
STEPS = """
import base64, html, os, pathlib, subprocess, sys, urllib.parse

import towpath

AT_IMPORT = os.environ.get("MODE")

def fetch() -> dict:
    token = os.environ["API_TOKEN"]
    print("as it is", token, repr(token), base64.b64encode(token.encode()).decode())
    sys.stdout.write("in " + token[:9]); sys.stdout.flush(); print(token[9:], "parts")
    os.system("echo from a program $API_TOKEN")
    return {"mode": AT_IMPORT, "depth": os.environ["DEPTH"], "dry": os.environ["DRY"]}

def plain() -> dict:
    return {"mode": os.environ.get("MODE")}

def leaks() -> str:
    return "the token is " + os.environ["API_TOKEN"]

def names(parts: pathlib.Path):
    (parts / urllib.parse.quote(os.environ["API_TOKEN"], safe="")).touch()
    for part in parts.iterdir():  # of a file that is as old as this the digest is remembered
        os.utime(part, (1, 1))

def hides():
    token = os.environ["API_TOKEN"]
    towpath.log_metric(f"loss of {token}", 1)
    program = "import os, towpath; towpath.log_metric(os.environ['API_TOKEN'], 2)"
    subprocess.run([sys.executable, "-c", program], check=True)
    pathlib.Path("left-" + token.replace("/", "") + token.encode().hex()).touch()
    for before in ("u:", "me:", "ada:"):
        print("Basic", base64.b64encode((before + token + "!").encode()).decode())
    print(urllib.parse.quote_plus(token), urllib.parse.quote(token), token.encode())
    print(urllib.parse.quote(token, safe="").lower(), html.escape(token), token.encode().hex())
    error = RuntimeError("no")
    error.add_note("with " + token)
    raise error

def dies():
    print("cut", os.environ["KEYS"].splitlines()[1][2:], "whole", os.environ["KEYS"], flush=True)
    os.write(2, b"last words " + os.environ["API_TOKEN"].encode())
    os.kill(os.getpid(), 9)

def raises():
    raise ValueError("refused: " + os.environ["API_TOKEN"])
"""


def everything_below(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def test_no_secret_of_a_step_is_kept_or_shown(
    loose: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = loose
    project.declare(PIPELINE, STEPS)
    monkeypatch.delenv("API_TOKEN", raising=False)
    monkeypatch.setenv("OF_MANY_LINES", "-----BEGIN-----\nline-of-a-key-1\nline-of-a-key-2\n")
    refused = project.refused()
    assert isinstance(refused, UserError)
    assert [str(fault) for fault in refused.faults] == [
        f"step `{step}` needs the secret `{name}`: API_TOKEN is not set"
        " (set that variable where the run begins)"
        for step, name in
        (("fetch", "API_TOKEN"), ("shown", "KEY"), ("leaks", "API_TOKEN"), ("raises", "API_TOKEN"),
         ("names", "API_TOKEN"), ("hides", "API_TOKEN"), ("dies", "API_TOKEN"))
    ]  # fmt: skip
    monkeypatch.setenv("API_TOKEN", TOKEN)
    run = project.run()
    assert states(run) == {
        "fetch": "done", "shown": "done", "plain": "done", "leaks": "failed", "raises": "failed",
        "names": "failed", "hides": "failed", "dies": "failed",
    }  # fmt: skip
    assert run.steps["fetch"].made.values["seen"] == {"mode": "fast", "depth": "3", "dry": "true"}
    assert run.steps["plain"].made.values["none"] == {"mode": None}
    assert reasons(run)["leaks"] == "output `told` holds the secret `API_TOKEN`"
    assert reasons(run)["raises"] == "ValueError: refused: ***"
    folder = project.workspace.runs / run.id
    log = (folder / "fetch" / "log.txt").read_text()
    assert log.splitlines() == [
        "as it is *** '***' ***", "in *** parts", "from a program ***",
    ]  # fmt: skip
    assert "in the shell: ***" in (folder / "shown" / "log.txt").read_text()
    assert reasons(run)["names"] == "output `parts` holds the secret `API_TOKEN`"
    log = (folder / "hides" / "log.txt").read_text()
    print(log)
    assert "with ***" in log
    metrics = (folder / "hides" / "metrics.jsonl").read_text()
    assert '"loss of ***"' in metrics and '"***"' in metrics
    log = (folder / "dies" / "log.txt").read_text()
    assert log.splitlines() == ["cut ne-of-a-key-1 whole ***", "last words ***"]
    kept = everything_below(project.root / ".towpath")
    kept += everything_below(project.root / ".dvc")  # the store
    kept += everything_below(Path(os.environ["TOWPATH_HOME"]))  # Prefect's database
    encoded = base64.b64encode(TOKEN.encode()).decode()
    for form in (TOKEN, "line-of-a-key-2", encoded, "very-secret", TOKEN.encode().hex()):
        assert form.encode() not in kept
    # In Base64 inside of more: what no byte beside it has a part in.
    inside = (base64.b64encode(("x" * n + TOKEN).encode())[4:-4] for n in range(3))
    assert not any(form in kept for form in inside)
    # What is reused needs no secret, and another secret is no other result.
    project.edit(f"{FOLDER}/pipeline.yaml", PIPELINE[PIPELINE.index("  leaks:") :], "")
    monkeypatch.delenv("API_TOKEN")
    assert set(states(project.run()).values()) == {"reused"}
    project.edit(f"{FOLDER}/pipeline.yaml", "MODE: fast", "MODE: slow")
    assert project.plan()["fetch"] == "run: its declaration changed"
