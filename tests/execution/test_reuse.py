"""When a step need not run: reused, run again, and the plan's words for each reason."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from running import FOLDER, Project, ran, reasons, states


def entries(project: Project) -> dict[str, Path]:
    """The newest entry of each step in the store."""
    found = sorted(
        (project.store.layout.cache / "towpath" / "entries").glob("??/*.json"),
        key=lambda path: path.stat().st_mtime_ns,
    )
    return {json.loads(path.read_text())["step"]: path for path in found}


def test_code_and_values(project: Project) -> None:
    assert project.plan() == {
        "clean": "run: never run here",
        "fit": "undecided: after `clean`",
        "score": "undecided: after `clean`, `fit`",
        "good": "undecided: after `score`",
        "register": "undecided: after `fit`, `good`, `score`",
        "reject": "undecided: after `good`, `score`",
    }
    first = project.run()
    assert states(first) == {
        "clean": "done", "fit": "done", "score": "done",
        "good": "done", "register": "done", "reject": "skipped",
    }  # fmt: skip
    assert reasons(first)["clean"] == "never run here"
    made = f"reuse: made by {first.id}"
    assert project.plan() == {
        "clean": made, "fit": made, "score": made,
        "good": "run: `score.metrics.error <= limit` is true",
        "register": "reuse: registered as mean@v1.0.0", "reject": "skip: `good` is true",
    }  # fmt: skip
    again = project.run()
    assert ran(again) == set()
    assert states(again)["register"] == "reused"

    project.code("LEAST = 0\n", "LEAST = 0  # said again\n\n\n# and here\n")
    project.code('"""A helper of one step."""', '"""Other words."""')
    assert ran(project.run()) == set()
    assert project.plan()["register"] == "reuse: registered as mean@v1.0.0"

    project.code("abs(row - mean)", "(row - mean) ** 2")
    assert project.plan()["score"] == "run: code of `steps.error_of` changed"
    helped = project.run()
    assert ran(helped) == {"score"}
    assert reasons(helped)["score"] == "code of `steps.error_of` changed"
    assert reasons(helped)["register"] == "1 file not committed"
    assert (helped.state, helped.exit_code) == ("done", 0)

    project.code("LEAST = 0", "LEAST = 1")
    assert project.plan()["clean"] == "run: code of `steps.LEAST` changed"
    assert project.plan()["fit"] == "undecided: after `clean`"
    assert reasons(project.run())["fit"] == "input `rows` changed"

    before = project.output("fit/model.json")
    other = project.run(params={"factor": "3"})
    assert ran(other) == {"fit", "score"}
    assert reasons(other)["fit"] == "`factor` 2 -> 3"
    assert project.output("fit/model.json") == before, "a run with --param leaves the outputs"
    project.edit(f"{FOLDER}/pipeline.yaml", "outputs: [rows.json]", "outputs: {rows: all.json}")
    assert project.plan()["clean"] == "run: its declaration changed"
    assert project.plan(force=True)["clean"] == "run: forced"
    project.assert_whole()


def test_data_behind_the_same_path(project: Project) -> None:
    project.run()
    raw = project.root / "data" / "raw.json"
    stamp = raw.stat()
    raw.write_text(raw.read_text().replace("4", "5"))
    os.utime(raw, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert raw.stat().st_size == stamp.st_size
    assert project.plan()["clean"] == "run: input `raw` changed"
    assert ran(project.run()) == {"clean", "fit", "score"}
    raw.write_text(raw.read_text().replace("5", "4"))
    back = project.run()
    assert ran(back) == set()
    assert reasons(back)["clean"].startswith("made by ")
    assert project.output("clean/rows.json") == [1, 2, 4], "the outputs follow what is reused"

    other = project.write("data/other.json", "[10]")
    assert ran(project.run(inputs={"raw": "data/other.json"})) == {"clean", "fit", "score"}
    assert ran(project.run(inputs={"raw": str(other)})) == set(), "bytes count, not the path"
    raw.unlink()
    (fault,) = project.refused().faults
    assert fault.what == "input `raw` is data/raw.json, which is not there"
    assert "--input" in str(fault.hint)


def test_what_the_store_lost(project: Project) -> None:
    first = project.run()
    entries(project)["fit"].unlink()
    assert project.plan()["fit"] == "run: what it made is not in the store"
    assert ran(project.run()) == {"fit"}, "the same model: what follows is reused"

    rows = project.store.path(first.steps["clean"].made.outputs["rows"].digest)
    whole = rows.read_bytes()
    rows.chmod(0o644)
    rows.write_bytes(whole.replace(b"1", b"7"))
    assert project.plan()["clean"] == "run: what it made is not whole in the store"
    assert ran(project.run()) == {"clean"}
    assert rows.read_bytes() == whole

    shutil.rmtree(project.store.layout.cache / "files")
    assert ran(project.run()) == {"clean", "fit", "score"}
    project.assert_whole()


def test_opted_out(project: Project) -> None:
    pipeline = project.root / FOLDER / "pipeline.yaml"
    said = pipeline.read_text()
    project.run()
    pipeline.write_text(said.replace("    run: fit\n", "    run: fit\n    cache: false\n"))
    assert project.plan()["fit"] == "run: cache: false"
    again = project.run()
    assert (ran(again), reasons(again)["fit"]) == ({"fit"}, "cache: false")

    pipeline.write_text(said.replace("    run: fit\n", "    run: fit\n    cache: {expires: 30d}\n"))
    assert project.plan()["fit"].startswith("reuse: ")
    entry = entries(project)["fit"]
    document = json.loads(entry.read_text())
    entry.write_text(json.dumps({**document, "made": "2025-01-02T03:04:05.678Z"}))
    assert project.plan()["fit"] == "run: expired: made 2025-01-02T03:04:05.678Z"
    assert ran(project.run()) == {"fit"}
    assert project.plan()["fit"].startswith("reuse: ")


def test_a_file_that_was_not_declared(project: Project) -> None:
    project.write("data/extra.json", "5")
    project.code("    return [number", "    open('data/extra.json').read()\n    return [number")
    run = project.run()
    assert run.steps["clean"].made.facts["undeclared"] == ["data/extra.json"]
    assert project.plan()["clean"] == "run: it opened data/extra.json, which it does not declare"
    again = project.run()
    assert ran(again) == {"clean"}, "the same rows: what follows is reused"
    project.edit(
        f"{FOLDER}/pipeline.yaml",
        "    run: clean\n",
        "    run: clean\n    code: [data/extra.json]\n",
    )
    assert ran(project.run()) == {"clean"}
    assert project.plan()["clean"].startswith("reuse: ")
    project.write("data/extra.json", "6")
    assert project.plan()["clean"] == "run: code of `data/extra.json` changed"


def test_a_fresh_clone_with_the_store_executes_nothing(project: Project, tmp_path: Path) -> None:
    first = project.run()
    clone = Project(tmp_path / "clone")
    project.git("clone", "-q", str(project.root), str(clone.root))
    shutil.copytree(project.store.layout.cache, clone.root / ".dvc" / "cache")
    run = clone.run()
    assert ran(run) == set()
    assert reasons(run)["fit"] == f"made by {first.id}"
    assert clone.output("score/metrics.json") == project.output("score/metrics.json")
    clone.assert_whole()


FORMS = """\
import functools
import tempfile
from pathlib import Path


def path_in(raw: Path) -> dict:
    return {"name": raw.name}


def sub_out() -> dict:
    return {"v": 1}


def folder_out() -> dict:
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "inner").mkdir()
    return {"a.txt": "x", "b.json": {"v": 1}}


def folder_in(parts: Path) -> dict:
    return {"names": sorted(each.name for each in parts.iterdir())}


def columns(table) -> dict:
    return {"type": type(table).__name__, "columns": list(getattr(table, "columns", ()))}
"""


def test_paths_and_folders_are_reused(project: Project) -> None:
    project.declare(
        """\
        inputs: {raw: data/raw.json}
        steps:
          path_in: {run: path_in, inputs: [raw], outputs: [m.json]}
          sub_out: {run: sub_out, outputs: [reports/m.json]}
          folder_out: {run: folder_out, outputs: [parts/]}
          folder_in: {run: folder_in, inputs: [folder_out.parts], outputs: [m.json]}
        """,
        FORMS,
    )
    first = project.run()
    assert (first.state, ran(project.run())) == ("done", set())


def test_the_same_bytes_in_another_format_are_another_input(project: Project) -> None:
    declared = """\
        inputs: {table: data/t.csv}
        steps:
          columns: {run: columns, inputs: [table], outputs: [m.json]}
        """
    project.declare(declared, FORMS)
    for name in ("t.csv", "t.tsv"):
        project.write(f"data/{name}", "a,b\n1,2\n")
    project.run()
    assert project.output("columns/m.json")["columns"] == ["a", "b"]
    project.declare(declared.replace("t.csv", "t.tsv"))
    second = project.run()
    assert reasons(second)["columns"] == "input `table` is read as tsv, no longer as csv"
    assert project.output("columns/m.json")["columns"] == ["a,b"]


def test_a_trusted_class_of_the_project_belongs_to_a_model_that_is_an_input(
    project: Project,
) -> None:
    scale = "class Scale:\n    def predict(self):\n        return 2\n"
    project.write("scale.py", scale)
    project.write("towpath.yaml", "name: small\ntrust: [scale.Scale]\n")
    project.declare(
        """\
        steps:
          make: {run: make, outputs: [m.skops]}
        """,
        "from scale import Scale\n\n\ndef make(): return Scale()\n",
    )
    assert project.run().state == "done"
    model = project.root / "models" / "m.skops"
    model.parent.mkdir()
    model.write_bytes((project.artifacts / "make" / "m.skops").read_bytes())
    project.declare(
        """\
        inputs: {m: models/m.skops}
        steps:
          use: {run: use, inputs: [m], outputs: [u.json]}
        """,
        "def use(m): return {'p': m.predict()}\n",
    )
    project.run()
    assert (project.output("use/u.json"), ran(project.run())) == ({"p": 2}, set())
    project.write("scale.py", scale.replace("2", "4"))
    assert "trusted" in reasons(project.run())["use"]
    assert project.output("use/u.json") == {"p": 4}


def test_code_that_a_step_names_by_folder_and_pattern(project: Project) -> None:
    project.declare(
        """\
        steps:
          one: {run: one, outputs: [a.json], code: [sql/, conf/r.txt, "*.html"]}
        """,
        "from pathlib import Path\n\n\ndef one():\n"
        "    return {'v': Path('flows/training/sql/a.sql').read_text()}\n",
    )
    for path in (f"{FOLDER}/sql/a.sql", "conf/r.txt", f"{FOLDER}/t.html"):
        project.write(path, "1\n")
    assert project.run().exit_code == 0
    assert ran(project.run()) == set()
    listed = project.root.joinpath("dvc.yaml").read_text()
    for path in (f"{FOLDER}/sql", "conf/r.txt", f"{FOLDER}/t.html"):
        assert f"- {path}\n" in listed
    project.write(f"{FOLDER}/sql/b.sql", "2\n")
    assert ran(project.run()) == {"one"}


def test_one_step_alone_reads_its_inputs_as_in_a_run(project: Project) -> None:
    project.declare(
        """\
        steps:
          write: {run: write, outputs: [{path: t.csv, format: text}]}
          kind: {run: kind, inputs: [write.t], outputs: [k.json], code: [side/]}
        """,
        "from pathlib import Path\n\n\ndef write(): return 'a,b'\n\n\n"
        "def kind(t):\n    Path('flows/training/side/x.sql').read_text()\n"
        "    return {'kind': type(t).__name__}\n",
    )
    project.write(f"{FOLDER}/side/x.sql", "1\n")
    project.run()
    (project.artifacts / "kind" / "k.json").unlink()
    said = project.towpath("step", "training", "kind")
    assert (said.code, project.output("kind/k.json")) == (0, {"kind": "str"}), said.err
