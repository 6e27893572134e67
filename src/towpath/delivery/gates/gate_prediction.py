"""A model and a table in a gate's own process, and what is asked of that process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.delivery.gates import verified_artifact
from towpath.delivery.gates.gate_finding import Unjudged
from towpath.errors import did_you_mean

if TYPE_CHECKING:
    from towpath.delivery.gates.gate_context import GateContext


def candidate_question(context: GateContext) -> dict[str, Any]:
    """What the process needs to load the candidate: its bytes, which are as recorded, the types
    that the policy trusts, and the version's own code."""
    record = context.candidate
    return {
        "model": str(verified_artifact.verify_model_bytes(context, record)),
        "name": record.artifact.name,
        **trusted_types(context),
    }


def trusted_types(context: GateContext) -> dict[str, Any]:
    """The types that a model may hold beside the known ones, and where the version's own are."""
    own = context.own_code.to_json()
    return {"trust": list(context.project.trust), "own": own, "root": own["root"]}


def load_candidate(question: dict[str, Any]) -> Any:
    """The candidate, loaded: a skops file, all of whose types are known or trusted."""
    from towpath.steps import formats
    from towpath.steps.model_io import own_classes

    name = question["name"]
    file_format = formats.find_format(name)
    if file_format is None or file_format.name != "skops":
        raise Unjudged(f"{name} is not opened here: only .skops is; a `function` gate may know it")
    return own_classes.load_model(Path(question["model"]), name, question["trust"], question["own"])


def read_gate_table(path: str, name: str) -> Any:
    """A table as pandas."""
    from towpath.steps import formats

    file_format = formats.find_format(name)
    if file_format is None or not file_format.is_table:
        raise Unjudged(f"{name} is no table: {formats.TABLES}")
    frame = formats.read_file(Path(path), formats.ReadRequest(name))
    if not len(frame):  # type: ignore[arg-type]
        raise Unjudged(f"{name} has no rows")
    return frame


def read_gate_column(frame: Any, name: str, shown: str) -> Any:
    """A column of a table, without a gap in it."""
    names = [str(label) for label in frame.columns]
    if name not in names:
        near = did_you_mean(name, names) or f"it has {', '.join(names[:9])}"
        raise Unjudged(f"{shown} has no column `{name}` ({near})")
    return frame[name]


def predict_rows(model: Any, frame: Any) -> list[Any]:
    """What the model gives for each row: values, or lists of them."""
    from towpath.steps.formats.jsons import plain_json
    from towpath.steps.kinds.batch_transform import select_features

    values = plain_json(model.predict(select_features(model, frame)))
    if not isinstance(values, list) or len(values) != len(frame):
        raise Unjudged(f"the model gives no prediction for each of {len(frame)} rows")
    return values


def find_stage_data(context: GateContext, name: str) -> str:
    """A file of the stage's data, on disk."""
    if not context.stage_available:
        raise Unjudged(f"the data of {context.stage} is out of reach here")
    path = context.data(name).absolute()
    if not path.is_file():
        raise Unjudged(f"{context.stage} has no data {name}")
    return str(path)
