"""Pipelines that take what others make: what is stale, in which order they run, circles."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from own_home import CopyWorld
from running import FOLDER, PIPELINE, Project, make, reasons, states
from thread_executor import run_in_threads
from towpath import documents
from towpath.audit.lineage import trace_lineage
from towpath.audit.reproduction import reproduce_version
from towpath.errors import UsageError
from towpath.execution import pipeline_run as running
from towpath.execution.run_folders import find_run
from towpath.execution.run_record import RecordedRun
from towpath.planning.run_request import RunRequest
from tracking import track

PREPARING = """\
params:
  least: 0
inputs:
  source: data/raw.json
steps:
  create:
    run: create
    inputs: [source]
    params: [least]
    outputs: [table.json]
"""
CREATE = """\
def create(source: list, least: float) -> list:
    return [number for number in source if number > least]
"""
TABLE = "artifacts/preparing/create/table.json"


@pytest.fixture
def two(tmp_path: Path, copy_world: CopyWorld) -> Project:
    """`training` takes what `preparing` makes; both committed, and `preparing` was run."""
    copy_world(run_the_first, tmp_path / "two")
    return Project(tmp_path / "two")


def run_the_first(folder: Path) -> None:
    """A world to copy."""
    made = make(
        folder,
        {
            "flows/preparing/pipeline.yaml": PREPARING,
            "flows/preparing/steps.py": CREATE,
            f"{FOLDER}/pipeline.yaml": PIPELINE.replace("data/raw.json", TABLE),
        },
    )
    made.git("init", "-q", "-b", "main")
    made.commit()
    prepare(made)


def prepare(project: Project, **asked: object) -> RecordedRun:
    asking = RunRequest("preparing", **asked)  # type: ignore[arg-type]
    return running.run_pipeline(project.workspace, asking, run_in_threads)


def links(project: Project) -> list[str]:
    """What `towpath plan` says of the inputs that other pipelines make."""
    prepared = running.prepare_run(project.workspace, RunRequest("training"))
    return [link.stale for link in prepared.registering.upstream_links]


def test_a_change_in_the_first_shows_in_the_second(two: Project) -> None:
    first = two.run()
    assert states(first)["register"] == "done"
    assert links(two) == [""]
    two.edit("flows/preparing/steps.py", "> least", ">= least")
    why = "`create` of pipeline `preparing` would run: code of `steps.create` changed"
    assert links(two) == [why]
    said = two.towpath("plan", "training")
    assert f"raw stale {why} (towpath run preparing)" in " ".join(said.out.split())
    (upstream,) = two.towpath("plan", "training", "--json").json["upstream"]
    assert (upstream["stale"], upstream["command"]) == (True, "towpath run preparing")
    two.commit()
    assert two.plan()["clean"].startswith("reuse"), "what it would run on is still the same"
    two.code("LEAST = 0", "LEAST = -1")
    two.commit()
    stale = two.towpath("run")
    assert f"warning: input `raw` is stale: {why} (towpath run preparing)" in stale.err
    assert f"{TABLE} not committed: {why}" in stale.err
    assert two.tags() == ["mean@v1.0.0"]
    prepare(two)
    assert links(two) == [""]
    assert states(two.run())["register"] == "done"


def test_an_output_altered_by_hand_is_no_input_of_a_version(two: Project) -> None:
    (two.root / TABLE).unlink()
    (two.root / TABLE).write_text("[100, 200]")
    said = f"{TABLE} not committed: it is not what pipeline `preparing` made"
    assert reasons(two.run(params={"limit": "1e9"}, register=True))["register"] == said
    assert two.tags() == []
    prepare(two)
    assert states(two.run())["register"] == "done"


def test_lineage_goes_on_to_the_first_pipeline_and_its_data(two: Project) -> None:
    made = two.workspace.runs
    (first,) = [path.name for path in made.iterdir()]
    two.run()
    found = trace_lineage(two.workspace, "mean@v1.0.0")
    (data,) = found.data
    assert (data.path, data.pipeline, data.run) == (TABLE, "preparing", first)
    (upstream,) = found.upstream
    assert (upstream.pipeline, upstream.run, upstream.parameters) == (
        "preparing", first, {"least": 0},
    )  # fmt: skip
    (source,) = upstream.data
    assert (source.name, source.path) == ("source", "data/raw.json")
    assert source.digest == two.store.digest(two.root / "data/raw.json").digest
    drawn = two.towpath("lineage", "mean@v1.0.0").out
    assert f"run {first}" in drawn
    assert "data/raw.json" in drawn
    names = ("○ source", "● preparing", "○ raw", "★ mean@v1.0.0")
    places = [drawn.index(name) for name in names]
    assert places == sorted(places)
    again = reproduce_version(two.workspace, "mean@v1.0.0")
    assert again.verdict == "bytes"
    document = two.towpath("lineage", "mean@v1.0.0", "--json").json["lineage"]
    assert document["upstream"][0]["run"] == first


def test_what_the_first_is_made_of_must_be_committed_too(two: Project) -> None:
    two.write(".gitignore", ".towpath/\nartifacts/\n__pycache__/\ndata/\n")
    two.git("rm", "-rq", "--cached", "data")
    two.commit()
    reason = reasons(two.run())["register"]
    assert reason == "data/raw.json not committed: Git ignores it, and no .dvc file covers it"


def test_a_trial_of_the_first_changes_nothing_for_the_second(two: Project) -> None:
    prepare(two, params={"least": "1"})
    assert links(two) == [""]
    assert states(two.run())["register"] == "done"


def test_a_first_that_is_never_reused(two: Project) -> None:
    two.edit(
        "flows/preparing/pipeline.yaml", "    run: create\n", "    run: create\n    cache: false\n"
    )
    two.commit()
    prepare(two)
    assert links(two) == [""]
    assert states(two.run())["register"] == "done"
    (two.root / TABLE).unlink()
    assert "would run: cache: false" in links_of(two)


def links_of(project: Project) -> str:
    from towpath.execution.input_sources import UpstreamReader
    from towpath.planning import pipeline_check

    graph = pipeline_check.compile_checked_pipeline(project.workspace, "training")
    (link,) = UpstreamReader(project.workspace).find_links(graph)
    return link.stale


def test_all_run_in_their_order(two: Project) -> None:
    two.edit("flows/preparing/steps.py", "> least", ">= least")
    two.commit()
    planned = two.towpath("plan", "--all", "--json").json["plans"]
    assert [plan["pipeline"] for plan in planned] == ["preparing", "training"]
    verdicts = [{s["step"]: (s["verdict"], s["reason"]) for s in plan["plan"]} for plan in planned]
    assert verdicts[0]["create"][0] == "run"
    assert verdicts[1]["clean"] == ("undecided", "after `preparing`")
    said = two.towpath("run", "--all", "--json")
    runs = said.json["runs"]
    assert (said.code, [run["pipeline"] for run in runs]) == (0, ["preparing", "training"])
    assert runs[1]["steps"]["register"]["state"] == "done"
    assert two.tags() == ["mean@v1.0.0"]
    again = two.towpath("run", "--all")
    assert (again.code, again.err.count("done in")) == (0, 2)


def test_from_nothing_all_can_be_planned_and_run(two: Project) -> None:
    (two.root / TABLE).unlink()
    error = two.refused()
    assert error.faults[0].hint == ("towpath run preparing makes it; towpath run --all runs both")
    planned = two.towpath("plan", "--all")
    assert (planned.code, "after `preparing`" in planned.out) == (0, True)
    assert two.towpath("run", "--all").code == 0
    assert two.tags() == ["mean@v1.0.0"]


def test_where_the_first_fails_the_second_is_left_out(two: Project) -> None:
    two.edit("flows/preparing/steps.py", "    return", "    raise ValueError('no')\n    return")
    said = two.towpath("run", "--all")
    assert said.code == 1
    assert "training was left out: pipeline `preparing` failed" in said.err
    assert [run["pipeline"] for run in two.towpath("runs", "--json").json["runs"]] == [
        "preparing", "preparing",
    ]  # fmt: skip


def test_one_whose_bytes_are_not_to_be_had_holds_up_none_beside_it(two: Project) -> None:
    track(two.root, two.root / "data/raw.json")
    shutil.rmtree(two.root / ".dvc" / "cache")
    (two.root / "data/raw.json").unlink()
    two.write("flows/alone/pipeline.yaml", "steps: {one: {run: one, outputs: [one.json]}}\n")
    two.write("flows/alone/steps.py", "def one() -> int:\n    return 1\n")
    said = two.towpath("run", "--all", "--json")
    assert said.code == 1
    assert [(run["pipeline"], run["state"]) for run in said.json["runs"]] == [("alone", "done")]
    assert "error: preparing: " in said.err and "towpath pull" in said.err
    assert "training was left out: pipeline `preparing` was not carried out" in said.err


def test_cells_of_all_pipelines_are_planned_where_that_is_asked(two: Project) -> None:
    two.write(
        "flows/alone/pipeline.yaml",
        "steps:\n  one: {run: one, each: {n: [1, 2]}, params: [n], outputs: [one.json]}\n",
    )
    two.write("flows/alone/steps.py", "def one(n: int) -> int:\n    return n\n")
    assert "one@2" not in two.towpath("plan", "--all").out
    assert "one@2" in two.towpath("plan", "--all", "--cells").out


def test_what_is_of_one_pipeline_is_not_of_all(two: Project) -> None:
    for words in ("training", "-p factor=3", "--input raw=x", "--only fit"):
        said = two.towpath("run", "--all", *words.split())
        assert (said.code, "--all" in said.err) == (2, True), words


def test_all_of_them_for_an_environment(two: Project) -> None:
    def run_all(environment: str) -> dict[str, str | None]:
        asking = RunRequest("", environment=environment)
        done = running.run_all(
            two.workspace, asking, lambda *asked: running.run_pipeline(*asked, run_in_threads)
        )
        return {result.pipeline: result.run and result.run.environment for result in done}

    with pytest.raises(UsageError, match="no pipeline declares anything for `uat`"):
        run_all("uat")
    # Who declares it runs for it, the other as it is.
    declared = f"{FOLDER}/pipeline.yaml"
    two.edit(declared, "steps:\n", "for: {uat: {params: {factor: 3}}}\nsteps:\n")
    assert run_all("uat") == {"preparing": "", "training": "uat"}
    # What one makes for it the next takes, where that one is for it too.
    preparing = "flows/preparing/pipeline.yaml"
    two.edit(preparing, "inputs:\n", "for: {uat: {params: {least: 1}}}\ninputs:\n")
    assert run_all("uat") == {"preparing": "uat", "training": "uat"}
    run = find_run(two.workspace.runs, "last")
    assert run.steps["clean"].made.values["rows"] == [2, 4]
    two.edit(declared, "for: {uat: {params: {factor: 3}}}\n", "")
    refused = two.towpath("plan", "--all", "--for", "uat")
    assert refused.code == 2
    assert "pipeline `training` declares nothing for `uat`, and would take what" in refused.err
    assert "write `for: {uat: }` in it" in refused.err


def test_a_circle_is_an_error_with_its_places(two: Project) -> None:
    before = len(two.runs())
    circle = "artifacts/training/clean/rows.json"
    two.edit("flows/preparing/pipeline.yaml", "source: data/raw.json", f"source: {circle}")
    said = two.towpath("check")
    assert said.code == 2
    lines = [line for line in said.err.splitlines() if "go in a circle" in line]
    assert lines == [
        "error: flows/preparing/pipeline.yaml:4: the pipelines go in a circle: "
        "preparing -> training -> preparing",
        "error: flows/training/pipeline.yaml:6: the pipelines go in a circle: "
        "preparing -> training -> preparing",
    ]
    for words in (["run", "--all"], ["plan", "--all"], ["run", "training"], ["plan", "preparing"]):
        refused = two.towpath(*words)
        assert (refused.code, "go in a circle" in refused.err) == (2, True), words
    assert len(two.runs()) == before


def test_an_output_that_no_pipeline_makes(two: Project) -> None:
    path = TABLE
    for wrong, what, hint in (
        ("preparing/creat/table.json", "no step `creat`", "did you mean `create`?"),
        ("preparing/create/tabel.json", "makes no tabel.json", "did you mean `table.json`?"),
        ("preparin/create/table.json", "no pipeline `preparin`", "did you mean `preparing`?"),
    ):
        two.edit(f"{FOLDER}/pipeline.yaml", path, path := f"artifacts/{wrong}")
        said = two.towpath("check", "training")
        assert (said.code, what in said.err, hint in said.err) == (2, True, True), said.err
        assert f"{FOLDER}/pipeline.yaml:6" in said.err


def test_three_in_a_row(two: Project) -> None:
    """What is stale far up is stale all the way down, and the command runs all of it."""
    two.write("flows/raw/pipeline.yaml", PREPARING.replace("data/raw.json", "data/first.json"))
    two.write("flows/raw/steps.py", CREATE)
    two.write("data/first.json", "[1, 2, -3, 4, 9]")
    two.edit("flows/preparing/pipeline.yaml", "data/raw.json", "artifacts/raw/create/table.json")
    two.commit()
    assert two.towpath("run", "--all").code == 0
    found = trace_lineage(two.workspace, "mean@v1.0.0")
    assert [upstream.pipeline for upstream in found.upstream] == ["preparing", "raw"]
    assert found.upstream[1].data[0].path == "data/first.json"
    two.write("data/first.json", "[1, 2]")
    (link,) = running.prepare_run(two.workspace, RunRequest("training")).registering.upstream_links
    assert "`create` of pipeline `raw` would run: input `source` changed" in link.stale
    assert link.update_command == "towpath run --all"


def test_ci_believes_only_ci_of_the_first_too(
    two: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    assert "written by `local`, which is not trusted here" in links(two)[0]
    assert prepare(two).steps["create"].state == "done"
    assert links(two) == [""]
    assert states(two.run())["register"] == "done"


FOLDER_OUTPUT = """\
from pathlib import Path


def create(source: list, least: float, parts: Path) -> None:
    parts.mkdir(exist_ok=True)
    (parts / "a.json").write_text(str(source))
    (parts / "b.json").write_text("[]")
"""


def test_a_folder_a_file_in_one_and_all_of_a_step(two: Project) -> None:
    two.edit("flows/preparing/pipeline.yaml", "[table.json]", "[parts/]")
    two.write("flows/preparing/steps.py", FOLDER_OUTPUT)
    parts = "artifacts/preparing/create/parts"
    two.edit(f"{FOLDER}/pipeline.yaml", TABLE, f"{parts}/a.json")
    two.commit()
    assert prepare(two).state == "done"
    assert links(two) == [""]
    assert states(two.run())["register"] == "done"
    two.code("(raw: list)", "(raw: Path)")
    two.code("in raw if", "in json.loads(next(raw.rglob('a.json')).read_text()) if")
    two.code('"""Plain functions."""', "import json\nfrom pathlib import Path")
    for path in (parts, "artifacts/preparing/create", "artifacts/preparing"):
        text = (two.root / FOLDER / "pipeline.yaml").read_text()
        head, _, rest = text.partition("  raw: ")
        two.write(f"{FOLDER}/pipeline.yaml", f"{head}  raw: {path}/\n{rest.partition(chr(10))[2]}")
        assert links(two) == [""], path
        stranger = two.write(f"{path}/stranger.json", "[]")
        assert links(two) == ["it is not what pipeline `preparing` made"], path
        stranger.unlink()
    two.commit()
    assert states(two.run())["register"] in ("done", "reused")


def test_an_output_is_named_by_its_pipeline_and_step(two: Project) -> None:
    """`preparing:create.table` is the file that a run of `preparing` puts there, and says no less
    to DVC, to lineage, and to whoever runs all of them."""
    two.edit(f"{FOLDER}/pipeline.yaml", TABLE, "preparing:create.table")
    two.commit()
    assert two.towpath("check").code == 0
    assert f"○ raw              input           {TABLE}" in two.towpath("graph").out
    assert two.towpath("run", "--all").code == 0
    assert two.tags() == ["mean@v1.0.0"]
    (data,) = trace_lineage(two.workspace, "mean@v1.0.0").data
    assert (data.path, data.pipeline) == (TABLE, "preparing")
    stages = documents.plain_data(
        documents.parse_yaml((two.root / "dvc.yaml").read_text(), "").node
    )
    assert TABLE in stages["stages"]["training-clean"]["deps"]
    two.edit("flows/preparing/steps.py", "> least", ">= least")
    why = "`create` of pipeline `preparing` would run: code of `steps.create` changed"
    assert links(two) == [why]
    assert states(two.run(inputs={"raw": "preparing:create.table"}))["fit"] == "reused"
    two.write("other.json", "[5]")
    trial = two.towpath("run", "--input", "raw=other.json", "--json").json["run"]
    back = two.towpath("run", "--input", f"raw={TABLE}", "--json").json["run"]
    assert (trial["tried"], back["tried"]) == (["raw"], [])
    said = two.towpath("run", "--input", "raw=preparing:creat.table")
    assert said.code == 2
    assert "`preparing:creat.table`: pipeline `preparing` has no step `creat`" in said.err
    circle = "training:clean.rows"
    two.edit("flows/preparing/pipeline.yaml", "source: data/raw.json", f"source: {circle}")
    said = two.towpath("check")
    assert (said.code, said.err.count("preparing -> training -> preparing")) == (2, 2)


def test_what_another_pipeline_makes_for_an_environment(two: Project) -> None:
    """A run for `prod` takes what the other made for it, where that declares it too; not the file
    of a run without an environment."""
    two.write("data/all.json", "[10, 20, 30]")
    prod = "for: {prod: {inputs: {source: data/all.json}}}\n"
    two.write("flows/preparing/pipeline.yaml", prod + PREPARING)
    text = (two.root / FOLDER / "pipeline.yaml").read_text()
    text = text.replace(TABLE, "preparing:create.table")
    two.write(f"{FOLDER}/pipeline.yaml", "for: {prod: , dev: }\n" + text)
    two.commit()
    prepare(two)
    usual = two.run()
    refused = two.refused(environment="prod")
    (fault,) = refused.faults
    assert fault.what.startswith("input `raw` is not made for `prod`: `create` of pipeline")
    assert fault.hint == "towpath run preparing --for prod"
    first = prepare(two, environment="prod")
    whole = two.run(environment="prod")
    assert whole.inputs["raw"] == first.steps["create"].made.outputs["table"].digest
    assert whole.inputs["raw"] != usual.inputs["raw"]
    assert states(whole)["register"] == "done"
    (data,) = trace_lineage(two.workspace, "mean@latest").data
    assert (data.pipeline, data.run) == ("preparing", first.id)
    assert two.run(environment="dev").inputs == usual.inputs, "`preparing` declares no `dev`"


@pytest.mark.parametrize(
    ("wrong", "what", "hint"),
    [
        ("preparin:create.table", "there is no pipeline `preparin`", "did you mean `preparing`?"),
        ("x:create.table", "there is no pipeline `x`", "there is preparing, training; a file of"),
        ("preparing:creat.table", "has no step `creat`", "did you mean `create`?"),
        ("preparing:create.tabel", "has no output `tabel`", "did you mean `table`?"),
        ("preparing:create.table.rows", "is inside of an output", "write `preparing:create.table`"),
        ("preparing:create", "names no output of a pipeline", "write `pipeline:step.output`"),
        ("preparing:look.x", "(condition) has no outputs", ""),
        ("preparing:checked.data", "are the bytes that the check was given", "name what it checks"),
        ("training:clean.rows", "is an output of this pipeline", "refer to `clean.rows`"),
    ],
)
def test_an_output_that_is_not_there_by_name(
    two: Project, wrong: str, what: str, hint: str
) -> None:
    more = (
        "  look: {kind: condition, if: least > 0, then: more}\n"
        "  more: {run: create, inputs: [source], params: [least], outputs: [t.json]}\n"
        "  checked: {kind: quality_check, inputs: {data: source}, baseline: true}\n"
    )
    two.write("flows/preparing/pipeline.yaml", PREPARING + more)
    two.edit(f"{FOLDER}/pipeline.yaml", TABLE, wrong)
    said = two.towpath("check")
    assert (said.code, what in said.err, hint in said.err) == (2, True, True), said.err
    assert said.err.count("error:") == 1, said.err
    assert f"{FOLDER}/pipeline.yaml:6" in said.err
