"""The kind `notebook`: what its variables are, what is kept of it, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from towpath.errors import StepFailed

BESIDE = "flows/training/explore.ipynb"


def code(source: str, *tags: str) -> dict[str, Any]:
    """A cell of code as Jupyter saves it: in lines, with what an earlier execution left."""
    left = [{"output_type": "stream", "name": "stdout", "text": "of an earlier execution"}]
    metadata = {"tags": list(tags)} if tags else {}
    return {"cell_type": "code", "source": source.splitlines(keepends=True), "metadata": metadata,
            "outputs": left, "execution_count": 9}  # fmt: skip


def notebook(*cells: Any, **metadata: Any) -> str:
    """A notebook; text alone is a cell of Markdown."""
    made = [
        {"cell_type": "markdown", "source": cell, "metadata": {}} if isinstance(cell, str) else cell
        for cell in cells
    ]
    document = {"nbformat": 4, "nbformat_minor": 4, "metadata": metadata, "cells": made}
    return json.dumps(document, indent=1)


def order(project, outputs: Any = (), arguments: Any = None, **step: Any):
    given = arguments or {}
    named = {n: n for n, v in given.items() if hasattr(v, "digest")}
    made = project.order(
        None, outputs, given, kind="notebook", notebook="explore.ipynb", inputs=named, **step
    )
    return replace(made, code=(BESIDE,))


def failure(project, *args: Any, **limits: Any) -> list[str]:
    with pytest.raises(StepFailed) as raised:
        project.call(order(project, *args), **limits)
    return [str(fault) for fault in raised.value.faults]


def test_it_is_executed_with_its_variables_and_kept(project, warm):
    project.write("src/leafnet/__init__.py", "def double(x): return 2 * x\n")
    project.write(BESIDE, notebook(
        "# A look",
        code("rate = 0.5\nwords = []", "parameters"),
        code("import json, leafnet\nrows = json.load(open(raw))\nprint('rate', rate, words)"),
        code("%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot(rows);"),
        code("from IPython.display import HTML\nHTML('<script>drawn = 1</script>')"),
        code("sums = {'sum': leafnet.double(sum(rows))}\nfile = open(total, 'w')\n"
             "json.dump(sums, file)\nfile.close()\nprint(total)"),
        kernelspec={"name": "someones-conda", "language": "python", "display_name": "x"},
    ))  # fmt: skip
    values = {"raw": project.put("raw.json", "[1, 2]"), "rate": 1e-3, "words": ["a;\n'\" é", None]}
    warm()
    made = project.call(order(project, {"total": "t.json"}, values))
    assert made.values == {"total": {"sum": 6}}
    assert project.lines[0].startswith("rate 0.001 ['a;\\n\\'\" é', None]")
    kept = json.loads(project.read(made.outputs["notebook"]))
    assert made.outputs["notebook"].name == "explore.ipynb"
    assert "image/png" in kept["cells"][4]["outputs"][0]["data"]
    assert kept["cells"][-1]["outputs"][0]["text"] == ["outputs/t.json\n"]
    page = project.read(made.outputs["page"]).decode()
    assert made.outputs["page"].name == "explore.html"
    assert "<h1" in page and "data:image/png;base64," in page
    assert 'src="http' not in page and "cdn" not in page
    head, _, body = page.partition("</head>")
    assert "<script" not in head and "<script>drawn = 1</script>" in body
    assert made.facts["undeclared"] == ["src/leafnet/__init__.py"]  # as nobody read its code here
    again = project.call(order(project, {"total": "t.json"}, values))
    assert again.outputs == made.outputs, "the same cells and values give the same bytes"


def test_how_it_ends_is_said_with_the_cell_of_the_source(project, warm):
    warm()
    project.write(BESIDE, notebook("# A", code("x = raw"), "text", code("y = 1\n\n1 / 0")))
    said = failure(project, (), {"raw": 1})
    assert said[0] == f"{BESIDE}: cell 4, line 3: ZeroDivisionError: division by zero"
    page = project.root / said[1].removeprefix("the notebook as far as it went is ")
    assert "ZeroDivisionError" in page.read_text() and page.with_suffix(".ipynb").exists()
    project.write(BESIDE, notebook(code("import os\nos._exit(3)")))
    assert failure(project)[0] == (
        f"{BESIDE}: cell 1: the kernel died"
        " (compiled code crashed, or the machine ran out of memory)"
    )
    project.write(BESIDE, notebook(code("import time\ntime.sleep(60)")))
    said = failure(project, timeout=6.0)
    assert said == ["it ran longer than its timeout of 6 s and was killed"]
    project.write(BESIDE, notebook(code("pass")))
    assert failure(project, ["t.json"]) == ["output `t`: the notebook wrote nothing at t.json"]
