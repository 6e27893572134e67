"""One plain type for an annotation, however it is spelled; nothing of the project is imported."""

from __future__ import annotations

import sys

import pytest
from code_project import FOLDER, Make

from towpath.dependencies import CodeReader

SPELLED = """
from __future__ import annotations
import typing as t
from typing import TYPE_CHECKING, Annotated, Literal, NewType, Optional, TypeAlias, TypeVar, Union
if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as p
    import pathlib
    import polars as pl
    import pyarrow
    from pandas import DataFrame as DF
    from pathlib import Path as P
    from shared.kinds import Frame, Where
from shared.stars import *

Table = p.DataFrame
Again: TypeAlias = Table
Quoted = "pyarrow.Table"
Rows = NewType("Rows", DF)
T = TypeVar("T", bound="pl.DataFrame")
Loop = "Loop"
class Own: ...

def step(
    a: p.DataFrame, b: DF, c: "p.DataFrame", d: Table, e: Again, f: Optional[Table], g: DF | None,
    h: Annotated[DF, "rows"], i: Union[None, "DF"], j: Rows, k: Frame, l: Starred,
    m: pyarrow.Table, n: Quoted, o: t.Optional["pl.DataFrame"], q: T, r: pl.LazyFrame,
    u: pathlib.Path, v: P, w: "P | None", x: Where, y: Annotated[Optional[P], 1],
    z: npt.NDArray[int],
    none: DF | P, both: Union[DF, P], literal: Literal["P"], own: Own, loop: Loop, gone: Nowhere,
    plain: dict[str, float], bare=None, text: str = "",
): ...
"""
FILES = {
    "shared/kinds.py": """
from pandas.core.frame import DataFrame as Frame
import pathlib
Where = pathlib.Path
""",
    "shared/stars.py": "import pandas\nStarred = pandas.DataFrame\n",
}
FRAME, PATH = "pandas.DataFrame", "pathlib.Path"
ASKED = {
    **dict.fromkeys("abcdefghijkl", FRAME),
    **dict.fromkeys("mn", "pyarrow.Table"),
    **dict.fromkeys("oq", "polars.DataFrame"),
    "r": "polars.LazyFrame",
    **dict.fromkeys("uvwxy", PATH),
    "z": "numpy.ndarray",
    **dict.fromkeys(("none", "both", "literal", "loop", "gone", "bare"), ""),
    "own": "steps.Own",
    "plain": "dict",
    "text": "str",
}


def test_an_annotation_asks_for_one_type_however_it_is_spelled(project: Make) -> None:
    made = project(SPELLED, FILES)
    arguments = CodeReader(made.root).step_signature(FOLDER, "step").arguments
    assert {argument.name: argument.asks for argument in arguments} == ASKED


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type X = ...` is Python 3.12's")
def test_a_type_statement_is_an_alias(project: Make) -> None:
    made = project(
        "import pandas as pd\ntype Table = pd.DataFrame\ndef step(a: Table, b: Table | None): ...\n"
    )
    arguments = CodeReader(made.root).step_signature(FOLDER, "step").arguments
    assert [argument.asks for argument in arguments] == [FRAME, FRAME]
