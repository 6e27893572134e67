"""What a reader or a writer raises becomes a fault: the output, the file, the cause in one line."""

from __future__ import annotations

import pytest

from towpath.errors import StepFailed

# skops, where Dask is installed, has pickle take the causes of errors along.
LIBRARIES = ("pandas", "pyarrow.parquet", "skops.io")
STEPS = """
    import json
    from pathlib import Path
    import pandas as pd

    def bins():
        return pd.DataFrame({"ok": [1, 2], "bin": pd.cut(pd.Series([1, 2]), 2)})

    def large():
        return pd.DataFrame({"n": [2**70, 1]})

    def mixed():
        return pd.DataFrame({"ok": [1, 2], "m": [1, "a"]})

    def circle():
        found = {}
        found["x"] = found
        return found

    def deep():
        found = []
        for _ in range(5000):
            found = [found]
        return found

    def surrogate():
        return {"a": "\\ud800"}

    class Figure:
        def savefig(self, path):
            raise RuntimeError("no ink\\nand more")

    def figure():
        return Figure()

    class Panic(BaseException):
        pass

    class Panics:
        def savefig(self, path):
            raise Panic("rust")

    def panics():
        return Panics()

    def folder():
        return {"a.txt": "x", "b.npy": [object()]}

    def broken(out: Path):
        out.write_text('{"a": 1')

    def lines(out: Path):
        out.write_text("".join(json.dumps({"row": k}) + "\\n" for k in range(9000)))

    def empty(out: Path):
        out.touch()

    def latin(out: Path):
        out.write_bytes(b'{"a": "\\xe4"}')

    def read(raw):
        return 1
"""


@pytest.fixture
def project(warm_project):
    """The project of all these tests; of each its own lines."""
    warm_project.lines.clear()
    return warm_project


@pytest.mark.parametrize(
    ("name", "file", "what", "hint"),
    [
        ("bins", "out.parquet", "cannot be written as parquet: column `bin`: ", "intervals"),
        ("large", "out.parquet", "cannot be written as parquet: column `n`: ", "beyond 64 bits"),
        ("mixed", "out.parquet", "cannot be written as parquet: column `m`: ", "int, str"),
        ("circle", "out.json", "cannot be written as json: `x`: it holds itself", None),
        ("deep", "out.json", "cannot be written as json: it is nested too deeply", None),
        ("surrogate", "out.json", "cannot be written as json: UnicodeEncodeError: ", None),
        ("figure", "out.png", "cannot be written as image: RuntimeError: no ink", None),
        ("panics", "out.png", "cannot be written as image: Panic: rust", None),
        ("folder", "out/", "b.npy: cannot be written as npy: ", None),
        ("broken", "out.json", "out.json is no JSON document: Expecting ',' delimiter", None),
        ("lines", "out.json", "out.json is no JSON document: Extra data: line 2 column 1", "JSON"),
        ("empty", "out.json", "out.json is no JSON document: it is empty", None),
        ("latin", "out.json", "out.json is no JSON document: 'utf-8' codec", None),
    ],
)
def test_a_writer_s_error_names_the_output(project, name, file, what, hint):
    with pytest.raises(StepFailed) as failed:
        project.carry_out(name, [file])
    (fault,) = failed.value.faults
    assert fault.what.startswith(f"output `out`: {what}")
    assert "\n" not in fault.what
    assert fault.place and fault.place.file == "flows/training/steps.py"
    assert hint is None or hint in str(fault.hint)
    ours = [line for line in project.lines if "towpath/steps" in line and 'File "' in line]
    assert ours == [], "a traceback of Towpath's own code"


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        ("raw.json", "{", "raw.json is no JSON document: Expecting property name"),
        ("raw.parquet", "a,b\n", "raw.parquet cannot be read as parquet: "),
        ("raw.npy", "x", "raw.npy cannot be read as npy: "),
        ("raw.skops", "x", "raw.skops is no skops file: "),
        ("raw.txt", b"\xff", "raw.txt cannot be read as text: UnicodeDecodeError: "),
    ],
)
def test_a_reader_s_error_names_the_input(project, file, content, what):
    raw = project.put(file, content)
    with pytest.raises(StepFailed) as failed:
        project.carry_out("read", ["out.json"], {"raw": raw})
    (fault,) = failed.value.faults
    assert fault.what.startswith(f"input `raw`: {what}")
    assert not any("Traceback" in line for line in project.lines)


def test_what_a_reader_raised_may_be_tried_again(project):
    with pytest.raises(StepFailed) as failed:
        project.carry_out("figure", ["out.png"])
    assert "RuntimeError" in failed.value.causes
