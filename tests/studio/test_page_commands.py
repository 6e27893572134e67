"""A page names the command that tells the same, and the two have the same names and numbers."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from command_line import call_towpath
from running import Project
from towpath.execution.run_folders import find_run
from towpath.reports.run_report import report_run
from towpath.studio.page_commands import name_page_command
from towpath.studio.page_index import PAGES
from towpath.studio.pages.page_kind import PageRequest
from towpath.studio.project_facts import ProjectFacts
from towpath.studio.shown_values import show_number

_VERSION = {"model": "mean", "version": "v1.0.0"}


@pytest.fixture(scope="module")
def facts(shown: Project) -> ProjectFacts:
    return ProjectFacts(shown.root)


def open_page(
    facts: ProjectFacts, path: str, names: dict[str, str] | None = None, **query: str
) -> tuple[Any, str]:
    """What a page shows, and the command that it names."""
    kind = next(kind for kind in PAGES if kind.path == path)
    request = PageRequest(names or {}, {name: (value,) for name, value in query.items()})
    view = kind.gather(facts, request)
    return view, name_page_command(kind, request, view)


def ask_command(facts: ProjectFacts, command: str) -> Any:
    """What the command says with `--json`."""
    ended = call_towpath(facts.root, *shlex.split(command)[1:], "--json")
    document = json.loads(ended.stdout)
    assert ended.returncode == 0, document
    return document[document["kind"]]


def test_home_is_what_status_tells(facts: ProjectFacts) -> None:
    view, command = open_page(facts, "")
    status = ask_command(facts, command)
    titles = [promotion.title for promotion in view.waiting]
    assert [*titles, *(line.words for line in view.attention)] == [
        task["words"] for task in status["tasks"]
    ]
    cards = [(column.stage, card) for column in view.columns for card in column.cards]
    assert [(stage, card.model, card.version, card.approval) for stage, card in cards] == [
        (place["stage"], place["model"], place["version"], place["approval"])
        for place in status["stages"]
    ]
    assert [bool(card.lag) for _, card in cards] == [
        not place["is_deployed"] for place in status["stages"]
    ]
    assert {task["kind"] for task in status["tasks"]} == {"promotion", "deployment", "run"}
    _, of_a_date = open_page(facts, "", at="2020-01-01")
    assert of_a_date == ""  # of a date no command tells the board


def test_runs_are_those_of_the_table_of_trials(facts: ProjectFacts) -> None:
    view, command = open_page(facts, "runs/", sort="-metrics.error", pipeline="training")
    assert command == "towpath runs --metrics --pipeline=training --sort=-error"
    trials = ask_command(facts, command)
    assert [
        (row.run.id, row.run.state, row.run.metrics, row.run.params, list(row.run.versions))
        for row in view.rows
    ] == [
        (row["run"], row["state"], row["metrics"], row["params"], row["versions"])
        for row in trials["rows"]
    ]
    assert open_page(facts, "runs/", state="failed")[1] == ""
    assert open_page(facts, "runs/", sort="state")[1] == "towpath runs --metrics"
    assert open_page(facts, "runs/", sort="-gone")[1] == "towpath runs --metrics"
    assert open_page(facts, "runs/", sort="-seconds")[1] == "towpath runs --metrics --sort=-seconds"


def test_a_run_is_what_show_tells(facts: ProjectFacts, shown: Project) -> None:
    for name in shown.runs():
        view, command = open_page(facts, "runs/{run}/", {"run": name})
        run = ask_command(facts, command)
        line = view.run
        assert (line.state, line.seconds, line.is_trial) == (
            run["state"], run["seconds"], run["trial"],
        )  # fmt: skip
        assert [words.split()[0] for _, words in line.counts] == [
            str(count) for count in run["counts"].values()
        ]
        assert list(line.versions) == run["versions"]
        assert dict(view.metrics) == {n: show_number(v) for n, v in run["metrics"].items()}
        assert [param[0] for param in view.params] == list(run["params"])
        assert {row[0]: row[2] for row in view.inputs} == run["inputs"]
        assert [(step.name, step.state) for step in view.steps] == [
            (step["name"], step["state"]) for step in run["steps"].values()
        ]


def test_a_step_an_output_and_two_runs(facts: ProjectFacts, shown: Project) -> None:
    first, trial, _ = shown.runs()
    view, command = open_page(facts, "runs/{run}/{step}/", {"run": first, "step": "score"})
    logs = ask_command(facts, command)
    shown_lines = "\n".join(line.text for line in view.pane.log.lines)
    assert "<script>" in shown_lines
    assert logs["steps"]["score"].rstrip("\n") == shown_lines
    names = {"run": first, "step": "score", "output": "metrics"}
    _, command = open_page(facts, "runs/{run}/{step}/{output}/", names)
    assert command == f"towpath get {first} score.metrics"
    view, command = open_page(facts, "compare/runs/", run=f"{first},{trial}")
    differences = {
        (row["section"], row["name"]) for row in ask_command(facts, command)["differences"]
    }
    rows = {row.name for section in view.sections for row in section.rows}
    assert rows == {name for _, name in differences}


def test_models_and_versions_are_those_of_the_registry(facts: ProjectFacts) -> None:
    view, command = open_page(facts, "models/")
    models = ask_command(facts, command)
    assert (view.searched, {line.name for line in view.models}) == (
        len(models), {version["model"] for version in models},
    )  # fmt: skip
    query = 'metrics.error < 1000 and stage == "dev"'
    view, command = open_page(facts, "models/", q=query)
    versions = ask_command(facts, command)
    assert [
        (line.model, line.version, list(line.stages), line.registered, line.run)
        for line in view.hits
    ] == [
        (row["model"], row["version"], row["stages"], row["time"], row["run"]) for row in versions
    ]
    view, command = open_page(facts, "models/{model}/", {"model": "mean"})
    listed = ask_command(facts, command)
    assert [line.metrics for line in view.versions] == [
        {name: show_number(value) for name, value in row["metrics"].items()} for row in listed
    ]


def test_a_version_is_what_show_tells(facts: ProjectFacts) -> None:
    view, command = open_page(facts, "models/{model}/{version}/", _VERSION)
    version = ask_command(facts, command)
    assert (view.line.version, list(view.line.stages), view.line.run, view.before or None) == (
        version["version"], list(version["stages"]), version["run"], version["before"],
    )  # fmt: skip
    assert dict(view.params) == {n: show_number(v) for n, v in version["parameters"].items()}
    assert {row[0]: row[2] for row in view.data} == version["data"]
    assert dict(view.files)["sha256"] == version["sha256"]
    assert dict(view.packages) == version["packages"]


def test_a_pipeline_a_stage_and_promotions(facts: ProjectFacts) -> None:
    view, command = open_page(facts, "pipelines/")
    assert [line.name for line in view.pipelines] == ask_command(facts, command)["pipelines"]
    view, command = open_page(facts, "pipelines/{pipeline}/", {"pipeline": "training"})
    drawn = call_towpath(facts.root, *shlex.split(command)[1:]).stdout
    assert all(name in drawn for name in view.graph.picture.boxes)
    view, command = open_page(facts, "stages/{stage}/", {"stage": "dev"})
    assert [(entry.version, entry.merged, entry.entered) for entry in view.history] == [
        (entry["version"], entry["merged"], entry["entered"])
        for entry in reversed(ask_command(facts, command))
    ]
    view, command = open_page(facts, "promotions/")
    assert [line.promotion.branch for line in view.waiting.rows] == [
        promotion["branch"] for promotion in ask_command(facts, command)
    ]


def test_the_gates_of_a_promotion_are_those_of_its_check(facts: ProjectFacts) -> None:
    names = {"promotion": "mean-v1.0.0-uat"}
    view, command = open_page(facts, "promotions/{promotion}/", names)
    assert command == "towpath check --promotion --head promote/mean-v1.0.0-uat"
    (checked,) = ask_command(facts, command)["promotions"]
    (case,) = view.cases
    assert (case.model, case.version, case.stage) == (
        checked["model"], checked["version"], checked["stage"],
    )  # fmt: skip
    assert [
        (gate.name, gate.state, gate.bar.value, gate.bar.upper, gate.bar.before)
        for gate in case.gates
    ] == [
        (gate["gate"], gate["state"], gate["value"], gate["upper"], gate["incumbent"])
        for gate in checked["gates"]
    ]


def test_words_of_a_query_are_no_options_and_nothing_that_a_shell_carries_out(
    facts: ProjectFacts,
) -> None:
    query = '-1 < 0 and author != "\'$(id)`id`\n"'
    _, command = open_page(facts, "models/", q=query, sort="version")
    assert shlex.split(command) == ["towpath", "search", "--sort=version", "--", query]
    _, command = open_page(facts, "models/", q="-1 < 0")
    assert call_towpath(facts.root, *shlex.split(command)[1:]).returncode == 0


def test_what_no_command_tells_names_none(facts: ProjectFacts) -> None:
    assert open_page(facts, "data/")[1] == ""
    assert open_page(facts, "models/", q=f"author == '{'x' * 500}'")[1] == ""


def test_a_report_has_the_numbers_of_the_page(facts: ProjectFacts, shown: Project) -> None:
    for name in shown.runs():
        view, _ = open_page(facts, "runs/{run}/", {"run": name})
        report = report_run(facts.workspace, find_run(facts.workspace.runs, name))
        tables = {s.title: s.tables[0].rows for s in report.sections if s.tables}
        assert report.state == view.run.state
        assert {row[:2] for row in tables["Data"]} == {(row[0], row[2]) for row in view.inputs}
        assert [(row[0], row[2]) for row in tables["Steps"]] == [
            (step.name, step.state) for step in view.steps
        ]
        measured = {row[0].rpartition(".")[2]: float(row[1]) for row in tables.get("Metrics", ())}
        assert {n: measured[n] for n in view.run.metrics} == pytest.approx(view.run.metrics, 1e-5)
        assert (
            dict(view.origin).items()
            <= {
                name: value[:12] if name == "commit" else value for name, value in report.facts
            }.items()
        )
