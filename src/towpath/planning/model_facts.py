"""What steps noted of a model that is to be registered: its signature, and what it needs."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from towpath.pipeline.step_graph import FromOutput, outputs_of
from towpath.registry import ModelSignature
from towpath.registry.model_signature import read_signature

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from towpath.pipeline.step_graph import Graph, Source
    from towpath.planning.run_state import RunState

_UNKNOWN = "unknown"


def find_signature(known: RunState, graph: Graph, source: Source) -> ModelSignature | None:
    """What a model takes and gives, by the step that made it; what that step did not learn is told
    by the model that it took in: a step that hands a model on, or wraps it, keeps its signature."""
    if not outputs_of(source):
        return None
    signed = _find_signed(known, graph, known.find_origin(source))
    return read_signature(dict(signed)) if signed and signed.get("inputs") else None


def find_noted_needs(known: RunState, source: Source) -> tuple[str, ...]:
    """The names that a model's file needs `trust` for."""
    if not outputs_of(source):
        return ()
    origin = known.find_origin(source)
    noted = known.made[origin.step].facts.get("needs")
    names = noted.get(origin.output) if isinstance(noted, dict) else None
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _find_signed(known: RunState, graph: Graph, origin: FromOutput) -> Mapping[str, Any] | None:
    own = _noted_signature(known, origin)
    if own is not None and _UNKNOWN not in (own.get("inputs"), own.get("outputs")):
        return own
    taken = [signed for model in _models_taken(known, graph, origin)
             if (signed := _find_signed(known, graph, model))]  # fmt: skip
    if own is None:
        return taken[0] if len(taken) == 1 else None
    return next((_fill_unknown(own, signed) for signed in taken if _is_alike(own, signed)), own)


def _noted_signature(known: RunState, origin: FromOutput) -> Mapping[str, Any] | None:
    noted = known.made[origin.step].facts.get("signature")
    signed = noted.get(origin.output) if isinstance(noted, dict) else None
    return signed if isinstance(signed, dict) else None


def _models_taken(known: RunState, graph: Graph, origin: FromOutput) -> Iterator[FromOutput]:
    """The models among what a step took in: outputs of steps that noted a signature, or of the
    same kind of file."""
    suffix = _file_suffix(known, origin)
    for source in graph.nodes[origin.step].arguments.values():
        if not outputs_of(source):
            continue
        taken = known.find_origin(source)
        if not taken.keys and (
            _noted_signature(known, taken) or _file_suffix(known, taken) == suffix
        ):
            yield taken


def _file_suffix(known: RunState, origin: FromOutput) -> str:
    artifact = known.made[origin.step].outputs.get(origin.output)
    return PurePosixPath(artifact.name).suffix if artifact else ""


def _column_names(signed: Mapping[str, Any]) -> object:
    inputs = signed.get("inputs")
    if isinstance(inputs, list):
        return [column.get("name") for column in inputs if isinstance(column, dict)]
    return None


def _is_alike(own: Mapping[str, Any], taken: Mapping[str, Any]) -> bool:
    """Whether a model takes the columns that another took, as far as it knows its own."""
    names, features = _column_names(own), own.get("features")
    return names in (None, _column_names(taken)) and features in (None, taken.get("features"))


def _fill_unknown(own: Mapping[str, Any], taken: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a step did not learn itself, from the model that it took in."""
    unknown = {name for name in ("inputs", "outputs") if own.get(name) == _UNKNOWN}
    if all(column.get("type") == _UNKNOWN for column in own["inputs"] if isinstance(column, dict)):
        unknown.add("inputs")
    return {**taken, **{key: value for key, value in own.items() if key not in unknown}}
