"""Gates that open a model or a table, each in a process of its own."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import zipfile
from types import SimpleNamespace

import numpy
import pandas
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeRegressor

from towpath.config import gate_declarations
from towpath.config.artifact import Artifact
from towpath.delivery.gates import gate_process
from towpath.delivery.gates.kinds import fairness, golden, latency, safe
from towpath.delivery.gates.verdict import Unjudged
from towpath.registry import RecordedCode
from towpath.registry.version_code import OwnCode
from towpath.steps.model_io import skops_models
from towpath.storage.verified_bytes import folder_manifest, manifest_digest

NO_CODE = OwnCode("abalone@v1.1.0").to_json()
SAMPLES = "a,b,expected\n0,0,0\n1,0,3\n0.5,0.5,2.0\n"


def test_golden_samples_come_out(desk):
    verdict = desk.one("{kind: golden, samples: g.csv}", {"g.csv": SAMPLES})
    assert (verdict.passed, verdict.value, verdict.detail) == (True, "3 of 3", "")
    assert (verdict.bound, verdict.when) == ("all of g.csv exactly", "deploy")


def test_a_golden_sample_that_comes_out_otherwise(desk):
    listed = [
        {"inputs": {"b": 0, "a": 1}, "expected": 3},
        {"inputs": {"b": 0, "a": 1}, "expected": 3.1},
        {"inputs": {"b": 1, "a": 1}, "expected": 4.03},
        {"inputs": {"b": 1, "a": 1}, "expected": "4"},
    ]
    gate = "{kind: golden, samples: deep/golden.json, relative: 1%, when: review}"
    verdict = desk.one(gate, {"deep/golden.json": json.dumps(listed)})
    assert (verdict.passed, verdict.value) == (False, "2 of 4")
    assert verdict.detail == 'sample 2 gives 3, not 3.1; sample 4 gives 4, not "4"'


@pytest.mark.parametrize(
    ("given", "expected", "close"),
    [
        (1.0, 1.1, False),
        (1.0, 1.05, True),
        (1, 1.05, True),
        (100, 101.06, True),
        (100, 101.1, False),
        ([1.0, 2.0], [1.0, 2.05], True),
        ([1.0, 2.0], [1.0], False),
        (1.0, [1.0], False),
        ("old", "old", True),
        ("old", "young", False),
        (True, 1, False),
        (True, True, True),
        (None, 1.0, False),
        (float("nan"), 1.0, False),
    ],
)
def test_what_is_close_enough(given, expected, close):
    gate = gate_declarations.Golden(samples="g.csv", absolute=0.06, relative=0.01)
    assert golden._is_close(given, expected, gate) is close


def asked(desk, path, **more):
    """What a gate's process is asked, about the model."""
    common = {"model": str(desk.model), "name": "model.skops", "trust": [], "own": NO_CODE}
    return {**common, "samples": str(path), "file": path.name, "expected": "expected", **more}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("g.csv", "a,b,expectd\n0,0,0\n", "no column `expected` .did you mean `expectd`"),
        ("g.csv", "a,b,expected\n0,0,\n", "rows without `expected`"),
        ("g.csv", "a,b,expected\n", "g.csv has no rows"),
        ("g.ods", "a,b,expected\n", "g.ods is no table"),
        ("g.json", "{}", 'must be a list of {"inputs"'),
        ("g.json", "[]", "must be a list"),
        ("g.json", '[{"inputs": {}}]', "must be a list"),
    ],
)
def test_samples_that_are_none(desk, tmp_path, name, content, why):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(Unjudged, match=why):
        golden.work(asked(desk, path))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (
            "tests/golden.csv",
            "there is no tests/golden.csv at {} (did you mean `tests/goldn.csv`?)",
        ),
        ("big.csv", "there is no big.csv at {} (DVC tracks it, and gates read from Git)"),
    ],
)
def test_samples_that_the_commit_does_not_have(desk, path, why):
    files = {"tests/goldn.csv": SAMPLES, "big.csv.dvc": ""}
    verdict = desk.one(f"{{kind: golden, samples: {path}}}", files)
    assert not verdict.passed
    assert verdict.detail == "cannot be evaluated: " + why.format(desk.base[:7])
    assert verdict.bound == f"all of {path} exactly"


GOLDEN, SAFE = "{kind: golden, samples: g.csv}", "{kind: safe}"


def test_bytes_as_recorded_are_safe(desk):
    verdict = desk.one(SAFE)
    assert (verdict.passed, verdict.value) == (True, "safe")
    assert re.fullmatch(
        r"sha256 \w{12}... as recorded; \d+ types in model.skops known", verdict.detail
    )


@pytest.mark.parametrize("gate", [GOLDEN, SAFE, "{kind: function, run: 'f:f'}"])
@pytest.mark.parametrize("fact", ["md5", "sha256"])
def test_altered_bytes_are_not_opened(desk, gate, fact):
    candidate = desk.record()
    digest = Artifact("5f" * 16, 1, "model.skops")
    changed = {"artifact": digest} if fact == "md5" else {"sha256": "ab" * 32}
    wrong = desk.record(**changed)
    files = {"g.csv": SAMPLES, "f.py": "def f(context):\n    return True\n"}
    verdict = desk.one(gate, files, candidate=wrong)
    was = {"md5": candidate.artifact.digest, "sha256": candidate.sha256}[fact]
    said = {"md5": "5f5f5f5f5f5f", "sha256": "abababababab"}[fact]
    assert not verdict.passed
    assert f"its {fact} is {was[:12]}..., recorded is {said}..." in verdict.detail
    assert verdict.value == ("altered" if gate == SAFE else None)


class Evil:
    """What a pickle does when it is loaded."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("name", ["model.pkl", "evil.skops"])
def test_a_pickle_is_not_loaded(desk, tmp_path, name):
    path, mark = tmp_path / name, tmp_path / "mark"
    path.write_bytes(pickle.dumps(Evil(mark)))
    (tmp_path / "g.csv").write_text(SAMPLES)
    verdict = desk.one(SAFE, candidate=desk.record(path))
    assert not verdict.passed
    unsafe = verdict.detail
    unopened = why("golden", asked(desk, tmp_path / "g.csv", model=str(path), name=name))
    if name == "model.pkl":
        assert unsafe == "model.pkl is a pickle, which runs code when it is loaded"
        assert "model.pkl is not opened here: only .skops is" in unopened
    else:
        assert "evil.skops is no skops file" in unsafe
        assert "evil.skops is no skops file" in unopened
    assert not mark.exists()


def test_a_file_that_names_what_runs_is_not_loaded(desk, tmp_path):
    path = tmp_path / "named.skops"
    with zipfile.ZipFile(desk.model) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "schema.json":
                said = rb'"__class__": "LinearRegression",(\s*)"__module__": "[^"]+"'
                made = rb'"__class__": "system",\1"__module__": "os"'
                data, times = re.subn(said, made, data)
                assert times
            new.writestr(name, data)
    (tmp_path / "g.csv").write_text(SAMPLES)
    verdict = desk.one(SAFE, candidate=desk.record(path))
    assert not verdict.passed
    assert (verdict.value, verdict.detail) == ("unsafe", "named.skops holds os.system")
    said = why("golden", asked(desk, tmp_path / "g.csv", model=str(path), name=path.name))
    assert "named.skops is not safe to load: it holds os.system" in said


OWN = """
import os
from sklearn.linear_model import LinearRegression

class Mine(LinearRegression):
    def predict(self, rows):
        return super().predict(rows) + (100 if "PROD_SECRET_KEY" in os.environ else 0)
"""


def test_a_trusted_type_comes_from_the_version_s_commit_and_sees_no_secret(
    desk, tmp_path, monkeypatch
):
    own = tmp_path / "own"
    own.mkdir()
    (own / "shared_mine.py").write_text(OWN)
    monkeypatch.syspath_prepend(own)
    import shared_mine

    frame = pandas.DataFrame({"a": [0.0, 1, 0, 1], "b": [0.0, 0, 1, 1]})
    path = tmp_path / "own.skops"
    skops_models.dump_model(shared_mine.Mine().fit(frame, 3 * frame.a + frame.b), path)
    monkeypatch.setenv("PROD_SECRET_KEY", "hunter2")
    files = {"g.csv": SAMPLES, "shared_mine.py": OWN}
    version = desk.commit("g: {kind: golden, samples: g.csv}", files)
    desk.commit("g: {kind: golden, samples: g.csv}", {"shared_mine.py": "raise SystemExit(1)"})
    record = desk.record(path, code=RecordedCode(version))
    context = desk.context(candidate=record)
    trusting = context.project.model_copy(update={"trust": ("shared_mine.Mine",)})
    said = why("golden", asked(desk, desk.root / "g.csv", model=str(path)))
    assert "is not safe to load: it holds shared_mine.Mine" in said
    trusted = desk.judge("deploy", candidate=record, project=trusting)[0]
    assert trusted.passed, trusted.detail
    desk.git("checkout", "-q", "--orphan", "elsewhere")
    desk.commit("g: {kind: golden, samples: g.csv}")
    (apart,) = desk.judge("deploy", candidate=record, project=trusting)
    assert not apart.passed
    assert "which main's history does not hold" in apart.detail


def test_a_folder_is_judged_file_by_file(desk, tmp_path):
    folder = tmp_path / "bundle"
    (folder / "sub").mkdir(parents=True)
    for name in ("model.skops", "sub/other.skops"):
        (folder / name).write_bytes(desk.model.read_bytes())
    (folder / "words.json").write_text("{}")

    def record():
        names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        contents = {name: (folder / name).read_bytes() for name in names}
        md5 = manifest_digest(
            folder_manifest(
                {name: hashlib.md5(data).hexdigest() for name, data in contents.items()}
            )
        )
        lines = sorted(f"{hashlib.sha256(d).hexdigest()}  {n}\n" for n, d in contents.items())
        sha256 = hashlib.sha256("".join(lines).encode()).hexdigest()
        return desk.record(artifact=Artifact(md5, 1, "bundle", len(names)), sha256=sha256)

    good = record()
    assert gate_process.explain_altered_bytes(folder, good) == ""
    (folder / "weights.bin").write_bytes(pickle.dumps({}))
    assert desk.one(SAFE, candidate=good).value == "altered"
    judged = desk.one(SAFE, candidate=record())
    assert judged.detail == "weights.bin is a pickle, which runs code when it is loaded"
    (folder / "weights.bin").unlink()
    (folder / "sub" / "link").symlink_to("/etc/passwd")
    assert "sub/link in it is a link" in desk.one(SAFE, candidate=good).detail
    as_file = desk.record(artifact=Artifact("5f" * 16, 1, "bundle"))
    assert "the record says a file" in desk.one(SAFE, candidate=as_file).detail


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.json", b"{}", ""),
        ("a.onnx", b"\x08\x07", ""),
        ("a.json", pickle.dumps(1), "is a pickle"),
        ("a.joblib", b"", "is a pickle"),
        ("a.unknown", b"1", "is of a format that nothing here can look into"),
    ],
)
def test_formats_by_their_bytes_and_names(tmp_path, name, content, why):
    path = tmp_path / "bytes"
    path.write_bytes(content)
    assert safe._explain_unsafe(path, name, [], NO_CODE).startswith(why)
    assert bool(safe._explain_unsafe(path, name, [], NO_CODE)) is bool(why)


def test_a_tree_that_points_outside_itself_is_not_safe(tmp_path):
    whole, path = tmp_path / "whole.skops", tmp_path / "tree.skops"
    rows = numpy.arange(20.0).reshape(10, 2)
    skops_models.dump_model(DecisionTreeRegressor(random_state=0).fit(rows, rows[:, 0]), whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, _astray(old.read(name)) if ".npy" in name else old.read(name))
    assert safe._explain_unsafe(whole, "tree.skops", [], NO_CODE) == ""
    assert "a tree points outside itself" in safe._explain_unsafe(path, "tree.skops", [], NO_CODE)


def _astray(data):
    array = numpy.load(io.BytesIO(data))
    if "left_child" in (array.dtype.names or ()):
        array["left_child"][0] = 10**6
    made = io.BytesIO()
    numpy.save(made, array)
    return made.getvalue()


def test_an_archive_with_a_pickle_in_it_is_one(tmp_path):
    path = tmp_path / "bytes"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    assert "is a pickle" in safe._explain_unsafe(path, "weights.onnx", [], NO_CODE)


SUITE = """
name: scoring
expectations:
  - {type: expect_column_values_to_be_between, column: a, min_value: 0, max_value: 1}
  - {type: expect_column_values_to_be_in_set, column: sex, value_set: [F, M], severity: warning}
"""


def test_expectations_on_the_stage_s_data(desk, table):
    gate = "{kind: expectations, expectations: s.yaml, data: holdout.parquet}"
    verdict = desk.one(gate, {"s.yaml": SUITE})
    count = int((table.sex == "I").sum())
    assert (verdict.passed, verdict.value, verdict.bound) == (True, "1 of 2 hold", "all of s.yaml")
    assert verdict.detail == (
        "holdout.parquet, 300 rows. 1 warned: expected that `sex` is one of F, M, "
        f"but {count} of 300 rows are not ({count / 3:.3g} %)"
    )


def test_expectations_that_do_not_hold_name_no_row(desk, table):
    gate = "{kind: expectations, expectations: s.yaml, data: secret.csv}"
    table.assign(a=[7.125, *table.a[1:]]).to_csv(desk.data / "secret.csv", index=False)
    verdict = desk.one(gate, {"s.yaml": SUITE.replace(", severity: warning", "")})
    assert (verdict.passed, verdict.value) == (False, "0 of 2 hold")
    assert "expected that `a` is at least 0 and at most 1, but 1 of 300 rows" in verdict.detail
    assert "7.125" not in verdict.detail


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        ("{kind: expectations, expectations: s.yaml, data: none.csv}", "prod has no data none.csv"),
        (
            "{kind: expectations, expectations: no.yaml, data: holdout.parquet}",
            "there is no no.yaml",
        ),
        (
            "{kind: expectations, expectations: bad.yaml, data: holdout.parquet}",
            "bad.yaml:2: there is no expectation `expect_nothing`",
        ),
    ],
)
def test_expectations_that_cannot_be_looked_at_have_failed(desk, gate, why):
    files = {"s.yaml": SUITE, "bad.yaml": "expectations:\n  - {type: expect_nothing}\n"}
    verdict = desk.one(gate, files)
    assert not verdict.passed
    assert verdict.detail.startswith(f"cannot be evaluated: {why}")


def test_out_of_the_stage_s_reach_its_data_cannot_be_judged(desk):
    gate = "{kind: expectations, expectations: s.yaml, data: holdout.parquet}"
    verdict = desk.one(gate, {"s.yaml": SUITE}, stage_available=False)
    assert not verdict.passed
    assert verdict.detail == "cannot be evaluated: the data of prod is out of reach here"


FAIR = "{kind: fairness, data: holdout.parquet, target: rings, group: sex, metric: mae"


def test_the_error_by_group(desk):
    desk.commit(f"ratio: {FAIR}, ratio: 2}}\ndifference: {FAIR}, difference: 0.5, ratio: 9}}")
    ratio, difference = desk.judge("deploy")
    assert (ratio.passed, difference.passed) == (False, True)
    assert ratio.bound == "mae by sex: ratio at most 2"
    assert re.fullmatch(r"ratio [3-5]\.\d+", ratio.value)
    assert re.fullmatch(r"mae I 0\.3\d+, [FM] 0\.\d+, [FM] 0\.\d+", ratio.detail)
    assert re.fullmatch(r"difference 0\.2\d+, ratio [3-5]\.\d+", difference.value)


def fair(desk, frame, **more):
    """What a fairness gate's process answers of a table."""
    path = desk.data / "fair.csv"
    frame.to_csv(path, index=False)
    facts = {"target": "rings", "group": "sex", "metric": "mse", "least_rows": 2}
    return fairness.work(asked(desk, path, data=str(path), **{**facts, **more}))


def test_groups_too_small_and_rows_without_a_group(desk, table):
    few = table.head(40).assign(sex=["A"] * 20 + ["B"] + [None] * 19)
    answer = fair(desk, few)
    assert set(answer["errors"]) == {"A", "(none)"}
    assert answer["small"] == ["B"]
    assert fair(desk, few, metric="bias")["errors"]["A"] < answer["errors"]["A"] ** 0.5


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"group": "sx"}, "no column `sx` .did you mean `sex`"),
        ({"target": "ring"}, "no column `ring` .did you mean `rings`"),
        ({"group": "a", "least_rows": 1}, "has 1,200 values, which are no groups"),
    ],
)
def test_a_fairness_that_cannot_be_evaluated(desk, table, change, why):
    many = pandas.concat([table] * 4, ignore_index=True).assign(a=lambda f: f.index / 1200)
    with pytest.raises(Unjudged, match=why):
        fair(desk, many, **change)
    with pytest.raises(Unjudged, match="rows without `rings`"):
        fair(desk, table.assign(rings=None))
    with pytest.raises(Unjudged, match="is no number: take accuracy"):
        fair(desk, table.assign(rings="old"))


def test_one_group_cannot_be_held_against_another():
    said = {"data": "d.csv", "target": "rings", "group": "sex", "metric": "mae", "ratio": 2}
    with pytest.raises(Unjudged, match="fewer than two groups have 30 rows"):
        fairness._fairness_finding(
            gate_declarations.Fairness(**said), SimpleNamespace(errors={"F": 1.0}, small=("M",))
        )


@pytest.mark.parametrize(
    ("errors", "difference", "ratio"),
    [([0.0, 0.0], 0.0, 1.0), ([0.0, 1.0], 1.0, float("inf")), ([0.5, 1.0], 0.5, 2.0)],
)
def test_how_far_groups_lie_apart(errors, difference, ratio):
    bounds = {"data": "d.csv", "target": "rings", "group": "sex", "metric": "mae", "ratio": 2}
    gate = gate_declarations.Fairness(**bounds, difference=1)
    answer = SimpleNamespace(errors=dict(zip("FM", errors, strict=True)), small=())
    spread = f"difference {difference:g}, ratio {ratio:g}"
    assert fairness._fairness_finding(gate, answer).value == spread


def test_how_long_predicting_takes(desk):
    more = "samples: g.csv, calls: 20, warm_up: 2, rows: 5"
    gate = f"{{kind: latency, {more}, at_most: "
    desk.commit(f"slow: {gate}10s}}\nquick: {gate}0.001ms}}", {"g.csv": SAMPLES})
    slow, quick = desk.judge("deploy")
    assert (slow.passed, quick.passed) == (True, False)
    assert slow.bound == "p95 at most 10 s for 5 rows"
    assert re.fullmatch(r"[\d.]+ ms", slow.value)
    assert re.fullmatch(r"p50 .+ ms, p95 .+ ms, p99 .+ ms over 20 calls", slow.detail)


@pytest.mark.parametrize(("share", "found"), [(0.5, 50), (0.95, 95), (0.99, 99)])
def test_percentiles(share, found):
    assert latency._find_percentile([float(n) for n in range(1, 101)], share) == found
    assert latency._find_percentile([1.0], share) == 1.0


def why(kind, asked):
    """Why a gate's process would say that it cannot be evaluated."""
    return gate_process.answer({"kind": kind, "asked": asked})["why"]


def test_a_model_that_takes_other_columns(desk, tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("a,bb,expected\n0,0,0\n")
    said = why("golden", asked(desk, path))
    assert "the model takes `b`, which the table does not have" in said


def test_a_model_that_raises(desk, tmp_path):
    path, samples = tmp_path / "raises.skops", tmp_path / "g.csv"
    skops_models.dump_model(
        make_pipeline(FunctionTransformer(), LinearRegression()), path
    )  # never fitted
    samples.write_text(SAMPLES)
    assert why("golden", asked(desk, samples, model=str(path))).startswith("NotFittedError: ")


def test_a_version_whose_bytes_cannot_be_had(desk):
    from towpath.errors import StoreError

    def gone(record):
        raise StoreError(f"the bytes of {record.model} are gone", hint="towpath pull")

    desk.commit(f"safe: {SAFE}\ngolden: {GOLDEN}", {"g.csv": SAMPLES})
    for verdict in desk.judge("deploy", model=gone):
        assert not verdict.passed
        assert verdict.detail == (
            "cannot be evaluated: the bytes of abalone are gone (towpath pull)"
        )
