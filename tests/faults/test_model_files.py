"""A model's file is hostile until proved: what is refused before it is made, or predicts."""

from __future__ import annotations

import copy
import importlib
import io
import json
import os
import pkgutil
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import scipy.sparse
import scipy.special
import scipy.stats
import sklearn
from scipy.stats._distn_infrastructure import rv_generic
from sklearn.cluster import BisectingKMeans, FeatureAgglomeration, KMeans
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestRegressor,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import (
    SelectKBest,
    chi2,
    f_classif,
    f_regression,
    mutual_info_classif,
    mutual_info_regression,
    r_regression,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    SplineTransformer,
    StandardScaler,
    normalize,
)
from sklearn.svm import SVC
from skops import io as skops_io
from skops_files import array, grouped, listed, mapped, node, plain, stated, write
from threadpoolctl import threadpool_limits

from towpath.delivery.gates.kinds import safe
from towpath.errors import Refused, StepFailed, TowpathError
from towpath.registry.version_code import OwnCode
from towpath.steps.model_io import allowed_types, skops_models

ROWS = numpy.random.default_rng(0).random((60, 4))
NUMBER = ROWS[:, 0] * 2 + ROWS[:, 1]
CLASS = (NUMBER > 1.4).astype(int)
NO_CODE = OwnCode("small@v1.0.0").to_json()


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sixty rows are no work for two threads: they wait for each other at full speed."""
    with threadpool_limits(1):
        yield


def run_alone(script: str, folder: Path) -> Any:
    """What a program prints last, run in a process and a folder of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def generics(kind: type = rv_generic) -> Iterator[str]:
    """Every class of SciPy's that executes a text of its state."""
    for inner in kind.__subclasses__():
        yield f"{inner.__module__}.{inner.__name__}"
        yield from generics(inner)


def test_no_distribution_of_scipy_runs_the_text_that_a_file_gives_it(tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "model.skops"
    hostile = copy.deepcopy(scipy.stats.norm)
    code = f"import pathlib; pathlib.Path({str(mark)!r}).touch()\n"
    hostile._parse_arg_template = code + hostile._parse_arg_template
    model = LinearRegression().fit(ROWS, NUMBER)
    model.noise_ = hostile
    path.write_bytes(skops_io.dumps(model))
    assert skops_models.find_untrusted(path, path.name) == (
        "scipy.stats._continuous_distns.norm_gen",
    )
    with pytest.raises(Refused, match=r"not safe to load: it holds scipy\.stats\."):
        skops_models.load_trusted_model(path, path.name)
    kinds = sorted(set(generics()))
    assert len(kinds) >= 120
    for name in kinds:
        write(path, listed(stated(name, {"_parse_arg_template": plain(code)})))
        assert skops_models.find_untrusted(path, path.name) == (name,)
        assert safe._explain_unsafe(path, path.name, [], NO_CODE) == f"holds {name}"
        with pytest.raises(Refused, match=r"not safe to load: it holds scipy\.stats\."):
            skops_models.load_trusted_model(path, path.name)
    assert not mark.exists()


def admitted() -> Iterator[str]:
    """Every class of scikit-learn and SciPy that a file may hold without asking."""
    for module in pkgutil.walk_packages(sklearn.__path__, "sklearn."):
        if ".tests" in module.name or ".externals" in module.name or "conftest" in module.name:
            continue
        try:
            content = vars(importlib.import_module(module.name))
        except ImportError:
            continue
        for name, kind in content.items():
            whole = f"{module.name}.{name}"
            if isinstance(kind, type) and not allowed_types.find_strange([("ObjectNode", whole)]):
                yield whole
    yield "scipy.interpolate._bsplines.BSpline"


HOSTILE = """
import json, pathlib, sys, warnings
sys.path.insert(0, {here!r})
warnings.simplefilter("ignore")
from skops_files import plain, stated, mapped, listed, write
from towpath.steps.model_io import skops_models as models
from towpath.errors import TowpathError
import sklearn, scipy.stats, pandas
import skops.io  # whose survey of scientific Python loads pickles of its own
MARK = pathlib.Path({mark!r})
CODE = f"__import__('pathlib').Path({mark!r}).touch()"
compiled = []
def watch(event, args):
    if event in ("compile", "os.system", "subprocess.Popen", "pickle.find_class"):
        compiled.append((event, str(args[0])[:200]))
    if event == "open" and isinstance(args[0], str) and args[0] == {mark!r}:
        compiled.append((event, args[0]))
sys.addaudithook(watch)
names = json.loads(pathlib.Path({names!r}).read_text())
NAMES = ("_parse_arg_template", "shapes", "func", "inverse_func", "kernel", "metric", "link", "t",
         "c", "k", "_ctor_param", "estimators_", "steps", "vocabulary_", "memory", "scoring",
         "_score_func", "_sklearn_output_config", "_doc_link_template", "__class__", "__dict__",
         "__reduce__", "X_thresholds_", "y_thresholds_", "n_features_in_", "estimator", "optimizer")
loaded, seen = 0, []
for name in names:
    kind = getattr(__import__(name.rpartition(".")[0], fromlist=["x"]), name.rpartition(".")[2])
    own = [key for base in kind.__mro__ for key in getattr(base.__init__, "__code__", None)
           and base.__init__.__code__.co_varnames or ()]
    for value in (plain(CODE), mapped({{"transform": plain(CODE)}}), listed(plain(CODE))):
        state = {{key: value for key in {{*NAMES, *own}} if not hasattr(kind, key)}}
        state.pop("self", None)
        state["n_features_in_"] = plain(2)
        path = write(pathlib.Path({path!r}), stated(name, state))
        compiled.clear()
        try:
            model = models.load_trusted_model(path, path.name)
            loaded += 1
        except TowpathError:
            model = None
        for use in ("predict", "transform", "__repr__", "__call__", "score_samples"):
            try:
                getattr(model, use)([[0.0, 1.0]]) if use != "__repr__" else repr(model)
            except Exception:
                pass
        seen += [(name, *one) for one in compiled if "touch" in one[1] or one[0] != "compile"]
        if MARK.exists():
            seen.append((name, "it ran"))
            MARK.unlink()
print(json.dumps({{"loaded": loaded, "seen": seen}}))
"""


def test_what_is_let_in_without_asking_runs_nothing_of_a_hostile_state(tmp_path: Path) -> None:
    names = sorted(admitted())
    assert len(names) > 250
    (tmp_path / "names.json").write_text(json.dumps(names))
    script = HOSTILE.format(
        here=str(Path(__file__).parent),
        mark=str(tmp_path / "mark"),
        names=str(tmp_path / "names.json"),
        path=str(tmp_path / "model.skops"),
    )
    answer = run_alone(script, tmp_path)
    assert answer["seen"] == []
    assert answer["loaded"] > 100  # so that something was tried


NAME = "builtins.str"
REFUSED: dict[str, Callable[[], dict[str, Any]]] = {
    "scipy.sparse._csr.csr_matrix": lambda: stated("scipy.sparse._csr.csr_matrix", {}),
    "numpy.memmap": lambda: node(
        "NdArrayNode", "numpy.memmap", type="json", content=[], shape=grouped(plain(0))
    ),
    "operator.methodcaller": lambda: node(
        "OperatorFuncNode", "operator.methodcaller", attrs=grouped(plain("fit"))
    ),
    "operator.attrgetter": lambda: node(
        "OperatorFuncNode", "operator.attrgetter", attrs=grouped(plain("__class__"))
    ),
    "sklearn.linear_model._base.LinearRegression.fit": lambda: node(
        "MethodNode",
        "sklearn.linear_model._base.LinearRegression",
        content={"func": "fit", "obj": stated("sklearn.linear_model._base.LinearRegression", {})},
    ),
    "sklearn.linear_model._base.LinearRegression": lambda: node(
        "ConstructorFromReduceNode",
        "sklearn.linear_model._base.LinearRegression",
        content=grouped(plain(True)),
    ),
    "builtins.map": lambda: node("TypeNode", "builtins.map"),
    "builtins.type": lambda: node("TypeNode", "builtins.type"),
    "sklearn.neighbors._kd_tree.KDTree": lambda: node(
        "NdArrayNode",
        "sklearn.neighbors._kd_tree.KDTree",
        type="json",
        content=[],
        shape=grouped(plain(0)),
    ),
    "sklearn.metrics._dist_metrics.PyFuncDistance64": lambda: stated(
        "sklearn.metrics._dist_metrics.PyFuncDistance64", {}
    ),
    "joblib.memory.Memory": lambda: stated("joblib.memory.Memory", {"location": plain("/tmp")}),
    "random.Random": lambda: stated("random.Random", {}),
    "types.MethodType": lambda: node("TypeNode", "types.MethodType"),
    "sklearn.datasets._base.load_files": lambda: node(
        "FunctionNode", "sklearn.datasets._base.load_files"
    ),
    "numpy.load": lambda: node("FunctionNode", "numpy.load"),
    "numpy.random.mtrand.seed": lambda: node(
        "FunctionNode",
        "numpy.log1p",
        content={"module_path": "numpy.random.mtrand", "function": "seed"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_way_of_making_an_object_that_is_not_on_the_list(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.skops", listed(REFUSED[name]()))
    assert name in skops_models.find_untrusted(path, "a.skops")
    with pytest.raises(Refused, match="not safe to load"):
        skops_models.load_trusted_model(path, "a.skops")


def test_types_of_keys_are_types_and_nothing_else_is_called(tmp_path: Path) -> None:
    caller = node(
        "PartialNode",
        "functools.partial",
        content={
            "func": node("FunctionNode", "numpy.log1p"),
            "args": grouped(),
            "kwds": mapped({}),
            "namespace": plain(None),
        },
    )
    hostile = mapped({"a": plain(1)})
    hostile["key_types"] = listed(caller)
    path = write(tmp_path / "a.skops", hostile)
    assert skops_models.find_untrusted(path, "a.skops") == ("functools.partial",)
    hostile["key_types"] = mapped({})
    with pytest.raises(StepFailed, match="types of a mapping's keys are no list"):
        skops_models.load_trusted_model(write(path, hostile), "a.skops")


def test_one_number_stands_for_objects_of_one_kind(tmp_path: Path) -> None:
    decoy = {**listed(node("FunctionNode", "numpy.log1p")), "__id__": 7}
    hostile = mapped({"a": plain(1)})
    hostile["key_types"]["__id__"] = 7
    path = write(tmp_path / "a.skops", listed(decoy, hostile))
    with pytest.raises(Refused, match="two of its objects have one number"):
        skops_models.load_trusted_model(path, "a.skops")
    path = write(tmp_path / "a.skops", {**listed(), "__id__": "7"})
    with pytest.raises(StepFailed, match="the number of an object is none"):
        skops_models.load_trusted_model(path, "a.skops")


def deep(levels: int) -> dict[str, Any]:
    inner = listed()
    for _ in range(levels):
        inner = listed(inner)
    return inner


def archive(path: Path, members: list[tuple[str, bytes]], compression: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", compression) as made:
        for name, content in members:
            made.writestr(name, content)
    return path


SCHEMA = json.dumps({**listed(), "protocol": 2}).encode()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([("schema.json", SCHEMA), ("schema.json", SCHEMA)], "holds schema.json more than once"),
        ([("schema.json", SCHEMA), ("../x.npy", b"")], "a member of it is called '../x.npy'"),
        ([("schema.json", SCHEMA), ("/etc/x", b"")], "a member of it is called '/etc/x'"),
        ([("schema.json", SCHEMA), ("1.npy", bytes(200 << 20))], "unpack to 209,71"),
        ([("schema.json", b"[" * 100_000)], "its schema is nested too deeply"),
        ([("schema.json", json.dumps(deep(200)).encode())], "its schema is nested too deeply"),
    ],
)
def test_an_archive_made_to_mislead_or_to_exhaust(
    tmp_path: Path, members: list[tuple[str, bytes]], why: str
) -> None:
    path = archive(tmp_path / "a.skops", members, zipfile.ZIP_DEFLATED)
    with pytest.raises(Refused, match="a.skops is not safe to load: .*" + why):
        skops_models.load_trusted_model(path, "a.skops")


def test_an_array_is_one_and_not_an_archive_or_a_pickle(tmp_path: Path) -> None:
    inner = io.BytesIO()
    numpy.savez(inner, a=ROWS)
    for content in (inner.getvalue(), b"\x80\x04N.", b""):
        held = node("NdArrayNode", "numpy.ndarray", type="numpy", file="1.npy")
        path = write(tmp_path / "a.skops", held, {"1.npy": content})
        with pytest.raises(Refused, match=r"1\.npy in it is no array"):
            skops_models.load_trusted_model(path, "a.skops")
    held = node("SparseMatrixNode", "scipy.sparse._csr.csr_matrix", type="scipy", file="1.npz")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("data.npy", bytes(200 << 20))
    for content, why in ((b"\x80\x04N.", "no sparse matrix"), (bomb.getvalue(), "unpack to")):
        path = write(tmp_path / "a.skops", held, {"1.npz": content})
        with pytest.raises(Refused, match=why):
            skops_models.load_trusted_model(path, "a.skops")


@pytest.mark.parametrize(
    "text",
    [b"null", b"[]", b"3", b'{"__loader__": "ListNode"}', b'{"protocol": 2}', b"\xff", b"{",
     b'{"__loader__": "CachedNode", "__module__": "a", "__class__": "b", "protocol": 2}',
     b'{"__loader__": "ListNode", "__module__": null, "__class__": [], "protocol": 99}'],
)  # fmt: skip
def test_a_schema_that_is_none_is_said_to_be_none(tmp_path: Path, text: bytes) -> None:
    path = archive(tmp_path / "a.skops", [("schema.json", text)])
    with pytest.raises((StepFailed, Refused), match=r"a\.skops (is no|cannot be|is not safe)"):
        skops_models.load_trusted_model(path, "a.skops")


def forest() -> Any:
    return RandomForestRegressor(2, random_state=0).fit(ROWS, NUMBER)


def _tree_state(tree: Any, **changes: Any) -> None:
    tree.__setstate__({**tree.__getstate__(), **changes})


def a_tree_deeper_than_it_says() -> Any:
    model = forest()
    _tree_state(model.estimators_[0].tree_, max_depth=0)
    return model


def a_tree_that_claims_more_columns_than_its_forest() -> Any:
    wide = numpy.random.default_rng(0).random((60, 50))
    model = forest()
    model.estimators_[0] = RandomForestRegressor(1).fit(wide, wide[:, 40]).estimators_[0]
    return model


def boosted_trees_of_more_columns() -> Any:
    wide = numpy.random.default_rng(0).random((60, 50))
    model = GradientBoostingRegressor(n_estimators=2).fit(ROWS, NUMBER)
    other = GradientBoostingRegressor(n_estimators=2).fit(wide, wide[:, 40])
    model.estimators_ = other.estimators_
    return model


def outliers_of_fewer_columns() -> Any:
    model = IsolationForest(n_estimators=2, random_state=0).fit(ROWS)
    model.estimators_features_ = [numpy.array([0])] * 2
    return model


def a_forest_that_counts_no_columns() -> Any:
    model = forest()
    del model.n_features_in_
    for tree in model.estimators_:
        del tree.n_features_in_
    return model


def a_forest_that_does_not_look() -> Any:
    model = forest()
    model._validate_X_predict = numpy.positive
    return model


def _neighbours() -> Any:
    return KNeighborsClassifier(algorithm="kd_tree", leaf_size=5).fit(ROWS, CLASS)


def _altered(model: Any, place: int, value: Callable[[Any], Any]) -> Any:
    state = list(model._tree.__getstate__())
    state[place] = value(state[place])
    model._tree.__setstate__(tuple(state))
    return model


def neighbours_with_short_bounds() -> Any:
    return _altered(_neighbours(), 3, lambda spaces: spaces[:, :1].copy())


def neighbours_with_few_nodes() -> Any:
    return _altered(_neighbours(), 2, lambda nodes: nodes[:1].copy())


def neighbours_that_count_more_nodes() -> Any:
    return _altered(_neighbours(), 6, lambda count: count + 10**6)


def neighbours_in_a_short_order() -> Any:
    return _altered(_neighbours(), 1, lambda order: order[:5].copy())


def neighbours_without_leaves() -> Any:
    def branches(nodes: Any) -> Any:
        changed = nodes.copy()
        changed["is_leaf"] = 0
        return changed

    return _altered(_neighbours(), 2, branches)


def balls_with_short_bounds() -> Any:
    model = KNeighborsClassifier(algorithm="ball_tree", leaf_size=5).fit(ROWS, CLASS)
    return _altered(model, 3, lambda spaces: spaces[:, :, :1].copy())


def neighbours_that_remember_fewer_columns() -> Any:
    model = KNeighborsClassifier(algorithm="brute").fit(ROWS, CLASS)
    model._fit_X = model._fit_X[:, :1].copy()
    return model


def neighbours_without_answers() -> Any:
    model = KNeighborsClassifier(algorithm="brute").fit(ROWS, CLASS)
    model._y = model._y[:3].copy()
    return model


def a_distance_of_fewer_columns() -> Any:
    model = KNeighborsClassifier(
        metric="seuclidean", metric_params={"V": numpy.ones(4)}, algorithm="ball_tree"
    ).fit(ROWS, CLASS)
    metric = model._tree.__getstate__()[11]
    power, vector, matrix, *rest = metric.__getstate__()
    metric.__setstate__((power, vector[:1].copy(), matrix, *rest))
    return model


def clusters_of_fewer_columns() -> Any:
    model = KMeans(2, n_init=1, random_state=0).fit(ROWS)
    model.cluster_centers_ = model.cluster_centers_[:, :1].copy()
    return model


def vectors_with_few_coefficients() -> Any:
    model = SVC().fit(ROWS, CLASS)
    model._dual_coef_ = model._dual_coef_[:, :1].copy()
    return model


def vectors_of_fewer_columns() -> Any:
    model = SVC().fit(ROWS, CLASS)
    model.support_vectors_ = model.support_vectors_[:, :1].copy()
    return model


def vectors_of_more_classes() -> Any:
    model = SVC().fit(ROWS, CLASS)
    model._n_support = numpy.array([len(model.support_), 0, 0], dtype="int32")
    return model


def words_beyond_the_last_column() -> Any:
    model = CountVectorizer().fit(["a word", "and another"])
    model.vocabulary_["word"] = 10**9
    return model


def names_beyond_the_last_column() -> Any:
    model = DictVectorizer().fit([{"a": 1}, {"b": 2}])
    model.vocabulary_["a"] = 10**9
    return model


def categories_beyond_the_last_column() -> Any:
    model = OneHotEncoder().fit([["a"], ["b"], ["c"]])
    model._n_features_outs = [1]
    return model


def a_spline_with_few_knots() -> Any:
    model = SplineTransformer().fit(ROWS)
    vars(model.bsplines_[0])["k"] = 10**6
    return model


def a_matrix_of_numbers_beyond_its_edge() -> Any:
    model = LinearRegression().fit(ROWS, NUMBER)
    matrix = scipy.sparse.csr_matrix(numpy.ones((1, 4)))
    matrix.indices[:] = 10**6
    model.coef_ = matrix
    return model


def a_generator_beyond_its_buffer() -> Any:
    model = forest()
    model.random_state = numpy.random.RandomState(0)
    state = model.random_state.get_state(legacy=False)
    state["state"]["pos"] = 10**6
    model.random_state.set_state(state)
    return model


def categories_that_nobody_knows() -> Any:
    table = numpy.c_[(ROWS[:, 0] * 5).astype(int), ROWS[:, 1:]]
    model = HistGradientBoostingRegressor(categorical_features=[0], max_iter=3).fit(table, NUMBER)
    model._bin_mapper.is_categorical_ = numpy.zeros(4, dtype="uint8")
    return model


HOLLOW = [
    a_distance_of_fewer_columns, a_forest_that_counts_no_columns, a_forest_that_does_not_look,
    a_generator_beyond_its_buffer, a_matrix_of_numbers_beyond_its_edge, a_spline_with_few_knots,
    a_tree_deeper_than_it_says, a_tree_that_claims_more_columns_than_its_forest,
    balls_with_short_bounds,
    boosted_trees_of_more_columns, categories_beyond_the_last_column, categories_that_nobody_knows,
    clusters_of_fewer_columns, names_beyond_the_last_column, neighbours_in_a_short_order,
    neighbours_that_count_more_nodes, neighbours_that_remember_fewer_columns,
    neighbours_with_few_nodes, neighbours_with_short_bounds, neighbours_without_answers,
    neighbours_without_leaves, outliers_of_fewer_columns, vectors_of_fewer_columns,
    vectors_of_more_classes, vectors_with_few_coefficients, words_beyond_the_last_column,
]  # fmt: skip


@pytest.mark.parametrize("make", HOLLOW, ids=lambda make: make.__name__)
def test_numbers_that_lead_compiled_code_outside_are_refused(
    tmp_path: Path, make: Callable[[], Any]
) -> None:
    path = tmp_path / "a.skops"
    path.write_bytes(skops_io.dumps(make()))
    assert skops_models.find_untrusted(path, "a.skops") == ()
    with pytest.raises(Refused, match=r"a\.skops is not safe to use: "):
        skops_models.load_trusted_model(path, "a.skops")


def test_a_tree_that_says_it_is_longer_than_its_nodes(tmp_path: Path) -> None:
    path = tmp_path / "a.skops"
    skops_models.dump_model(forest(), path)
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    said = rb'("node_count": \{[^}]*"content": ")\d+'
    members["schema.json"], times = re.subn(said, rb"\g<1>100000000", members["schema.json"])
    assert times == 2
    archive(path, list(members.items()))
    try:
        trees = skops_models.load_trusted_model(path, "a.skops").estimators_
    except Refused as refused:  # by a scikit-learn that believes it
        assert "a tree points outside itself" in str(refused)
    else:
        assert all(tree.tree_.node_count == tree.tree_.capacity < 1000 for tree in trees)


def test_every_estimator_of_scikit_learn_goes_on_loading(tmp_path: Path) -> None:
    generator = pytest.importorskip("sklearn.utils._test_common.instance_generator")
    path, loaded, refused = tmp_path / "a.skops", 0, {}
    for estimator in generator._tested_estimators():
        name = type(estimator).__name__
        if name in {"Birch", "GridSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"}:
            continue
        for answers in (CLASS, NUMBER, None):
            try:
                estimator.fit(ROWS, answers)
                skops_models.dump_model(estimator, path)
                break
            except (LookupError, ValueError, TypeError, AttributeError, StepFailed):
                continue
        else:
            continue
        strange = skops_models.find_untrusted(path, name)
        try:
            skops_models.load_trusted_model(path, name, strange)
            loaded += 1
        except TowpathError as error:
            refused[name] = str(error)
    assert refused == {}
    assert loaded > 140


def test_hollow_parts_are_found_in_plain_files_too(tmp_path: Path) -> None:
    members: dict[str, bytes] = {}
    state = {"coef_": array([1.0, 2.0], members), "predict": node("FunctionNode", "numpy.log1p")}
    path = write(
        tmp_path / "a.skops", stated("sklearn.linear_model._base.LinearRegression", state), members
    )
    with pytest.raises(Refused, match="a LinearRegression in it has its own `predict`"):
        skops_models.load_trusted_model(path, "a.skops")


@pytest.mark.parametrize(
    ("loader", "name"),
    [
        ("FunctionNode", "numpy.f2py.__main__.x"),
        ("FunctionNode", "numpy.f2py.setup.x"),
        ("FunctionNode", "scipy.special.tests.test_data.x"),
        ("ObjectNode", "sklearn.__main__.X"),
        ("ObjectNode", "sklearn.conftest.X"),
        ("ObjectNode", "sklearn.utils._testing.MinimalClassifier"),
        ("ObjectNode", "sklearn.utils._test_common.instance_generator.X"),
        ("ObjectNode", "sklearn._build_utils.tempita.X"),
        ("ObjectNode", "sklearn.experimental.enable_halving_search_cv.X"),
    ],
)
def test_a_name_in_a_file_runs_no_program(
    loader: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a module of that name does when it is imported, the file's word imports none."""
    asked: list[str] = []
    import_module = importlib.import_module

    def watch(module: str) -> object:
        asked.append(module)
        return import_module(module)

    monkeypatch.setattr(importlib, "import_module", watch)
    assert allowed_types.find_strange([(loader, name)]) == (name,)
    assert name.rpartition(".")[0] not in asked


def test_a_module_that_ends_the_process_is_strange(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(name: str) -> None:
        raise SystemExit(name)

    monkeypatch.setattr(importlib, "import_module", leave)
    name = "sklearn.linear_model._base.LinearRegression"
    assert allowed_types.find_strange([("ObjectNode", name)]) == (name,)


def functions() -> Iterator[str]:
    """Every function that a file may name without asking, but the universal ones."""
    for module, names in allowed_types._NAMED.items():
        yield from (f"{module}.{name}" for name in sorted(names))
    for module in sorted(allowed_types._SCORES):
        content = vars(importlib.import_module(module))
        yield from (
            f"{module}.{name}"
            for name in sorted(content)
            if allowed_types.is_function(f"{module}.{name}")
        )


CALLED = """
import json, pathlib, sys, warnings
sys.path.insert(0, {here!r})
warnings.simplefilter("ignore")
import numpy, scipy.sparse, pandas, sklearn.metrics, scipy.stats
from importlib import import_module
import skops.io
MARK = pathlib.Path({mark!r})
CODE = f"__import__('pathlib').Path({mark!r}).touch()"
seen, done = [], 0
def watch(event, args):
    if event in ("os.system", "subprocess.Popen", "pickle.find_class", "socket.connect"):
        seen.append((name, event, str(args[:1])[:200]))
    if event == "compile" and "touch" in str(args[0]):
        seen.append((name, event, str(args[0])[:200]))
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        seen.append((name, event, str(args[0])))
names = json.loads(pathlib.Path({names!r}).read_text())
ROWS = numpy.abs(numpy.random.default_rng(0).random((8, 2)))
KINDS = [ROWS, ROWS[:, 0], (ROWS[:, 0] > 0.5).astype(int), CODE, [CODE], {mark!r},
         numpy.array([CODE], dtype=object), numpy.mean, -1, 1000, None]
KEYS = ("dtype", "out", "axis", "metric", "average", "labels", "sample_weight", "normalize", "copy",
        "columns", "prefix", "errors", "like", "order", "weights", "n_neighbors", "gamma", "where")
functions = [(n, getattr(import_module(n.rpartition(".")[0]), n.rpartition(".")[2])) for n in names
             if hasattr(import_module(n.rpartition(".")[0]), n.rpartition(".")[2])]
name = ""
sys.addaudithook(watch)
for name, function in functions:
    for first in KINDS:
        for second in KINDS:
            try:
                function(first, second)
                done += 1
            except Exception:
                pass
        for key in KEYS:
            for value in (CODE, {mark!r}, numpy.mean, -1):
                try:
                    function(first, **{{key: value}})
                except Exception:
                    pass
    if MARK.exists():
        seen.append((name, "it ran"))
        MARK.unlink()
print(json.dumps({{"done": done, "seen": seen}}))
"""


def test_no_function_that_is_let_in_does_more_than_compute(tmp_path: Path) -> None:
    names = [name for name in functions() if "_kmeans_single" not in name]
    assert len(names) > 150
    (tmp_path / "names.json").write_text(json.dumps(names))
    script = CALLED.format(
        here=str(Path(__file__).parent),
        mark=str(tmp_path / "mark"),
        names=str(tmp_path / "names.json"),
    )
    answer = run_alone(script, tmp_path)
    assert answer["seen"] == []
    assert answer["done"] > 1000  # so that something was tried
    assert {path.name for path in tmp_path.iterdir()} <= {"home", "names.json"}


NUMBERS = make_column_selector(dtype_include=numpy.number)
WORDS = make_column_selector(dtype_include=[object, "category"])
USUAL: dict[str, Callable[[], Any]] = {
    "imputer": lambda: make_pipeline(SimpleImputer(add_indicator=True), LinearRegression()),
    "imputer_of_words": lambda: SimpleImputer(strategy="constant", fill_value="none"),
    "imputer_by_function": lambda: SimpleImputer(strategy=numpy.nanmedian),
    "columns": lambda: make_pipeline(
        make_column_transformer((StandardScaler(), NUMBERS), (OneHotEncoder(), WORDS)),
        LinearRegression(),
    ),
    "columns_of_pandas": lambda: make_column_transformer(
        (OneHotEncoder(), make_column_selector(dtype_include=pandas.CategoricalDtype))
    ),
    **{
        f"best_by_{score.__name__}": partial(SelectKBest, score, k=2)
        for score in (
            f_classif, f_regression, chi2, r_regression, mutual_info_classif,
            mutual_info_regression,
        )
    },
    "best_by_default": lambda: make_pipeline(SelectKBest(k=2), LinearRegression()),
    "logarithms": lambda: FunctionTransformer(numpy.log1p, inverse_func=numpy.expm1),
    "clipped": lambda: FunctionTransformer(numpy.clip, kw_args={"a_min": 0, "a_max": 1}),
    "as_array": lambda: FunctionTransformer(numpy.asarray),
    "softmax": lambda: FunctionTransformer(scipy.special.softmax),
    "normal": lambda: FunctionTransformer(normalize),
    "target": lambda: TransformedTargetRegressor(
        LinearRegression(), func=numpy.log1p, inverse_func=numpy.expm1
    ),
    "search": lambda: GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, scoring="r2", cv=2),
    "search_by_scorer": lambda: GridSearchCV(
        Ridge(), {"alpha": [1.0]}, scoring=make_scorer(mean_absolute_error), cv=2
    ),
    "pooled": lambda: FeatureAgglomeration(2, pooling_func=numpy.median),
    "bisected": lambda: BisectingKMeans(2, algorithm="elkan"),
}  # fmt: skip


@pytest.mark.parametrize("usual", USUAL)
def test_what_is_usual_loads_without_asking(tmp_path: Path, usual: str) -> None:
    rows = pandas.DataFrame(ROWS, columns=list("abcd"))
    rows["a"] = rows["a"].where(rows["a"] > 0.05) if usual.startswith("imputer") else rows["a"]
    if usual.startswith("columns"):
        rows["e"] = pandas.Categorical(["u", "v"] * 30)
    if usual == "imputer_of_words":
        rows = pandas.DataFrame({"w": ["a", None] * 30}, dtype=object)
    model = USUAL[usual]()
    model.fit(rows, CLASS if "classif" in usual or "chi2" in usual else NUMBER)
    path = tmp_path / "a.skops"
    skops_models.dump_model(model, path)
    assert skops_models.find_untrusted(path, "a.skops") == ()
    loaded = skops_models.load_trusted_model(path, "a.skops")
    for use in ("predict", "transform"):
        if hasattr(model, use):
            before, after = getattr(model, use)(rows), getattr(loaded, use)(rows)
            numpy.testing.assert_array_equal(before, after)


def test_a_function_that_checks_nothing_is_where_it_belongs_and_nowhere_else(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.skops"
    single = sklearn.cluster._kmeans._kmeans_single_lloyd
    path.write_bytes(skops_io.dumps(FunctionTransformer(single)))
    with pytest.raises(Refused, match="a function in it looks at nothing that it is handed"):
        skops_models.load_trusted_model(path, "a.skops")
    model = BisectingKMeans(2).fit(ROWS)
    model._kmeans_single = numpy.mean
    path.write_bytes(skops_io.dumps(model))
    with pytest.raises(Refused, match="has a `_kmeans_single` of its own"):
        skops_models.load_trusted_model(path, "a.skops")


@pytest.mark.parametrize(
    ("made", "hint"),
    [
        (lambda: FunctionTransformer(lambda rows: rows), "write one with `def` at the top of "),
        (lambda: FunctionTransformer(str.lower), "write one with `def` at the top of a module of"),
        (lambda: {"alpha": scipy.stats.uniform(0, 1)}, "keep `best_estimator_`"),
    ],
)
def test_what_no_trust_helps_is_said_with_what_does(
    tmp_path: Path, made: Callable[[], Any], hint: str
) -> None:
    path = tmp_path / "a.skops"
    path.write_bytes(skops_io.dumps(made()))
    with pytest.raises(Refused) as raised:
        skops_models.load_trusted_model(path, "a.skops")
    assert hint in str(raised.value.faults[0].hint)
    assert "trust: [" not in str(raised.value.faults[0].hint)
