"""The sentences of docs/reuse.md on what reading cannot be sure of, packages, files and objects."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from code_project import FOLDER, STEPS, Make, changes

from towpath.dependencies import CodeReader
from towpath.errors import DeclarationError

X = "shared/x.py"


@pytest.mark.parametrize("use", ["getattr(x, 'f' * 1)", "print(x)", "[x]", "vars(x)", "x.__dict__"])
def test_4_1_a_module_as_a_value_counts_whole(project: Make, use: str) -> None:
    files = {X: "import shared.y\ndef f(): return 7\n", "shared/y.py": "def g(): return 7\n"}
    made = project(f"from shared import x\ndef step():\n    return {use}\n", files)
    assert changes(made, X, "7", "8") == {"shared.x (whole module)"}
    assert changes(made, "shared/y.py", "7", "8") == {"shared.y (whole module)"}


def test_4_2_a_star_import_counts_its_module_whole(project: Make) -> None:
    made = project("from shared.x import *\ndef step(): 1\n", {X: "def f(): return 7\n"})
    assert changes(made, X, "7", "8") == {"shared.x (whole module)"}


@pytest.mark.parametrize("body", ["f()", "shared.x.g()"])
def test_4_3_what_nothing_defines_counts_its_module_whole(project: Make, body: str) -> None:
    steps = "import shared.x\nfrom shared.x import h\ndef step():\n    return h()\n"
    made = project(steps, {X: f"import shared.x\nA = 7\ndef h():\n    return {body}\n"})
    assert changes(made, X, "7", "8") == {"shared.x (whole module)"}


@pytest.mark.parametrize("use", ["def step(): globals()", "a = vars()\ndef step(): a"])
def test_4_4_globals_count_the_module_whole(project: Make, use: str) -> None:
    made = project(f"def other(): return 7\n{use}\n")
    assert changes(made, STEPS, "7", "8") == {"steps (whole module)"}


def test_4_5_expressions_in_strings_count(project: Make) -> None:
    made = project("A = 7\nB = 9\ndef step(frame=1):\n    return frame.query('a > @A')\n")
    assert changes(made, STEPS, "A = 7", "A = 8") == {"steps.A"}
    assert changes(made, STEPS, "B = 9", "B = 1") == set()
    made.edit(STEPS, "'a > @A'", "str(frame)")
    assert changes(made, STEPS, "B = 1", "B = 2") == {"steps (whole module)"}
    made.edit(STEPS, "frame.query(str(frame))", "patsy.dmatrix('f(a)')")
    made.edit(STEPS, "A = 8", "import patsy")
    assert changes(made, STEPS, "B = 2", "B = 3") == {"steps (whole module)"}


def test_4_6_loading_by_name_counts_that_module_or_all(project: Make) -> None:
    steps = (
        "from importlib import import_module\ndef step(a='y'):\n    return import_module(NAME)\n"
    )
    made = project(steps.replace("NAME", "'shared.x'"), {X: "A = 7\n", "shared/y.py": "A = 7\n"})
    assert changes(made, X, "7", "8") == {"shared.x (whole module)"}
    assert changes(made, "shared/y.py", "7", "8") == set()
    made.edit(STEPS, "'shared.x'", "f'shared.{a}'")
    assert changes(made, "shared/y.py", "8", "9") == {"shared.y (whole module)"}


@pytest.mark.parametrize(
    "use",
    ["eval('1')", "exec('1')", "sys.modules", "sys.path", "list.__subclasses__()", "gc.collect()"],
)
def test_4_7_dynamic_code_counts_every_module(project: Make, use: str) -> None:
    made = project(f"import sys, gc\ndef step():\n    return {use}\n", {X: "A = 7\n"})
    assert changes(made, X, "7", "8") == {"shared.x (whole module)"}


@pytest.mark.parametrize(
    "use", ["pickle.load(1)", "joblib.load(1)", "subprocess.run(['a'])", "os.system('a')"]
)
def test_4_8_pickles_and_programs_count_every_module(project: Make, use: str) -> None:
    imports = "import os, pickle, subprocess\nimport joblib\n"
    made = project(f"{imports}def step():\n    return {use}\n", {X: "A = 7\n"})
    assert changes(made, X, "7", "8") == {"shared.x (whole module)"}


def test_4_9_comments_or_docstrings_count_where_they_are_read(project: Make) -> None:
    made = project('import inspect\ndef f():\n    "7"\ndef step():\n    return f.__doc__\n')
    assert changes(made, STEPS, "7", "8") == {"steps.f"}
    assert changes(made, STEPS, "import inspect", "import inspect  # 1") == set()
    made.edit(STEPS, "f.__doc__", "inspect.getsource(f)")
    assert changes(made, STEPS, "# 1", "# 2") == {"steps (whole module)"}


def test_4_10_getattr_of_a_value_widens_nothing(project: Make) -> None:
    made = project("def other(): return 7\ndef step(x=1, name='a'):\n    return getattr(x, name)\n")
    assert changes(made, STEPS, "7", "8") == set()


@pytest.mark.parametrize("file", ["test_a.py", "a_test.py", "conftest.py", ".a/a.py", "env/a.py"])
def test_4_11_tests_and_environments_are_no_modules(project: Make, file: str) -> None:
    files = {f"lib/{file}": "A = 7\n", "lib/env/pyvenv.cfg": ""}
    made = project("import pickle\ndef step():\n    return pickle.load(1)\n", files)
    assert changes(made, f"lib/{file}", "7", "8") == set()


def test_4_12_a_file_that_is_not_python_is_a_fault(project: Make) -> None:
    made = project("import shared.x\ndef step(): 1\n", {X: "A = 1\ndef f(:\n"})
    with pytest.raises(DeclarationError, match=r"^shared/x\.py:2: this is not Python"):
        made.digests()
    made.edit(STEPS, "import shared.x", "import pickle\npickle.loads(b'N.')")
    assert "shared.x (whole module)" in made.digests(), "it only might be loaded"


def test_5_1_packages_count_with_what_they_require(project: Make) -> None:
    made = project("import pandas\ndef step(): 1\n")
    found = CodeReader(made.root).package_versions(FOLDER, "step")
    assert found.keys() >= {"pandas", "numpy", "python-dateutil", "six"}
    assert "scikit-learn" not in found


def test_5_2_an_import_inside_a_function_counts_if_that_is_reached(project: Make) -> None:
    made = project("def other():\n    import numpy\ndef step(): 1\n")
    assert not CodeReader(made.root).package_versions(FOLDER, "step")
    assert "numpy" in CodeReader(made.root).package_versions(FOLDER, "other")


def test_5_3_a_package_that_is_missing_counts(project: Make) -> None:
    made = project("try:\n    import surely_missing\nexcept ImportError: 1\ndef step(): 1\n")
    assert CodeReader(made.root).package_versions(FOLDER, "step") == {
        "surely_missing": "not installed"
    }


def test_5_4_editable_sources_are_read(
    project: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    info = site / "elsewhere-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1\n")
    url = (tmp_path / "else where").as_uri()
    (info / "direct_url.json").write_text(f'{{"url": "{url}", "dir_info": {{"editable": true}}}}')
    monkeypatch.syspath_prepend(site)
    monkeypatch.syspath_prepend(tmp_path / "loose")
    steps = "import elsewhere, loose\ndef step():\n    return elsewhere.f() + loose.f()\n"
    beside = {
        "../else where/src/elsewhere.py": "def f(): return 7\n",
        "../loose/loose.py": "def f(): return 7\n",
    }
    made = project(steps, beside)
    assert changes(made, "../else where/src/elsewhere.py", "7", "8") == {"elsewhere.f"}
    assert changes(made, "../loose/loose.py", "7", "8") == {"loose.f"}


def test_5_5_a_compiled_module_counts_by_its_bytes(project: Make) -> None:
    file = f"fast{EXTENSION_SUFFIXES[0]}"
    made = project("import fast\ndef step():\n    return fast.f()\n", {file: "7"})
    assert changes(made, file, "7", "8")


@pytest.mark.parametrize("extra", ["sql/a.sql", "sql", "sql/", "sql/*.sql", "**/*.sql"])
def test_6_1_files_under_code_count_by_their_bytes(project: Make, extra: str) -> None:
    made = project("def step(): 1\n", {"sql/a.sql": "7"})
    before = made.digests("step", extra)
    made.edit("sql/a.sql", "7", "8")
    assert made.changed(before, "step", extra) == {extra}
    if extra != "sql/a.sql":
        before = made.digests("step", extra)
        (made.root / "sql/a.sql").rename(made.root / "sql/c.sql")
        assert made.changed(before, "step", extra) == {extra}, (
            "a name in it counts, the only one too"
        )
        before = made.digests("step", extra)
        made.write({"sql/b.sql": ""})
        assert made.changed(before, "step", extra) == {extra}


def test_6_2_they_are_looked_for_beside_the_pipeline_first(project: Make) -> None:
    made = project("def step(): 1\n", {"fit.R": "7", f"{FOLDER}/fit.R": "7"})
    before = made.digests("step", "fit.R")
    made.edit("fit.R", "7", "8")
    assert made.changed(before, "step", "fit.R") == set()
    (made.root / FOLDER / "fit.R").unlink()
    assert made.changed(before, "step", "fit.R") == {"fit.R"}


def test_6_3_what_matches_nothing_is_a_fault(project: Make) -> None:
    made = project("def step(): 1\n", {"fit.R": "7"})
    with pytest.raises(DeclarationError) as raised:
        made.digests("step", "fi.R", "sql/*.sql")
    assert [fault.hint for fault in raised.value.faults] == [
        "did you mean `fit.R`?",
        "name it beside pipeline.yaml or from the root",
    ]


def test_7_1_what_a_pickle_may_name_is_carried(project: Make) -> None:
    steps = (
        "from sklearn.preprocessing import FunctionTransformer\n"
        "class Model:\n    def predict(self): return helper()\n"
        "def helper(): return 7\ndef scale(x): return 7\ndef clean(x): return 7\n"
        "def step(x=1):\n    clean(x)\n    return Model(), FunctionTransformer(scale)\n"
    )
    carried = CodeReader(project(steps).root).digest_carried(FOLDER, "step")
    assert carried.keys() == {"steps.Model", "steps.helper", "steps.scale"}
