"""The sentences of docs/reuse.md about code, by their numbers: `1.3` is `test_1_3_...`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from code_project import STEPS, Make, changes

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reuse.md"
X = "shared/x.py"


def test_every_sentence_of_the_page_has_its_test() -> None:
    said = re.findall(r"^- \*\*(\d+\.\d+)\*\* ", PAGE.read_text("utf-8"), re.MULTILINE)
    tests = "".join(file.read_text("utf-8") for file in sorted(HERE.glob("test_promises*.py")))
    found = re.findall(r"^def test_(\d+)_(\d+)_", tests, re.MULTILINE)
    assert said == [f"{part}.{number}" for part, number in found]


def test_1_1_the_body_counts(project: Make) -> None:
    made = project("def step():\n    return 1\n")
    assert changes(made, STEPS, "1", "2") == {"steps.step"}


def test_1_2_what_it_calls_counts_over_modules(project: Make) -> None:
    steps = "from shared.x import f\ndef step():\n    return f()\n"
    files = {
        X: "from shared.y import g\ndef f():\n    return g()\n",
        "shared/y.py": "def g(): return 1\n",
    }
    assert changes(project(steps, files), "shared/y.py", "1", "2") == {"shared.y.g"}


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("A = 7", "steps.A"),
        ("A += [7]", "steps.A"),
        ("A.append(7)", "steps (at import)"),
        ("A[0] = 7", "steps (at import)"),
    ],
)
def test_1_3_a_constant_counts_with_all_that_makes_it(project: Make, line: str, label: str) -> None:
    made = project(f"A = [1]\n{line}\ndef step():\n    return A\n")
    assert label in changes(made, STEPS, line, line.replace("7", "8"))


def test_1_4_a_class_counts_whole_with_its_bases(project: Make) -> None:
    steps = "from shared.x import Base\nclass A(Base):\n    pass\ndef step():\n    return A\n"
    made = project(steps, {X: "class Base:\n    def other(self):\n        return 1\n"})
    assert changes(made, X, "1", "2") == {"shared.x.Base"}


@pytest.mark.parametrize(
    "how", ["@wrap\ndef step(x=None)", "def step(x=wrap)", "def step(x: wrap)"]
)
def test_1_5_decorators_defaults_and_annotations_count(project: Make, how: str) -> None:
    made = project(f"def wrap(f):\n    return f or 1\n{how}:\n    return x\n")
    assert "steps.wrap" in changes(made, STEPS, "1", "2")


@pytest.mark.parametrize("body", ["[f() for _ in 'a']", "(lambda: f())()", "{f(): 1}", "f'{f()}'"])
def test_1_6_what_inner_scopes_use_counts(project: Make, body: str) -> None:
    made = project(f"def f():\n    return 7\ndef step():\n    return {body}\n")
    assert changes(made, STEPS, "7", "8") == {"steps.f"}


@pytest.mark.parametrize("how", ["{'a': f}", "functools.partial(f)", "f", "[f, f]", "(f,)"])
def test_1_7_functions_that_are_held_count(project: Make, how: str) -> None:
    steps = (
        f"import functools\ndef f():\n    return 7\nheld = {how}\ndef step():\n    return held\n"
    )
    assert "steps.f" in changes(project(steps), STEPS, "7", "8")


@pytest.mark.parametrize(
    ("steps", "use"),
    [
        ("import shared.x", "shared.x.f"),
        ("import shared.x as m", "m.f"),
        ("from shared import x", "x.f"),
        ("from shared import x as m", "m.f"),
        ("from shared.x import f as g", "g"),
        ("from shared import again", "again"),
        ("import shared", "shared.again"),
        ("def g():\n    import shared.x as m\n    return m.f", "g"),
        ("from shared.y import f", "f"),
        (
            "try:\n    import nowhere as m\nexcept ImportError:\n    from shared import x as m",
            "m.f",
        ),
        ("if 1:\n    from json import dumps as f\nelse:\n    from shared.x import f", "f"),
    ],
)
def test_1_8_imports_are_followed(project: Make, steps: str, use: str) -> None:
    files = {
        "shared/__init__.py": "from .x import f as again\n",
        X: "def f():\n    return 7\n",
        "shared/y.py": "from .x import f\n",
    }
    made = project(f"{steps}\ndef step():\n    return {use}\n", files)
    assert changes(made, X, "7", "8") == {"shared.x.f"}


def test_1_9_an_import_that_turns_counts(project: Make) -> None:
    made = project("from math import floor as f\ndef step():\n    return f(1.5)\n")
    assert changes(made, STEPS, "floor", "ceil") == {"steps.step"}


def test_1_10_a_change_names_the_definition(project: Make) -> None:
    files = {"shared/clean.py": "def drop(x):\n    return 7\n", "shared/__init__.py": ""}
    made = project("from shared.clean import drop\ndef step():\n    return drop(1)\n", files)
    assert changes(made, "shared/clean.py", "7", "8") == {"shared.clean.drop"}


def test_2_1_comments_docstrings_and_formatting_do_not_count(project: Make) -> None:
    made = project('def step():\n    """One."""\n    return [1, 2]  # one\n')
    new = '"""Two."""\n    # two\n    return [\n        1,\n        2,\n    ]'
    assert changes(made, STEPS, '"""One."""\n    return [1, 2]  # one', new) == set()


@pytest.mark.parametrize("other", ["def f():\n    return 7", "A = 7", "class A:\n    a = 7"])
def test_2_2_what_is_not_reached_does_not_count(project: Make, other: str) -> None:
    made = project(f"{other}\ndef step():\n    return 1\n")
    assert changes(made, STEPS, "7", "8") == set()


@pytest.mark.parametrize(
    "step",
    ["def step():\n    f = 1\n    return f", "def step(f=1):\n    return f, 'f'.f, dict(f=f)"],
)
def test_2_3_a_local_name_does_not_reach_the_modules(project: Make, step: str) -> None:
    made = project(f"def f():\n    return 7\n{step}\n")
    assert changes(made, STEPS, "7", "8") == set()


def test_2_4_the_order_of_functions_and_plain_imports_does_not_count(project: Make) -> None:
    first, then = "import json\nfrom shared.x import A\n", "from shared.x import A\nimport json\n"
    helper, step = "def f():\n    return json, A\n", "def step():\n    return f()\n"
    made = project(first + helper + step, {X: "A = 1\n"})
    assert changes(made, STEPS, first + helper + step, then + step + helper) == set()


def test_2_5_a_scripts_part_does_not_count(project: Make) -> None:
    made = project("def step(): 1\nif __name__ == '__main__':\n    print(7)\n")
    assert changes(made, STEPS, "7", "8") == set()


def test_2_6_a_module_that_is_not_imported_does_not_count(project: Make) -> None:
    made = project("def step(): 1\n", {X: "print(7)\n"})
    assert changes(made, X, "7", "8") == set()


@pytest.mark.parametrize(
    ("effect", "label"),
    [
        ("print(7)", "steps (at import)"),
        ("for each in (1, 2):\n    print(7)", "steps (at import)"),
        ("A = Path('7')", "steps (at import)"),
        ("A = [int(each) for each in '7']", "steps (at import)"),
        ("A = {}\nA['a'] = 7", "steps (at import)"),
        ("A = []\nA.append(7)", "steps (at import)"),
        ("B = 7\nA = Path(B)", "steps.B"),
        ("print(f())\ndef f():\n    return 7", "steps.f"),
    ],
)
def test_3_1_what_is_no_definition_import_or_literal_belongs_to_every_function(
    project: Make, effect: str, label: str
) -> None:
    made = project(f"from pathlib import Path\n{effect}\ndef step():\n    return 1\n")
    assert label in changes(made, STEPS, "7", "8")


def test_3_2_so_it_does_in_modules_imported_only_for_it(project: Make) -> None:
    made = project("import shared.x\ndef step():\n    return 1\n", {X: "print(7)\n"})
    assert changes(made, X, "7", "8") == {"shared.x (at import)"}


def test_3_3_the_order_of_what_runs_counts(project: Make) -> None:
    made = project("A = [1]\nprint(A)\nB = A[0]\ndef step():\n    return B\n")
    changed = changes(made, STEPS, "print(A)\nB = A[0]", "B = A[0]\nprint(A)")
    assert changed == {"steps (at import)"}


@pytest.mark.parametrize(
    "literal",
    [
        "A = [7, {'a': 7}, -7]",
        "A = 7\nB = 24 * A",
        "A = f'{7}.csv'",
        "A = [7]\nB = A + [1]",
        "def f(): return 7\nA = {'f': f}\nB = f",
        "A = lambda x: 7",
        "A: int = 7",
        "if TYPE_CHECKING:\n    A = 7",
        "try:\n    import tomllib\nexcept ImportError:\n    tomllib = 7",
        "class A:\n    a = 7\n    @property\n    def b(self):\n        return 7",
        "class A(BaseEstimator):\n    def fit(self):\n        return print(7)",
        "class A(Enum):\n    a = 7",
    ],
)
def test_3_4_definitions_imports_and_literals_belong_to_those_who_name_them(
    project: Make, literal: str
) -> None:
    imports = (
        "from enum import Enum\nfrom typing import TYPE_CHECKING\n"
        "from sklearn.base import BaseEstimator\n"
    )
    made = project(f"{imports}{literal}\ndef step():\n    return 1\n")
    assert changes(made, STEPS, "7", "8") == set()


@pytest.mark.parametrize(
    ("decorated", "expected"),
    [
        ("@dataclass(frozen=True)\nclass A:\n    a: int = 7", set()),
        ("@dataclass\nclass A:\n    a: list = field(default_factory=lambda: [7])", set()),
        ("@lru_cache\ndef a():\n    return print(7)", set()),
        ("def wrap(f):\n    return lambda: f()\n@wrap\ndef a():\n    return print(7)", set()),
        (
            "def keep(n):\n    def wrap(f):\n        def inner():\n            return f()\n"
            "        return inner\n    return wrap\n@keep(3)\ndef a():\n    return 7",
            set(),
        ),
        ("@print\ndef other():\n    return 7", {"steps.other"}),
        ("def note(f):\n    print(f)\n    return f\n@note\ndef a():\n    return 7", {"steps.a"}),
        (
            "def hand(n):\n    return print\n@hand(3)\ndef a():\n    return 7",
            {"steps.a"},
        ),
    ],
)
def test_3_5_a_decorator_that_does_more_than_wrap_belongs_to_every_function(
    project: Make, decorated: str, expected: set[str]
) -> None:
    imports = "from dataclasses import dataclass, field\nfrom functools import lru_cache\n"
    made = project(f"{imports}{decorated}\ndef step():\n    return 1\n")
    assert changes(made, STEPS, "7", "8") == expected


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("class Base: ...", set()),
        ("from abc import ABC as Base", set()),
        ("from enum import Flag as Base", set()),
        ("from odd import Base", {"steps.A"}),
        ("class Base:\n    def __init_subclass__(cls): print(cls)", {"steps.A"}),
        ("class Base(type): ...", {"steps.A"}),
    ],
)
def test_3_6_a_class_belongs_to_every_function_where_its_base_may_note_it(
    project: Make, base: str, expected: set[str]
) -> None:
    made = project(f"{base}\nclass A(Base):\n    a = 7\ndef step():\n    return 1\n")
    assert changes(made, STEPS, "7", "8") == expected


@pytest.mark.parametrize("base", ["KeyError", "OSError", "BaseException", "float", "frozenset"])
def test_pythons_own_types_and_exceptions_note_no_subclass(project: Make, base: str) -> None:
    made = project(f"class A({base}):\n    a = 7\ndef step():\n    return 1\n")
    assert changes(made, STEPS, "7", "8") == set()
