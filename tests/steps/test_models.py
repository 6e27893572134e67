"""Model files: the same model gives the same bytes, and a file that could do harm is refused."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import zipfile

import numpy
import pandas
import pytest
import scipy.sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestRegressor,
    StackingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from towpath.errors import Refused, StepFailed
from towpath.steps.model_io import allowed_types, skops_models

ROWS = numpy.random.default_rng(0).random((200, 4))
TABLE = pandas.DataFrame(ROWS, columns=list("abcd"))
MIXED = TABLE.assign(s=pandas.Categorical(numpy.where(TABLE.b > 0.5, "u", "v")))
NUMBER = TABLE.a * 2 + TABLE.b
CLASS = (NUMBER > 1.4).map({True: "old", False: "young"})

MODELS = {
    "forest": lambda: RandomForestRegressor(4, random_state=0).fit(TABLE, NUMBER),
    "boosted": lambda: HistGradientBoostingRegressor(max_iter=4, random_state=0).fit(TABLE, NUMBER),
    "categories": lambda: HistGradientBoostingClassifier(max_iter=4, random_state=0).fit(
        MIXED, CLASS
    ),
    "gradient": lambda: GradientBoostingClassifier(n_estimators=3, random_state=0).fit(
        TABLE, CLASS
    ),
    "logistic": lambda: LogisticRegression().fit(TABLE, CLASS),
    "pipeline": lambda: make_pipeline(
        make_column_transformer((OneHotEncoder(), ["s"]), (StandardScaler(), ["a"])), Ridge()
    ).fit(MIXED, NUMBER),
    "neighbours": lambda: KNeighborsClassifier(algorithm="kd_tree").fit(TABLE, CLASS),
    "balls": lambda: KNeighborsClassifier(algorithm="ball_tree").fit(TABLE, CLASS),
    "calibrated": lambda: CalibratedClassifierCV(LogisticRegression(), cv=2).fit(TABLE, CLASS),
    "process": lambda: GaussianProcessRegressor(random_state=0).fit(TABLE[:40], NUMBER[:40]),
    "outliers": lambda: IsolationForest(n_estimators=3, random_state=0).fit(TABLE),
    "stack": lambda: StackingRegressor([("r", Ridge())]).fit(TABLE, NUMBER),
    "gradient descent": lambda: SGDClassifier(random_state=0).fit(TABLE, CLASS),
    "logarithm": lambda: make_pipeline(FunctionTransformer(numpy.log1p), Ridge()).fit(
        TABLE, NUMBER
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_goes_out_and_comes_back(tmp_path, name):
    model = MODELS[name]()
    table = MIXED if "s" in getattr(model, "feature_names_in_", ()) else TABLE
    skops_models.dump_model(model, tmp_path / "a.skops")
    skops_models.dump_model(MODELS[name](), tmp_path / "b.skops")
    assert (tmp_path / "a.skops").read_bytes() == (tmp_path / "b.skops").read_bytes()
    assert skops_models.find_untrusted(tmp_path / "a.skops", "a.skops") == ()
    again = skops_models.load_trusted_model(tmp_path / "a.skops", "a.skops")
    assert (again.predict(table) == model.predict(table)).all()


def test_a_search_comes_back(tmp_path):  # its bytes hold how long each fit took
    tree = DecisionTreeClassifier(random_state=0)
    model = GridSearchCV(tree, {"max_depth": [1, 2]}).fit(TABLE, CLASS)
    skops_models.dump_model(model, tmp_path / "a.skops")
    assert (
        skops_models.load_trusted_model(tmp_path / "a.skops", "a.skops").best_params_
        == model.best_params_
    )


DUMP = """
import sys, numpy
sys.path.insert(0, {tests!r})
import test_models
from pathlib import Path
from towpath.steps.model_io import skops_models as models
junk = [numpy.full(1000, numpy.nan) for _ in range({number} * 50)]
del junk[::2]
held = {{"forest": test_models.MODELS["forest"](), "bytes": test_models.bytes_everywhere()}}
models.dump_model(held, Path({path!r}))
print(list(held["bytes"]["set"]))
"""


def test_processes_with_other_memory_and_hashes_write_the_same_bytes(tmp_path):
    found, orders = set(), set()
    for number in range(2):
        path = tmp_path / f"{number}.skops"
        text = DUMP.format(tests=__file__.rpartition("/")[0], number=number, path=str(path))
        seeded = {**os.environ, "PYTHONHASHSEED": str(number)}
        ended = subprocess.run(
            [sys.executable, "-c", text], check=True, env=seeded, capture_output=True
        )
        orders.add(ended.stdout)
        found.add(path.read_bytes())
    assert len(orders) == 2, "the hashes of the two lay a set out alike: they prove nothing"
    assert len(found) == 1


class Booster:
    """Keeps itself as XGBoost's does: a `bytearray` in its state."""

    def __init__(self, content):
        self.content = content

    def __getstate__(self):
        return {"handle": bytearray(self.content)}

    def __setstate__(self, state):
        self.content = bytes(state["handle"])


def bytes_everywhere():
    shared, changing = b"shared", bytearray(b"ab")
    return {
        "alone": b"abc",
        "empty": b"",
        "equal": [b"equal" * 2, bytes(bytearray(b"equalequal"))],
        "shared": (shared, {"again": shared}),
        "changing": [changing, changing, bytearray(b"ab")],
        "set": {"alpha", "beta", "gamma", ("u", b"v"), 3, 2.5, b"w"},
        "frozen": frozenset({"a", "b", "c", "d"}),
        "objects": numpy.array([b"q", "r", None], dtype=object),
        "sparse": scipy.sparse.csr_matrix(numpy.eye(3)),
        "file": "12",
        "__id__": 7,
    }


def test_bytes_come_back_wherever_they_stand_and_are_the_same_each_time(tmp_path):
    path, found = tmp_path / "a.skops", set()
    for _ in range(40):  # skops names each by chance
        skops_models.dump_model(bytes_everywhere(), path)
        found.add(path.read_bytes())
        again = skops_models.load_trusted_model(path, "a.skops", ["builtins.frozenset"])
        for name, value in bytes_everywhere().items():
            if name not in ("objects", "sparse"):
                assert again[name] == value
        assert list(again["objects"]) == [b"q", "r", None]
        first, second, third = again["changing"]
        assert first is second and first is not third
    assert len(found) == 1


@pytest.mark.usefixtures("own")
def test_an_object_that_keeps_itself_as_bytes_comes_back(tmp_path):
    path, found = tmp_path / "a.skops", set()
    for _ in range(20):
        skops_models.dump_model({"m": [Booster(b"x" * 9), Booster(b"x" * 9)]}, path)
        found.add(path.read_bytes())
        again = skops_models.load_trusted_model(path, "a.skops", ["shared.mine.Booster"])
        assert [each.content for each in again["m"]] == [b"x" * 9] * 2
    assert len(found) == 1


def test_a_file_that_lacks_bytes_says_so_and_what_to_do(tmp_path):
    path = tmp_path / "a.skops"
    skops_models.dump_model({"blob": b"abc"}, path)
    with zipfile.ZipFile(path) as old:
        schema = old.read("schema.json").decode()
        (name,) = (n for n in old.namelist() if n.endswith(".bin"))
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("schema.json", schema)
    with pytest.raises(StepFailed) as failed:
        skops_models.load_trusted_model(path, "model.skops")
    (fault,) = failed.value.faults
    assert fault.what == f"model.skops lacks {name}, which its schema names"
    assert "train the model again" in fault.hint


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    deep = []
    for _ in range(130):
        deep = [deep]
    with pytest.raises((StepFailed, Refused), match=r"nested too deeply|recursion"):
        skops_models.dump_model(deep, tmp_path / "a.skops")
    assert not (tmp_path / "a.skops").exists()


class Mine(Ridge):
    """A model of the project's own."""


Mine.__module__ = Booster.__module__ = "shared.mine"


def shout(values):
    return values


shout.__module__ = "shared.mine"


@pytest.fixture
def own(monkeypatch):
    import types

    module = types.ModuleType("shared.mine")
    module.Mine, module.shout, module.Booster = Mine, shout, Booster
    monkeypatch.setitem(sys.modules, "shared", types.ModuleType("shared"))
    monkeypatch.setitem(sys.modules, "shared.mine", module)


@pytest.mark.usefixtures("own")
def test_what_is_not_known_must_be_trusted(tmp_path):
    model = make_pipeline(FunctionTransformer(shout), Mine()).fit(TABLE, NUMBER)
    skops_models.dump_model(model, tmp_path / "a.skops")
    with pytest.raises(Refused) as refused:
        skops_models.load_trusted_model(tmp_path / "a.skops", "model.skops")
    fault = refused.value.faults[0]
    assert (
        fault.what
        == "model.skops is not safe to load: it holds shared.mine.Mine, shared.mine.shout"
    )
    assert "trust: [shared.mine.Mine, shared.mine.shout]" in fault.hint
    names = ("shared.mine.Mine", "shared.mine.shout")
    assert skops_models.find_untrusted(tmp_path / "a.skops", "a.skops") == names
    assert skops_models.find_untrusted(tmp_path / "a.skops", "a.skops", names) == ()
    again = skops_models.load_trusted_model(tmp_path / "a.skops", "model.skops", names)
    assert (again.predict(TABLE) == model.predict(TABLE)).all()


def rewritten(path, change):
    """The same file with its schema, or its arrays, changed by whoever made it up."""
    made = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    path.write_bytes(made.getvalue())


@pytest.mark.parametrize(
    "evil",
    ["os.system", "builtins.eval", "subprocess.Popen", "sklearn.datasets._base.load_files",
     "sklearn.utils._testing.raises", "pandas.io.pickle.read_pickle", "numpy.load"],
)  # fmt: skip
def test_a_file_cannot_name_what_runs(tmp_path, evil):
    path = tmp_path / "a.skops"
    skops_models.dump_model(
        make_pipeline(FunctionTransformer(numpy.log1p), Ridge()).fit(TABLE, NUMBER), path
    )
    module, _, function = evil.rpartition(".")

    def change(name, data):
        if name != "schema.json":
            return data
        said = r'"__class__": "log1p",(\s*)"__module__": "numpy"'
        made = rf'"__class__": "{function}",\1"__module__": "{module}"'
        changed, times = re.subn(said, made, data.decode())
        assert times
        return changed.encode()

    rewritten(path, change)
    with pytest.raises(Refused, match="it holds .*" + function):
        skops_models.load_trusted_model(path, "a.skops")


@pytest.mark.parametrize(("name", "column"), [("forest", "left_child"), ("boosted", "left")])
@pytest.mark.parametrize("value", [-7, 0, 10**6])
def test_a_tree_that_points_outside_itself_is_refused(tmp_path, name, column, value):
    path = tmp_path / "a.skops"
    skops_models.dump_model(MODELS[name](), path)

    def change(member, data):
        if not member.endswith(".npy"):
            return data
        array = numpy.load(io.BytesIO(data))
        if column in (array.dtype.names or ()):
            array[column][0] = value if array.dtype[column].kind == "i" else abs(value) % 2**31
        made = io.BytesIO()
        numpy.save(made, array)
        return made.getvalue()

    if (name, value) == ("boosted", -7):
        value = 10**5
    rewritten(path, change)
    with pytest.raises(Refused, match=r"not safe to use: a (tree|node of a tree)"):
        skops_models.load_trusted_model(path, "a.skops")


def test_a_tree_that_asks_for_a_column_too_many_is_refused(tmp_path):
    path = tmp_path / "a.skops"
    skops_models.dump_model(MODELS["forest"](), path)

    def change(member, data):
        if not member.endswith(".npy"):
            return data
        array = numpy.load(io.BytesIO(data))
        if "feature" in (array.dtype.names or ()):
            array["feature"][array["feature"] >= 0] = 4
        made = io.BytesIO()
        numpy.save(made, array)
        return made.getvalue()

    rewritten(path, change)
    with pytest.raises(Refused, match="a tree asks for columns that are not there"):
        skops_models.load_trusted_model(path, "a.skops")


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_model_file(tmp_path, data):
    (tmp_path / "a.skops").write_bytes(data)
    with pytest.raises(StepFailed, match=r"a\.skops is no skops file"):
        skops_models.load_trusted_model(tmp_path / "a.skops", "a.skops")


def test_what_skops_cannot_keep_says_what_can(tmp_path):
    with (tmp_path / "file").open("w") as handle, pytest.raises(StepFailed) as failure:
        skops_models.dump_model({"handle": handle}, tmp_path / "a.skops")
    assert "skops cannot keep this dict" in failure.value.faults[0].what
    assert "format: joblib" in failure.value.faults[0].hint


def test_a_class_is_let_in_by_what_it_does_when_it_is_made():
    def is_let_in(name, loader="ObjectNode"):
        return allowed_types.find_strange([(loader, name)]) == ()

    assert is_let_in("sklearn.model_selection._split.StratifiedKFold")
    assert is_let_in("sklearn.linear_model._base.LinearRegression")
    assert not is_let_in("sklearn.linear_model._base.LinearRegression", "ListNode")  # is called
    assert not is_let_in("sklearn.model_selection._split.warnings.catch_warnings")
    assert not is_let_in("sklearn.utils.validation.check_array")
    assert is_let_in("sklearn.utils.validation.check_array", "FunctionNode")
    assert not is_let_in("sklearn.svm._libsvm.fit", "FunctionNode")
    assert not is_let_in("sklearn.no_such_module.Thing")
    assert not is_let_in("sklearnevil.Thing")
    assert not is_let_in("sklearn.linear_model.LinearRegression")  # where it is not defined
    assert not is_let_in("scipy.stats._continuous_distns.norm_gen")
    assert is_let_in("numpy.log1p", "FunctionNode")
    assert not is_let_in("numpy.load", "FunctionNode")


def test_a_class_with_methods_of_its_own_for_being_made_is_not_quiet():
    assert allowed_types.is_quiet(Ridge)
    for method in ("__new__", "__setstate__", "__getattr__", "__getattribute__", "__del__"):
        kind = type("Mine", (Ridge,), {method: lambda *_: None})
        assert not allowed_types.is_quiet(kind), method
