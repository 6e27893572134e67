"""The kind `create_model`: what is wrong with a declaration, and how its folder is tried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

import running
from towpath.config.artifact import Made
from towpath.errors import Refused, StepFailed
from towpath.planning.pipeline_check import find_pipeline_faults
from towpath.steps.model_io import model_bundles
from towpath.versions.mlflow_layout import lay_out_mlflow

PIPELINE = """\
inputs: {{raw: data/raw.csv, notes: data/notes.json}}
steps:
  train: {{run: train, inputs: [raw], outputs: [model.skops, features.skops, net.bin]}}
  look: {{run: in_years, inputs: {{rings: notes}}, outputs: [x.json]}}
  bundle:
    kind: create_model
    inputs: {{{inputs}, samples: {samples}}}
    {more}
"""
STEPS = """\
def train(raw):
    return 1


def in_years(rings):
    return rings


def two(a, b):
    return a


def predict(data, net):
    return 1


def load(nett):
    return 1
"""
MODEL, NET, BOTH = "model: train.model", "net: train.net", "m: train.model, f: train.features"
FAULTS = [
    (MODEL, "chain: [modell, in_years]", "`modell` is no input of `bundle`, and no function (did "),
    (MODEL, "chain: [model, in_yearz]", "there is no function `in_yearz` in `flows/training/steps"),
    (MODEL, "chain: [model, two]", "two() takes a, b: in a chain it gets one argument"),
    (MODEL, "chain: [model, model]", "`model` is in the chain twice"),
    (MODEL, "chain: [in_years]", "the chain holds no input, and so no model"),
    (MODEL, "chain: [model, other.pst:f]", "there is no module `other.pst`"),
    (BOTH, "rows: 3", "`bundle` does not say in which order rows go through `m`, `f`"),
    (BOTH, "chain: [m]", "`f` is not in the chain of `bundle`"),
    (NET, "rows: 3", "`net` is net.bin, and a chain is of .skops files and functions"),
    (NET, "predict: predct", "there is no function `predct`"),
    (NET, "{predict: predict, chain: [net]}", "`chain` and `predict` both say how rows become"),
    (NET, "load: load", "`load` gives what `predict` predicts with, and there is no `predict`"),
    (NET, "{predict: predict, card: crd.md}", "there is no crd.md"),
]


@pytest.mark.parametrize(("inputs", "more", "words"), FAULTS)
def test_what_is_wrong_is_said_once(tmp_path: Path, inputs: str, more: str, words: str) -> None:
    keys = more.strip("{}").replace(", c", "\n    c")
    text = PIPELINE.format(inputs=inputs, samples="raw", more=keys)
    small = running.make(
        tmp_path, {"flows/training/pipeline.yaml": text, "flows/training/steps.py": STEPS}
    )
    (fault,) = find_pipeline_faults(small.workspace, "training")
    assert fault.what.startswith(words.partition(" (did")[0]) and fault.place and fault.place.line


def test_samples_are_a_table_and_load_takes_the_parts(tmp_path: Path) -> None:
    text = PIPELINE.format(inputs=NET, samples="notes", more="load: load\n    predict: predict")
    small = running.make(
        tmp_path, {"flows/training/pipeline.yaml": text, "flows/training/steps.py": STEPS}
    )
    said = [str(fault) for fault in find_pipeline_faults(small.workspace, "training")]
    assert any("data/notes.json, which is no table" in line for line in said)
    assert any("load() has no argument `net`" in line and "`nett`" in line for line in said)


ROWS = "a,b\n1.5,2\n3.25,4\n-1,0\n"
FUNCTIONS = """
    import importlib

    def predict(data, net, scale):
        # what `code:` names is found by a name in a text
        words = importlib.import_module("shared." + net.read_text().strip())
        return data["a"] * words.FACTOR * scale["by"]
    """


def order(project: Any, *code: str, **step: Any) -> Any:
    arguments = {"samples": project.put("rows.csv", ROWS), "net": project.put("net.bin", "words"),
                 "scale": project.put("scale.json", '{"by": 10}')}  # fmt: skip
    inputs = {name: name for name in arguments}
    made = project.order(
        None, (), arguments, kind="create_model", inputs=inputs, predict="predict", **step
    )
    return replace(made, code=("flows/training/steps.py", *code))


def lay_out(project: Any, made: Made, folder: Path) -> Path:
    path = folder / made.outputs["model"].name
    project.store.copy_to(made.outputs["model"].digest, path)
    return path


def test_a_folder_is_tried_by_itself(project: Any, tmp_path: Path) -> None:
    project.steps(FUNCTIONS)
    project.write("shared/words.py", "FACTOR = 2\n")
    with pytest.raises(StepFailed) as raised:
        project.call(order(project))
    assert "No module named 'shared'" in str(raised.value.faults[0])
    first = project.call(order(project, "shared/words.py", code=["shared/words.py"]))
    again = project.call(order(project, "shared/words.py", code=["shared/words.py"]))
    assert first.outputs == again.outputs and first.outputs["model"].files == 8
    assert_mlflow_finds_its_layout(lay_out(project, first, tmp_path / "of MLflow"))
    folder = lay_out(project, first, tmp_path)
    samples = json.loads((folder / "samples.json").read_text())
    assert [sample["expected"] for sample in samples] == [30.0, 65.0, -20.0]
    assert first.facts["needs"] == {"model": ["flows.training.steps.predict"]}
    with pytest.raises(Refused, match=r"it runs or holds flows\.training\.steps\.predict"):
        model_bundles.load_alone(folder, folder.name, ())
    (folder / "code/json.py").write_text("raise SystemExit")
    with pytest.raises(Refused, match="brings a module `json`"):
        model_bundles.load_alone(folder, folder.name, ("flows.training.steps.predict",))
    own = {"version": "m@v1.0.0", "classes": ["flows.training.steps.predict"], "fault": "",
           "root": str(project.root), "hint": None, "packages": {}, "python": None}  # fmt: skip
    with pytest.raises(Refused, match=r"brings code/json\.py, which is not that of its commit"):
        model_bundles.load_version(folder, folder.name, own["classes"], own)
    with pytest.raises(Refused, match="which its commit does not define"):
        model_bundles.load_version(folder, folder.name, own["classes"], {**own, "classes": []})


def assert_mlflow_finds_its_layout(folder: Path) -> None:
    lay_out_mlflow(folder)
    model = yaml.safe_load((folder / "MLmodel").read_text())
    flavour = model["flavors"]["python_function"]
    loader = folder / flavour["code"] / f"{flavour['loader_module']}.py"
    assert "def _load_pyfunc(path" in loader.read_text() and "towpath." not in loader.read_text()
    assert (folder / flavour["data"] / "bundle.json").is_file()
    columns = json.loads(model["signature"]["inputs"])
    assert columns == [{"type": "double", "name": "a", "required": True},
                       {"type": "long", "name": "b", "required": True}]  # fmt: skip
    for file in flavour["env"].values():
        assert yaml.safe_load((folder / file).read_text())["dependencies"]
    pins = (folder / "requirements.txt").read_text().splitlines()
    assert any(line.startswith("pandas==") for line in pins)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "its schema is 2"),
        ({"parts": {"x": {"path": "../../x", "types": []}}}, "is no bundled model"),
        ({"parts": {"x": {"path": "parts/none.bin", "types": []}}}, "it has no parts/none.bin"),
        ({"predict": {"module": "os;x", "function": "f", "takes": []}}, "no name of Python's"),
        ({"predict": None, "chain": []}, "says nothing of how it predicts"),
        ({"signature": {}}, "its signature names no columns"),
        ({"chain": ["nobody"]}, "it has no part `nobody`"),
    ],
)
def test_a_folder_that_is_none_is_told(tmp_path: Path, change: Any, words: str) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/net.bin").write_text("x")
    document = {"schema": 1, "parts": {"net": {"path": "parts/net.bin", "types": []}}, "chain": [],
                "predict": {"module": "m", "function": "f", "takes": ["net"]}, "load": None,
                "values": {}, "paths": [""], "python": "3.11",
                "signature": {"inputs": [{"name": "a", "type": "number"}]}}  # fmt: skip
    (tmp_path / "bundle.json").write_text(json.dumps({**document, **change}))
    with pytest.raises(StepFailed, match=words):
        model_bundles.read_description(tmp_path, "model.bundle")
