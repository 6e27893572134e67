"""A bundled model laid out as MLflow's own tools read one: the flavour `python_function`.

MLflow's documented layout: `MLmodel` names a module that loads, in `code`, what lies in `data`, and
the files of the environment. The module is ours of the bundle, which needs no Towpath.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from towpath import documents
from towpath.errors import UsageError
from towpath.scratch import scratch_beside
from towpath.steps.model_io import bundle_runtime, model_bundles

if TYPE_CHECKING:
    from towpath.config.artifact import Artifact

MLMODEL, LOADER = "MLmodel", "towpath_bundle"
_CODE, _DATA = "code", "data"
_TYPES = {
    "integer": "long", "number": "double", "string": "string", "category": "string",
    "boolean": "boolean", "datetime": "datetime",
}  # fmt: skip


def require_bundle(artifact: Artifact, shown: str) -> Artifact:
    """The same under the name that its folder gets; ``UsageError`` for what is no bundle."""
    if not model_bundles.is_bundle(artifact.name):
        hint = "a step of kind `create_model` makes one"
        raise UsageError(f"{shown} ({artifact.name}) is no bundled model", hint=hint)
    name = artifact.name.removesuffix(model_bundles.SUFFIX)
    return replace(artifact, name=name)


def lay_out_mlflow(folder: Path) -> None:
    """Make a bundle's folder one of MLflow's. The same bundle gives the same files.

    Raises:
        StepFailed: where the folder is no bundle.
    """
    description = model_bundles.read_description(folder, folder.name)
    text = (folder / bundle_runtime.DESCRIPTION).read_bytes()
    inner = scratch_beside(folder)
    folder.rename(inner)
    (folder / _CODE).mkdir(parents=True)
    inner.rename(folder / _DATA)
    source = Path(bundle_runtime.__file__).read_text(encoding="utf-8")
    (folder / _CODE / f"{LOADER}.py").write_text(source, encoding="utf-8")
    pins = (folder / _DATA / model_bundles.REQUIREMENTS).read_text(encoding="utf-8")
    pip = [line for line in pins.splitlines() if line and not line.startswith("#")]
    (folder / "requirements.txt").write_text(pins, encoding="utf-8")
    environment = {"python": description.python, "dependencies": ["-r requirements.txt"]}
    conda = {
        "name": "model",
        "channels": ["conda-forge"],
        "dependencies": [f"python={description.python}", "pip", {"pip": pip}],
    }
    model = {
        "flavors": {
            "python_function": {
                "code": _CODE,
                "data": _DATA,
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": LOADER,
                "python_version": description.python,
            }
        },
        "model_uuid": hashlib.md5(text, usedforsecurity=False).hexdigest(),
        "signature": _sign(description.signature),
    }
    texts = {"python_env.yaml": environment, "conda.yaml": conda, MLMODEL: model}
    for name, content in texts.items():
        (folder / name).write_text(documents.dump_yaml(content), encoding="utf-8")


def _sign(signature: Mapping[str, Any]) -> dict[str, Any]:
    """MLflow's signature, whose two sides are texts of JSON; a type that is not known is none."""
    sides: dict[str, Any] = {"inputs": None, "outputs": None, "params": None}
    for side in ("inputs", "outputs"):
        columns = signature[side]
        if all(column["type"] in _TYPES for column in columns):
            sides[side] = json.dumps(
                [
                    {"type": _TYPES[column["type"]], "name": column["name"], "required": True}
                    for column in columns
                ]
            )
    # The prediction is an array, whose column has no name.
    outputs = signature["outputs"]
    if sides["outputs"] and len(outputs) == 1:
        sides["outputs"] = json.dumps([{"type": _TYPES[outputs[0]["type"]], "required": True}])
    return sides
