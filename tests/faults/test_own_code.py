"""A version's own code: laid out as its commit has it, and run where main holds it."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas
import pytest
from msgspec import structs
from skops_files import plain, stated, write

from towpath import registry
from towpath.backends.dvc import Store, initialise_store
from towpath.backends.git import Repository
from towpath.backends.git.checkouts import lay_out_code
from towpath.config.artifact import Artifact
from towpath.config.project_declaration import Project, parse_project
from towpath.delivery.reconcile import smoke_test
from towpath.delivery.reconcile.bundle import Bundle
from towpath.errors import Malformed, Refused, RegistryError, StepFailed
from towpath.registry import RecordedCode, Registration, VersionRecord
from towpath.registry.version_code import (
    CodeNews,
    CodeSource,
    OwnCode,
    find_news,
    find_own_code,
    refuse_off_main,
)
from towpath.registry.version_reference import VersionNumber
from towpath.steps.model_io import score_model

CLASS = "flows.training.steps.Scale"
STEPS = """\
from shared.factor import FACTOR


class Scale:
    def predict(self, X):
        return X[:, 0] * FACTOR
"""
DECLARED = f"name: small\ntrust: [{CLASS}]\nstages: {{dev: , prod: , lab: {{code: any}}}}\n"


class Clone:
    """A repository with a project, whose model has a class of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Ada Tester")
        self.git("config", "user.email", "ada@example.org")
        self.write("towpath.yaml", DECLARED)
        self.write("flows/training/steps.py", STEPS)
        self.write("shared/factor.py", "FACTOR = 2\n")
        self.commit()

    @property
    def repository(self) -> Repository:
        return Repository.open(self.root)

    @property
    def home(self) -> Path:
        return self.root.parent / "code"

    def git(self, *words: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.root, capture_output=True, text=True, input=stdin
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-qm", "work", "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def lay_out(self, commit: str, below: str = "") -> Path:
        return lay_out_code(self.repository, commit, below, self.home)

    def model(self, name: str = CLASS, **state: Any) -> Path:
        folder = self.root.parent / name
        folder.mkdir(exist_ok=True)
        return write(folder / "model.skops", stated(name, state))

    def record(self, commit: str = "HEAD", **facts: Any) -> VersionRecord:
        content = self.model().read_bytes()
        whole = VersionRecord(
            model="small",
            key="ab" * 32,
            artifact=Artifact(hashlib.md5(content).hexdigest(), len(content), "model.skops"),
            path="artifacts/training/fit/model.skops",
            sha256=hashlib.sha256(content).hexdigest(),
            kind="skops",
            code=RecordedCode(self.git("rev-parse", commit)),
            pipeline="training",
            version=VersionNumber(1, 0, 0),
        )
        return structs.replace(whole, **facts)

    def own(self, stage: str | None = None, trust: str = CLASS, **facts: Any) -> OwnCode:
        main = self.git("rev-parse", "main")
        policy = parse_project(DECLARED).model_copy(update={"trust": tuple(trust.split(", "))})
        source = CodeSource(self.repository, self.home, policy, stage, main)
        return find_own_code(source, self.record(**facts))

    def score(self, own: OwnCode, trust: str = CLASS, model: Path | None = None) -> list[float]:
        data, output = self.root.parent / "data.csv", self.root.parent / "scored.csv"
        data.write_text("x\n1.5\n2\n")
        found = model or self.model()
        asked = score_model.Scoring(found, data, output, own, trust=tuple(trust.split(", ")))
        score_model.score_table(asked)
        return pandas.read_csv(output)["prediction"].tolist()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "project")


def test_the_code_is_the_version_s_and_not_that_of_the_work_tree(clone: Clone) -> None:
    own = clone.own("prod")
    assert own.classes == {CLASS: "flows/training/steps.py"}
    clone.write("shared/factor.py", "FACTOR = 100\n")
    assert clone.score(own) == [3, 4]


def test_a_class_is_found_where_a_run_finds_it(clone: Clone) -> None:
    """Beside the steps, in the project's root and in a package of `src`: one model holds all."""
    places = {
        "near.Scale": "flows/training/near.py",
        "kinds.Scale": "kinds.py",
        "pack.kinds.Scale": "src/pack/kinds.py",
    }
    clone.write("src/pack/__init__.py", "")
    for place in places.values():
        clone.write(place, STEPS)
    clone.commit()
    whole, *parts = places
    trust = ", ".join(places)
    own = clone.own("prod", trust)
    assert own.classes == places
    state = {f"part_{number}": stated(name, {}) for number, name in enumerate(parts)}
    assert clone.score(own, trust, clone.model(whole, **state)) == [3, 4]


def test_a_project_in_a_folder_of_its_repository(clone: Clone) -> None:
    clone.git("mv", "-k", "flows", "shared", "towpath.yaml", ".")
    (clone.root / "sub").mkdir()
    clone.git("mv", "flows", "shared", "towpath.yaml", "sub")
    clone.commit()
    own = clone.own("prod", path="sub/artifacts/training/fit/model.skops")
    assert clone.score(own) == [3, 4]
    assert own.root is not None
    assert sorted(path.name for path in own.root.iterdir()) == ["flows", "shared", "towpath.yaml"]


def test_code_that_main_does_not_hold_runs_in_the_first_stage_alone(clone: Clone) -> None:
    clone.git("switch", "-qc", "topic")
    clone.write("shared/factor.py", "FACTOR = 3\n")
    commit = clone.commit()
    assert all(clone.own(stage).root for stage in ("dev", None, "lab"))
    refused = f"holds {CLASS}, of its own code, and its code is that of the commit {commit[:7]}"
    with pytest.raises(Refused, match=refused + ", which main's history does not hold") as raised:
        clone.score(clone.own("prod"))
    assert "`code: any` of prod" in str(raised.value.faults[0].hint)
    record, project = clone.record(needs=(CLASS,)), parse_project(DECLARED)
    main = clone.git("rev-parse", "main")
    (fault,) = refuse_off_main(clone.repository, record, project, "prod", main)
    assert fault.what.startswith(f"small@v1.0.0 {refused}")
    assert not list(refuse_off_main(clone.repository, record, project, "lab", main))
    clone.git("switch", "-q", "main")
    clone.git("merge", "-q", "--no-ff", "topic", "-m", "merge")
    assert clone.score(clone.own("prod", commit=commit)) == [4.5, 6]
    assert not list(
        refuse_off_main(clone.repository, record, project, "prod", clone.git("rev-parse", "main"))
    )


def test_trust_names_the_class_and_no_import_stands_for_it(clone: Clone) -> None:
    clone.write("flows/training/steps.py", STEPS + "\n\nclass Other(Scale):\n    pass\n")
    clone.commit()
    other = clone.model("flows.training.steps.Other")
    with pytest.raises(Refused, match=r"not safe to load: it holds flows\.training\.steps\.Other"):
        clone.score(clone.own("prod"), model=other)


def test_a_model_without_a_class_of_its_own_brings_no_code(clone: Clone) -> None:
    name, mark = "sklearn.preprocessing._data.StandardScaler", clone.root.parent / "mark"
    clone.write("pyarrow.py", f"open({str(mark)!r}, 'w')\n")
    clone.write("shared/__init__.py", "raise SystemExit('it ran')\n")
    clone.commit()
    with pytest.raises(StepFailed, match="a StandardScaler has no `predict`"):
        clone.score(clone.own("prod"), model=clone.model(name))
    assert not mark.exists()


def test_a_file_of_the_commit_s_in_a_package_s_place_is_its_own_code(clone: Clone) -> None:
    clone.git("switch", "-qc", "topic")
    clone.write("xgboost/core.py", "class Booster:\n    pass\n")
    clone.commit()
    own = clone.own("prod", f"{CLASS}, xgboost.core.Booster")
    assert own.classes == {
        CLASS: "flows/training/steps.py", "xgboost.core.Booster": "xgboost/core.py",
    }  # fmt: skip
    assert own.root is None


def test_a_commit_that_is_not_here(clone: Clone) -> None:
    code = RecordedCode("c0ffee" * 6 + "c0ff", "https://example.org/other.git")
    own = clone.own("prod", code=code)
    said = r"holds flows\.training\.steps\.Scale, and its code is that of the commit c0ffeec of "
    with pytest.raises(StepFailed, match=said + r"https://example\.org/other\.git, which is not"):
        clone.score(own)


def test_a_class_whose_code_does_not_import(clone: Clone) -> None:
    broken = {
        "import nothing_of_that_name\n": "1: the code of small@v1.0.0 cannot be imported: "
        "ModuleNotFoundError: No module named 'nothing_of_that_name'",
        "\n\nFACTOR = (\n": "3: the code of small@v1.0.0 cannot be imported: "
        "SyntaxError: '(' was never closed",
    }
    for text, words in broken.items():
        clone.write("shared/factor.py", text)
        clone.commit()
        with pytest.raises(StepFailed, match=re.escape(f"shared/factor.py:{words}")):
            clone.score(clone.own("prod"))


def test_packages_that_are_others_here_are_named(clone: Clone) -> None:
    packages = {"scikit-learn": "1.0.0", "numpy": "1.0.0", "gone": "2.1"}
    own = clone.own("prod", packages=packages, python="3.9")
    output, data = clone.root.parent / "scored.csv", clone.root.parent / "data.csv"
    data.write_text("x\n1.5\n")
    done = score_model.score_table(
        score_model.Scoring(clone.model(), data, output, own, trust=(CLASS,))
    )
    here = pandas.__version__ and __import__("sklearn").__version__
    assert f"scikit-learn 1.0.0 recorded, {here} here" in done.packages
    assert "gone 2.1 recorded, none here" in done.packages
    assert done.packages[-1].startswith("Python 3.9 recorded, 3.")
    model = clone.model("sklearn.preprocessing._data.StandardScaler")
    assert score_model.own_classes.compare_recorded(model, model.name, own.to_json())[0] == (
        f"scikit-learn 1.0.0 recorded, {here} here: the model's classes come from it"
    )


def test_a_package_that_is_not_installed_is_named_with_its_version(clone: Clone) -> None:
    name = "catboost_gone.core.Model"
    own = clone.own("prod", name, packages={"catboost-gone": "1.2.5"})
    with pytest.raises(StepFailed, match=r"needs catboost-gone 1\.2\.5, which is not") as raised:
        clone.score(own, name, clone.model(name))
    assert raised.value.faults[0].hint == "pip install catboost-gone==1.2.5"


def _bundle(clone: Clone, folder: str, commit: str) -> Bundle:
    place = clone.root.parent / folder
    place.mkdir()
    write(place / "model.skops", stated(CLASS, {"n_features_in_": plain(1)}))
    return Bundle(place, "prod", clone.record(commit))


def test_two_versions_with_one_class_are_tried_each_with_its_own(clone: Clone) -> None:
    first = clone.git("rev-parse", "HEAD")
    clone.write("shared/factor.py", "FACTOR = 3\n")
    second = clone.commit()
    new, old = _bundle(clone, "new", second), _bundle(clone, "old", first)
    project: Project = parse_project(DECLARED)
    main = clone.git("rev-parse", "main")
    source = CodeSource(clone.repository, clone.home, project, "prod", main)
    tried = smoke_test.run_smoke_test(
        new, old, project, None, lambda record: find_own_code(source, record)
    )
    assert tried == "3 rows predicted, 3 of 3 values other than v1.0.0's"


def test_what_is_new_of_the_code_against_the_incumbent_s(clone: Clone) -> None:
    old = clone.record()
    assert find_news(clone.repository, old, None, [CLASS]) == CodeNews(
        {CLASS: "flows/training/steps.py"}, old.code.commit, None, ()
    )
    clone.write("shared/factor.py", "FACTOR = 3\nMORE = 1\n")
    clone.write("notes.md", "no code\n")
    clone.commit()
    news = find_news(clone.repository, clone.record(), old, [CLASS])
    assert news is not None
    assert news.changes == (("shared/factor.py", 2, 1),)
    assert find_news(clone.repository, clone.record(), old, ["xgboost.core.Booster"]) is None
    needs = ("xgboost.core.Booster",)
    assert find_news(clone.repository, clone.record(needs=needs), old, [CLASS, *needs]) is None


def test_it_is_laid_out_as_git_has_it_and_nothing_of_the_commit_s_runs(clone: Clone) -> None:
    mark = clone.root.parent / "mark"
    clone.git("config", "filter.hostile.smudge", f"touch {mark}; cat")
    clone.git("config", "filter.hostile.clean", "cat")
    clone.write(".gitattributes", "*.py filter=hostile eol=crlf ident\n*.sh text eol=crlf\n")
    clone.write("run.sh", "one\ntwo $Id$\n")
    hook = clone.root / ".git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    commit = clone.commit()
    mark.unlink(missing_ok=True)
    folder = clone.lay_out(commit)
    assert folder == clone.home / commit
    assert (folder / "run.sh").read_bytes() == b"one\ntwo $Id$\n"
    assert (folder / "flows/training/steps.py").read_text() == STEPS
    assert not mark.exists()
    modes = {path.stat().st_mode & 0o222 for path in folder.rglob("*") if path.is_file()}
    assert modes == {0}, "its files are for reading"
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert clone.lay_out(commit) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times


def test_what_was_altered_there_is_laid_out_anew(clone: Clone) -> None:
    commit = clone.git("rev-parse", "HEAD")
    folder = clone.lay_out(commit)
    steps = folder / "flows/training/steps.py"

    def edited() -> None:
        steps.chmod(0o644)
        steps.write_text(STEPS.replace("FACTOR", "FACTOS"))

    def added() -> None:
        (folder / "shared/json.py").write_text("raise SystemExit\n")

    def linked() -> None:
        steps.unlink()
        steps.symlink_to(clone.root / "flows/training/steps.py")

    def taken_away() -> None:
        steps.unlink()

    def moved() -> None:
        folder.rename(folder.with_name("elsewhere"))
        folder.symlink_to(folder.with_name("elsewhere"))

    for alter in (edited, added, linked, taken_away, moved):
        alter()
        assert clone.lay_out(commit) == folder
        assert steps.read_text() == STEPS
        assert not steps.is_symlink()
        assert not folder.is_symlink()
        assert not (folder / "shared/json.py").exists()


def test_links_stay_inside_and_submodules_are_left_out(clone: Clone) -> None:
    links = {
        "inside": "shared/factor.py", "shared/up": "../flows", "a/b/c": "../../shared",
        "out": "../project/towpath.yaml", "absolute": "/etc/passwd", "shared/far": "../../../etc",
        "winding": "shared/../../..",
    }  # fmt: skip
    rows = ""
    for path, target in links.items():
        blob = clone.git("hash-object", "-w", "--stdin", stdin=target)
        rows += f"120000 {blob}\t{path}\n"
    rows += f"160000 {'c0ffee' * 6}c0ff\tmodule\n"
    clone.git("update-index", "--index-info", stdin=rows)
    clone.git("commit", "-qm", "links")
    folder = clone.lay_out("HEAD")
    made = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink()}
    assert {"inside", "shared/up", "a/b/c"} <= made
    assert not made & {"out", "absolute", "shared/far", "winding"}
    assert all(path.resolve().is_relative_to(folder.resolve()) for path in folder.rglob("*"))
    assert not (folder / "module").exists()


@pytest.mark.parametrize("name", ["..", ".git", ".GIT"])
def test_a_tree_that_leads_out_is_refused(clone: Clone, name: str) -> None:
    blob = clone.git("hash-object", "-w", "--stdin", stdin="x")
    inner = clone.git("mktree", stdin=f"100644 blob {blob}\tx\n")
    tree = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"],
        cwd=clone.root, capture_output=True, check=True,
        input=f"40000 {name}\0".encode() + bytes.fromhex(inner),
    ).stdout.decode().strip()  # fmt: skip
    commit = clone.git("commit-tree", tree, "-m", "hostile")
    with pytest.raises(RegistryError, match="which no folder can"):
        clone.lay_out(commit)
    assert not (clone.home.parent / "x").exists()


LOAD = """
import sys
import towpath
before = list(sys.path)
model = towpath.load("small@v1.0.0", project=sys.argv[1])
assert sys.path == before
print(type(model).__module__, model.factor())
import shared.factor
sys.modules["shared.factor"].__file__ = "/elsewhere/shared/factor.py"
try:
    towpath.load("small@v1.0.0", project=sys.argv[1])
except towpath.TowpathError as error:
    print(error)
"""


def test_python_loads_a_version_with_its_own_code_or_says_what_it_would_mix(clone: Clone) -> None:
    more = "    def factor(self):\n        return FACTOR\n"
    clone.write("flows/training/steps.py", STEPS + more)
    clone.commit()
    record = clone.record()
    initialise_store(clone.root)
    model = clone.root / record.path
    model.parent.mkdir(parents=True)
    model.write_bytes((clone.root.parent / CLASS / "model.skops").read_bytes())
    Store(clone.root).put(model)
    registry.register_version(clone.repository, Registration(record, record.code.commit, {}))
    clone.write("shared/factor.py", "FACTOR = 100\n")
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(clone.root)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded, mixed = done.stdout.splitlines()
    assert loaded == "flows.training.steps 2"
    assert "small@v1.0.0 brings its own shared.factor, and this process has that of " in mixed


@pytest.mark.parametrize(
    "said",
    [None, [], 3, {}, {"rows": -1}, {"rows": True}, {"rows": 1, "packages": 5}, {"rows": 1, "x": 1},
     {"faults": [], "refused": True}, {"faults": [["a"]], "refused": True}, {"faults": [["a", 1]]},
     {"faults": [["a", None]], "refused": "yes"}, {"faults": "all"}],
)  # fmt: skip
def test_an_answer_that_the_model_s_code_made_up_is_none(said: object) -> None:
    with pytest.raises(Malformed):
        score_model.read_scored(said)
