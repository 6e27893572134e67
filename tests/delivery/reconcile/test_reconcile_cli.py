"""The verb: plan, check, apply, JSON and Markdown, and what it answers to the shell."""

from __future__ import annotations

import json

from command_line import call_towpath
from reconcile_project import Project, declare


def _call(project: Project, *words: str) -> tuple[int, str, str]:
    around = {**project.environ, "NO_COLOR": "1"}
    done = call_towpath(project.root, "reconcile", *words, **around)
    return done.returncode, done.stdout, done.stderr


def test_the_verb(project: Project) -> None:
    version = project.register(b"one")
    project.promote(version, "dev")
    head = project.git("rev-parse", "--short=7", "HEAD")
    code, out, _ = _call(project, "dev")
    assert (code, out) == (
        0,
        f"dev  main {head}, store .towpath/stages/dev, target the stage's store\n"
        f"  abalone  deploy {version}\n",
    )
    assert _call(project, "--check")[0] == 4
    code, out, _ = _call(project, "dev", "--apply", "--format", "md")
    assert code == 0
    assert f"| abalone | deploy {version} | done: no smoke test" in out
    code, out, _ = _call(project, "--check")
    assert (code, out.count("nothing is wanted here")) == (0, 2)
    code, out, _ = _call(project, "dev", "--json")
    assert json.loads(out)["reconcile"][0]["changes"] == [
        {
            "model": "abalone",
            "change": "nothing",
            "version": version,
            "over": None,
            "words": f"nothing to do: {version}",
        }
    ]
    project.promote(version, "uat", trailers="", by={})
    code, out, _ = _call(project, "uat", "--apply", "--json")
    change = json.loads(out)["reconcile"][0]["changes"][0]
    assert (code, change["outcome"]) == (3, "refused")
    assert "approved as `none`" in change["faults"][0]["what"]
    code, _, err = _call(project, "prdo")
    assert code == 2
    assert "did you mean `prod`?" in err
    assert _call(project, "--check", "--apply")[0] == 2


def test_a_stage_that_cannot_be_seen_keeps_no_other_from_being_judged(project: Project) -> None:
    version = project.register(b"one")
    project.up_to("uat", version)
    memory = project.store("dev").backend.root / "towpath" / "main.json"  # type: ignore[attr-defined]
    memory.write_text('{"schema": 1, "ma')
    project.promote(version, "prod")
    code, out, _ = _call(project, "--apply", "--json")
    dev, uat, prod = json.loads(out)["reconcile"]
    assert code == 1
    assert dev["changes"] == []
    [fault] = dev["faults"]
    assert "towpath/main.json in the store of dev" in fault["what"]
    assert fault["hint"] == "towpath reconcile dev --apply --accept-history"
    assert [change["change"] for change in uat["changes"]] == ["nothing"]
    assert [change["outcome"] for change in prod["changes"]] == ["done"]
    code, out, _ = _call(project)
    assert code == 1
    assert "dev\n  error: towpath/main.json in the store of dev" in out
    assert "    hint: towpath reconcile dev --apply --accept-history\n" in out
    assert out.count("nothing to do") == 2
    assert _call(project, "--check")[0] == 1
    assert "### dev\n\n> towpath/main.json" in _call(project, "--format", "md")[1]
    code, _, err = _call(project, "dev")
    assert (code, err.count("is damaged")) == (1, 1)
    assert _call(project, "dev", "--apply", "--accept-history")[0] == 0
    assert _call(project, "--check")[0] == 0


def test_a_stage_whose_api_is_silent_keeps_no_other(project: Project) -> None:
    version = project.register(b"one")
    project.up_to("prod", version)
    silent = "dev: {api: 'http://127.0.0.1:9/api', deploy: {to: prefect}}"
    declare(project, f"{{{silent}, uat: {{}}, prod: {{}}}}")
    code, out, _ = _call(project, "--json")
    dev, uat, prod = json.loads(out)["reconcile"]
    assert code == 1
    assert "http://127.0.0.1:9/api does not answer" in dev["faults"][0]["what"]
    for seen in (uat, prod):
        assert [change["version"] for change in seen["changes"]] == [version]
        assert "faults" not in seen
