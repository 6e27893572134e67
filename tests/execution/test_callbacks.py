"""Steps that wait for an answer: given once, wrongly, twice, too late, never."""

from __future__ import annotations

from running import FOLDER, Project, end, reasons, states, wait_for_question
from towpath.execution import run_folders

PIPELINE = """
params: {limit: 3}
steps:
  ask:
    kind: callback
    message: "may it go, below {limit}?"
    answers:
      approved: {type: boolean}
      votes: {type: integer, at_least: 1, description: how many agreed}
      comment: {default: ""}
    timeout: 3m  # so that a test that fails leaves no run behind
  go:
    kind: condition
    if: ask.answer.approved and ask.answer.votes > 1
    then: [went]
  went:
    run: went
    inputs: [ask.answer]
    outputs: [told.json]
  never:
    kind: callback
    message: nobody knows
    answers: {known: {type: string}}
    timeout: 4s
    after: went
"""


def test_a_step_waits_for_an_answer(project: Project) -> None:
    project.declare(PIPELINE)
    project.write(f"{FOLDER}/steps.py", "def went(answer: dict) -> dict:\n    return answer\n")
    assert project.towpath("answer").err == "no step waits for an answer\n"
    begun = project.begin("run")
    question = wait_for_question(project, "ask")
    token = question["token"]
    assert question["message"] == "may it go, below 3?"
    said = project.towpath("answer", "f" * 20, "approved=true")
    assert said.code == 2 and "no question has the token `ffff" in said.err
    said = project.towpath("answer", token, "aproved=true", "votes=none", "approved=no")
    assert said.code == 2
    for words in (
        "`ask` asks for no `aproved`\n  hint: did you mean `approved`?",
        "`votes` must be a whole number, not `none`\n  hint: how many agreed",
        "`approved`: `no` is text to some readers",
        f'it still waits\n  hint: `towpath answer {token} approved=true votes=... comment=""`',
    ):
        assert words in said.err
    said = project.towpath("answer", token, "approved=true", "votes=2")
    assert (said.code, said.err) == (0, 'answered: approved true, votes 2, comment ""\n')
    assert "was answered before, at 20" in project.towpath("answer", token, "approved=true").err
    late = wait_for_question(project, "never")["token"]
    done = end(begun)
    assert done.code == 1, done.err
    assert f"waits for `towpath answer {token} approved=true votes=..." in done.err
    run = run_folders.find_run(project.workspace.runs, "last")
    assert states(run) == {"ask": "done", "go": "done", "went": "done", "never": "failed"}
    assert run.steps["went"].made.values["told"] == {"approved": True, "votes": 2, "comment": ""}
    assert reasons(run)["never"].startswith("nobody answered until 20")
    said = project.towpath("answer", late, "known=it")
    assert said.code == 2 and "it is too late: run" in said.err
    assert project.plan()["ask"] == "run: asked in each run"
    assert project.plan(retry=run.id)["ask"] == f"reuse: made by {run.id}"
