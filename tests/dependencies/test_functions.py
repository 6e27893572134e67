"""Where a step's function is, what it takes, and what cannot be one: all read from the source."""

from __future__ import annotations

import pytest
from code_project import FOLDER, STEPS, Make

from towpath.dependencies import CodeReader, StepArgument
from towpath.errors import DeclarationError

GOOD = """
import typing as t
from pathlib import Path
import numpy.typing as npt
import pandas as pd
from pandas import DataFrame as Frame
from shared.x import imported, Split

def train(raw: pd.DataFrame, out: "Path", rate: float = 0.1, *, deep: "t.Optional[Frame]" = None,
          kind: t.Literal["Path"] = "a", must) -> dict[str, Path] | None: ...

again = train

if True:
    def chosen(a: npt.ArrayLike) -> Split: ...
"""


def test_a_signature_says_what_each_argument_asks_for(project: Make) -> None:
    made = project(GOOD, {"shared/x.py": "class Split: ...\ndef imported(x): ...\n"})
    found = CodeReader(made.root).step_signature(FOLDER, "train")
    assert (found.file, found.line, found.function) == (STEPS, 9, "train")
    assert found.arguments == (
        StepArgument("raw", True, "pandas.DataFrame"),
        StepArgument("out", True, "pathlib.Path"),
        StepArgument("rate", False, "float"),
        StepArgument("deep", False, "pandas.DataFrame"),
        StepArgument("kind", False),
        StepArgument("must", True),
    )


def test_a_function_is_found_where_it_is_defined(project: Make) -> None:
    made = project(GOOD, {"shared/x.py": "class Split: ...\ndef imported(x): ...\n"})
    imported = CodeReader(made.root).step_signature(FOLDER, "imported")
    assert (imported.file, imported.line) == ("shared/x.py", 2)
    assert CodeReader(made.root).step_signature(FOLDER, "shared.x:imported") == imported
    assert CodeReader(made.root).step_signature(FOLDER, "again").function == "train"
    chosen = CodeReader(made.root).step_signature(FOLDER, "chosen")
    assert chosen.arguments == (StepArgument("a", True, "numpy.ArrayLike"),)


BAD = {
    "trian": f"{STEPS}: there is no function `trian` in `{STEPS}` (did you mean `train`?)",
    "shared.y:f": "there is no module `shared.y` (did you mean `shared.x`?)",
    "nowhere:f": "there is no module `nowhere` (modules are named from the project's root)",
    "shared.x:g": "shared/x.py: there is no function `g` in `shared/x.py`",
    "shared:f": "there is no module `shared` (did you mean `shared.x`?)",
    "a b": "`a b` does not name a function (say `function` or `module.path:function`)",
    "": "`` does not name a function (say `function` or `module.path:function`)",
    "a:": "`a:` does not name a function (say `function` or `module.path:function`)",
    ":a": "`:a` does not name a function (say `function` or `module.path:function`)",
    "../x:f": "`../x:f` does not name a function (say `function` or `module.path:function`)",
    "dumps": f"{STEPS}: `dumps` is imported from outside (a step's function is one of the "
    "project's)",
    "waits": f"{STEPS}:4: `waits` is an async function (write a `def` that calls `asyncio.run`)",
    "Model": f"{STEPS}:5: `Model` is a class (write a `def` that makes and uses it)",
    "many": f"{STEPS}:6: `many` takes `*rows` (name each argument: a step's come by name)",
    "named": f"{STEPS}:7: `named` takes `**rest` (name each argument, so that each can be checked)",
    "only": f"{STEPS}:8: `only` takes `a` by position only (take away the `/`)",
    "yields": f"{STEPS}:9: `yields` is a generator (return the value instead of yielding)",
    "made": f"{STEPS}:11: `made` is not written with `def` (write a `def` that calls it)",
    "broken:f": "broken.py:2: this is not Python: invalid syntax",
    "empty:f": "empty.py: there is no function `f` in `empty.py`",
    "nul:f": "nul.py: this is not Python: source code string cannot contain null bytes",
}

BAD_STEPS = """from functools import partial
from json import dumps
def train(x): ...
async def waits(): ...
class Model: ...
def many(*rows): ...
def named(**rest): ...
def only(a, /): ...
def yields():
    yield 1
made = partial(train, 1)
"""


@pytest.mark.parametrize("run", BAD)
def test_what_cannot_be_a_step_is_a_fault_with_its_place(project: Make, run: str) -> None:
    files = {
        "shared/x.py": "def f(): ...\n",
        "broken.py": "a = 1\nb =\n",
        "empty.py": "",
        "nul.py": "a = '\0'\n",
    }
    made = project(BAD_STEPS, files)
    reader = CodeReader(made.root)
    for read in (reader.step_signature, reader.digests, reader.package_versions):
        with pytest.raises(DeclarationError) as raised:
            read(FOLDER, run)
        assert str(raised.value) == BAD[run]


def test_without_steps_py_the_near_name_is_said(project: Make) -> None:
    made = project("", {f"{FOLDER}/step.py": ""})
    (made.root / STEPS).unlink()
    with pytest.raises(DeclarationError) as raised:
        CodeReader(made.root).step_signature(FOLDER, "train")
    assert str(raised.value) == f"{STEPS}: there is no `{STEPS}` (did you mean `step.py`?)"


def test_nothing_is_imported(project: Make) -> None:
    made = project("raise SystemExit(70)\ndef step(): return 1\n")
    assert CodeReader(made.root).step_signature(FOLDER, "step").line == 2
    assert made.digests()


def test_a_path_with_blanks_and_other_letters(project: Make) -> None:
    made = project("from größe import f\ndef step():\n    return f()\n", {"größe.py": "def f(): 1"})
    assert made.digests().keys() == {"größe.f", "steps.step"}
