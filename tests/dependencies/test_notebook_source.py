"""What is read of a notebook without executing it."""

from __future__ import annotations

import json

import pytest

from towpath.dependencies.notebook_source import parse_notebook
from towpath.errors import DeclarationError


def source(*cells: str) -> bytes:
    made = [{"cell_type": "code", "source": text.splitlines(keepends=True)} for text in cells]
    return json.dumps({"nbformat": 4, "cells": made}).encode()


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("x = 10 \\\n% 3", "x = 10 \\\n% 3"),
        ("%matplotlib inline\nx = 1", "print('%matplotlib inline')\nx = 1"),
        ("if a:\n    files = !ls $b", "if a:\n    files = print('!ls $b')"),
        ("%%time\nf(x)", "print('%%time')\nf(x)"),
        ("%%bash\nls | head", "print('%%bash\\nls | head')"),
        ("table.head?", "print('table.head?')"),
        ("await fetch()", "await fetch()"),
    ],
)
def test_what_is_for_ipython_alone_is_text(cell: str, python: str) -> None:
    assert parse_notebook(source(cell), "a.ipynb").python == python


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "this is no notebook: Expecting value: line 1 column 1 (char 0)"),
        (b"[]", "this is no notebook: it does not say its `nbformat`"),
        (b'{"nbformat": 3, "worksheets": []}', "a notebook of format 3 cannot be executed"),
        (b'{"nbformat": 4, "cells": [7]}', "this is no notebook: cell 1 is no mapping"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": 7}]}',
         "this is no notebook: cell 1 has no text"),
    ],
)  # fmt: skip
def test_what_is_no_notebook(content: bytes, said: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        parse_notebook(content, "a.ipynb")
    assert str(raised.value) == f"a.ipynb: {said} (open it in Jupyter, and save it)"
