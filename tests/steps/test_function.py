"""A function of the project: how it gets its arguments, and what becomes of what it returns."""

from __future__ import annotations

import json

import pytest

from towpath.errors import Place, StepFailed

LIBRARIES = ("pandas", "pyarrow.parquet")
STEPS = ""  # each test writes its own
RAW = "sex,height\nF,0.1\nM,0.2\nI,0.0\n"


@pytest.fixture
def project(warm_project):
    """The project of all these tests; of each its own lines."""
    warm_project.lines.clear()
    return warm_project


def test_a_step_from_bytes_to_bytes(project):
    project.steps("""
        from pathlib import Path
        import pandas as pd

        def prepare(raw: pd.DataFrame, copy: Path, text: bytes, share: float, names, notes: Path):
            assert list(raw.columns) == ["sex", "height"]
            assert copy.name == "raw.csv" and copy.read_bytes() == text
            notes.write_text(f"{share} {names}")
            print("left", len(raw[raw.height > 0]))
            return {"kept": raw[raw.height > 0], "summary": {"rows": len(raw)}}
    """)
    raw = project.put("raw.csv", RAW)
    text = project.put("raw.txt", RAW)
    made = project.carry_out(
        "prepare",
        ["kept.parquet", "summary.json", "notes.txt"],
        {"raw": raw, "copy": raw, "text": text, "share": 0.25, "names": ["a"]},
    )
    assert list(made.outputs) == ["kept", "summary", "notes"]
    assert made.outputs["kept"].name == "kept.parquet"
    assert project.read(made.outputs["notes"]) == b"0.25 ['a']"
    assert json.loads(project.read(made.outputs["summary"])) == {"rows": 3}
    assert made.values == {"summary": {"rows": 3}}
    assert project.lines == ["left 2"]


def test_the_input_that_a_path_leads_to_is_the_steps_own(project):
    project.steps("""
        from pathlib import Path

        def spoil(raw: Path):
            raw.chmod(0o644)
            raw.write_text("spoiled")
    """)
    raw = project.put("raw.csv", RAW)
    project.carry_out("spoil", (), {"raw": raw})
    assert project.read(raw) == RAW.encode()


def test_a_folder_goes_in_and_out(project):
    project.steps("""
        from pathlib import Path

        def split(parts: Path):
            (parts / "deep").mkdir()
            (parts / "deep" / "one.txt").write_text("1")

        def join(parts: Path):
            return {"all.json": sorted(p.name for p in parts.rglob("*.txt")), "sub/b.csv": "x\\n"}
    """)
    parts = project.carry_out("split", ["parts/"]).outputs["parts"]
    assert parts.files == 1
    joined = project.carry_out("join", ["joined/"], {"parts": parts}).outputs["joined"]
    assert sorted(project.store.members(joined.digest)) == ["all.json", "sub/b.csv"]


def test_annotations_of_every_spelling(project):
    project.steps("""
        from __future__ import annotations
        from pathlib import Path
        from typing import TYPE_CHECKING, Optional, Any
        import numpy as np
        if TYPE_CHECKING:
            import pyarrow as pa
            from sklearn.base import BaseEstimator

        def kinds(a: pa.Table, b: Optional[Path], c: np.ndarray, d: str | None, e: Any,
                  f: BaseEstimator, g: dict[str, int], h):
            return [type(x).__name__ for x in (a, b, c, d, e, f, g, h)]
    """)
    csv, doc = project.put("raw.csv", RAW), project.put("doc.json", '{"a": 1}')
    arguments = {"a": csv, "b": csv, "c": csv, "d": doc, "e": csv, "f": csv, "g": doc, "h": doc}
    made = project.carry_out("kinds", ["out.json"], arguments)
    frame = "DataFrame"
    assert made.values["out"] == [
        "Table",
        "PosixPath",
        "ndarray",
        "str",
        frame,
        frame,
        "dict",
        "dict",
    ]


def test_a_module_from_the_root_and_one_beside_the_pipeline(project):
    project.write("shared/publish.py", """
        from shared.names import NAME

        def whole():
            return {"name": NAME, "module": __name__}
    """)  # fmt: skip
    project.write("shared/names.py", "NAME = 'shared'\n")
    project.write("flows/training/helper.py", "import steps\n\ndef same(): return steps.MARK\n")
    project.steps("""
        MARK = []

        def beside():
            import helper, steps
            MARK.append(1)
            return {"same": helper.same(), "module": __name__}
    """)
    made = project.carry_out("shared.publish:whole", ["out.json"])
    assert made.values["out"] == {"name": "shared", "module": "shared.publish"}
    made = project.carry_out("beside", ["out.json"])
    assert made.values["out"] == {"same": [1], "module": "flows.training.steps"}


def test_a_named_tuple_a_returned_path_and_an_idle_return(project):
    project.steps("""
        from pathlib import Path
        from typing import NamedTuple
        import tempfile

        class Parts(NamedTuple):
            left: dict
            right: list

        def parts():
            return Parts({"a": 1}, [2])

        def elsewhere():
            path = Path(tempfile.mkdtemp()) / "x.bin"
            path.write_bytes(b"abc")
            return path

        def idle():
            return 5
    """)
    assert project.carry_out("parts", ["left.json", "right.json"]).values == {
        "left": {"a": 1},
        "right": [2],
    }
    made = project.carry_out("elsewhere", ["out.bin"])
    assert project.read(made.outputs["out"]) == b"abc"
    assert project.carry_out("idle").outputs == {}
    assert project.lines == ["the int it returned is left: no output takes it"]


RETURNS = [
    ("pass", ["a.json"], "output", "the function returned nothing, expected `a`"),
    ("pass", ["a.json", "b.json"], "", "the function returned nothing, expected `a`, `b`"),
    ("return 1, 2", ["a.json", "b.json"], "", "a tuple, expected `a`, `b` by name"),
    ("return {'a': 1}", ["a.json", "b.json"], "", "the function did not return `b`"),
    ("return {'a': 1, 'b': None}", ["a.json", "b.json"], "", "the function returned None for `b`"),
    ("return {'a': 1, 'b': 2, 'c': 3}", ["a.json", "b.json"], "", "returned `c`, no output"),
    ("return {'x': object()}", ["a.json"], "output `a`: ", "has no place in JSON"),
    ("return {'a': 1}", ["a.parquet"], "output `a`: ", "a dict is no table"),
    ("return [[1]]", ["a.csv"], "output `a`: ", "a list is no table"),
    ("return 1", ["a.txt"], "output `a`: ", "it is a int, not text"),
    ("return 1", ["a.pkl"], "output `a`: ", "would be a pickle, which runs code when read"),
    ("return 1", ["a.xyz"], "output `a`: ", "nothing knows how to write a int as a.xyz"),
    ("return 1", ["a/"], "output `a`: ", "a int is no folder"),
    ("return {'../x.txt': 'y'}", ["a/"], "output `a`: ", "`../x.txt` lies outside of the folder"),
    ("import pathlib; return pathlib.Path('nowhere')", ["a.txt"], "output `a`: ", "not there"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "outputs", "before", "said"), RETURNS, ids=[r[0] for r in RETURNS]
)
def test_what_a_function_must_not_return(project, body, outputs, before, said):
    project.steps(f"def make():\n    {body}\n")
    with pytest.raises(StepFailed) as failure:
        project.carry_out("make", outputs)
    fault = failure.value.faults[0]
    assert said in fault.what
    assert fault.what.startswith(before) or before == "output"
    assert fault.place == Place("flows/training/steps.py", 1)


def test_all_that_is_missing_at_once(project):
    project.steps("def make():\n    return {'tests': 1}\n")
    with pytest.raises(StepFailed) as failure:
        project.carry_out("make", ["train.json", "test.json"])
    assert [fault.what for fault in failure.value.faults] == [
        "the function did not return `train`",
        "the function did not return `test`",
        "the function returned `tests`, no output",
    ]
    assert failure.value.faults[2].hint == "did you mean `test`?"


@pytest.mark.parametrize(
    ("output", "body", "said"),
    [
        ("a.txt", "pass", "the function wrote nothing at a.txt"),
        ("a/", "pass", "the folder a/ is empty"),
        ("a.txt", "a.mkdir()", "a.txt is a folder"),
    ],
)
def test_an_output_that_a_function_was_to_write(project, output, body, said):
    project.steps(f"from pathlib import Path\ndef make(a: Path):\n    {body}\n")
    with pytest.raises(StepFailed, match=said):
        project.carry_out("make", [output])


def test_an_input_that_is_not_what_its_name_says(project):
    project.steps("def look(raw): return raw\n")
    raw = project.put("raw.json", "{not json")
    with pytest.raises(StepFailed, match=r"raw\.json is no JSON document"):
        project.carry_out("look", ["a.json"], {"raw": raw})
    table = project.put("raw.parquet", "no parquet")
    with pytest.raises(StepFailed, match=r"raw\.parquet cannot be read as parquet"):
        project.carry_out("look", ["a.json"], {"raw": table})


def test_nan_is_kept_and_said(project):
    project.steps("def measure(): return {'mse': float('nan')}\n")
    made = project.carry_out("measure", ["metrics.json"])
    assert made.values["metrics"]["mse"] != made.values["metrics"]["mse"]
    assert project.lines == ["metrics.json: a number in it is NaN or infinite"]


def test_a_large_document_is_not_handed_on_with_its_content(project):
    project.steps("def make(): return {'text': 'x' * 70_000}\n")
    made = project.carry_out("make", ["a.json"])
    assert made.values == {}
    assert made.outputs["a"].size > 70_000
