"""The verbs of promotion as a person types them: words, documents, exit codes."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from promotion_project import POLICY, Project
from towpath.cli import main
from towpath.cli.render.fault_words import report_error


def typed(project: Project, *words: str) -> Result:
    """One call; a fault is said, and gives the exit code, as in the program."""
    runner = CliRunner()

    @click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    @click.pass_context
    def program(ctx: click.Context, rest: tuple[str, ...]) -> None:
        try:
            main.towpath.main(["-C", str(project.root), *rest], standalone_mode=False)
        except Exception as error:
            ctx.exit(report_error(error, list(rest)))

    return runner.invoke(program, list(words))


def document(result: Result) -> Any:
    return json.loads(result.stdout)


@pytest.fixture
def ready(project: Project) -> Project:
    """A project in which one person is enough, with two versions, the first of them in dev."""
    project.commit({"towpath.yaml": POLICY + "policy: {self_approval: true}\n"})
    project.register()
    project.register("second", metrics={"mse": 7.5}, parameters={})
    project.promote("abalone@v1.0.0", "dev", by="ada")
    return project


def test_promote_check_and_approve(ready: Project) -> None:
    said = typed(ready, "promote", "abalone@v1.0.0", "--to", "uat")
    assert said.exit_code == 0, said.output
    assert "abalone@v1.0.0 -> uat" in said.stdout
    assert "branch  promote/abalone-v1.0.0-uat (" in said.stdout
    assert "next    towpath approve promote/abalone-v1.0.0-uat" in said.stderr
    said = typed(ready, "approve")
    assert (
        "promote/abalone-v1.0.0-uat   Promote abalone@v1.0.0 to uat   Ada Lovelace" in said.stdout
    )
    said = typed(ready, "check", "--promotion", "--head", "promote/abalone-v1.0.0-uat")
    assert (said.exit_code, "this may be merged" in said.stderr) == (0, True)
    said = typed(ready, "approve", "promote/abalone-v1.0.0-uat")
    assert said.exit_code == 0, said.output
    assert "level   recorded, which proves nothing to others" in said.stdout
    assert "no promotion waits" in typed(ready, "approve").stderr


def test_a_gate_that_says_no_is_three(ready: Project) -> None:
    said = typed(ready, "promote", "abalone@v1.1.0", "--to", "dev")
    assert said.exit_code == 3
    assert "FAILED" in said.stdout
    assert "the gate `good_enough` keeps abalone@v1.1.0 out of dev" in said.stderr
    said = typed(ready, "promote", "abalone@v1.1.0", "--to", "dev", "--format", "md", "--dry-run")
    assert (said.exit_code, "✗ **failed**" in said.stdout) == (3, True)
    said = typed(ready, "promote", "abalone@v1.1.0", "--to", "dev", "--json")
    assert (said.exit_code, document(said)["kind"], document(said)["exit_code"]) == (3, "error", 3)
    assert not ready.has("promote/abalone-v1.1.0-dev")
    assert typed(ready, "promote", "abalone@v1.0.0", "--to", "prod").exit_code == 2


def test_documents(ready: Project) -> None:
    said = document(typed(ready, "promote", "abalone@v1.0.0", "--to", "uat", "--json"))["promotion"]
    assert (said["version"], said["stage"], said["pushed"]) == ("v1.0.0", "uat", False)
    head = said["branch"]
    waits = document(typed(ready, "approve", "--json"))["waiting"]
    assert [one["branch"] for one in waits] == [head]
    check = document(typed(ready, "check", "--promotion", "--head", head, "--json"))
    assert check["promotion_check"]["promotions"][0]["stage"] == "uat"
    done = document(typed(ready, "approve", head, "--json"))["approval"]
    assert done["level"] == "recorded"
    back = typed(ready, "demote", "abalone", "--stage", "uat", "--json", "--dry-run")
    assert document(back)["promotion"]["removed"] == ["registry/stages/uat/abalone.yaml"]


def test_a_page_for_the_summary_of_a_job(ready: Project) -> None:
    typed(ready, "promote", "abalone@v1.0.0", "--to", "uat")
    head = "promote/abalone-v1.0.0-uat"
    said = typed(ready, "check", "--promotion", "--head", head, "--format", "md")
    assert said.stdout.startswith("# abalone v1.0.0 → uat\n")
    assert "**This may be merged.**" in said.stdout
    ready.on_branch(head, {"@everyone.py": "1\n"})
    said = typed(ready, "check", "--promotion", "--head", head, "--format", "md")
    assert said.exit_code == 3
    assert "**Not to be merged:**\n\n- this promotion also changes @\u200beveryone" in said.stdout
    said = typed(ready, "check", "--promotion", "--head", "main", "--format", "md")
    assert (said.exit_code, said.stdout) == (0, "no promotion here: no stage file changes\n")


def test_reject_knows_a_version_from_a_promotion(ready: Project) -> None:
    typed(ready, "promote", "abalone@v1.0.0", "--to", "uat")
    branch = "promote/abalone-v1.0.0-uat"
    assert "rejected promote" in typed(ready, "reject", branch, "--reason", "no").stderr
    assert not ready.has(branch)
    said = typed(ready, "reject", "abalone@v1.1.0", "--reason", "it lies")
    assert "rejected abalone@v1.1.0: it lies" in said.stderr
    said = typed(ready, "reject", "abalone", "--reason", "it lies")
    assert (said.exit_code, "is no promotion's branch" in said.stderr) == (2, True)


def test_going_back_is_one_command(ready: Project) -> None:
    ready.register("third", metrics={"mse": 4.0}, parameters={"a": 1})
    ready.promote("abalone@latest", "dev", by="ada")
    said = typed(ready, "rollback", "abalone", "--stage", "dev", "--description", "it lies")
    assert said.exit_code == 0, said.output
    assert "abalone@v1.0.0 -> dev, which runs v1.2.0 (a rollback)" in said.stdout
    assert "it lies" in ready.git("log", "-1", "--format=%B", "promote/abalone-v1.0.0-dev")
