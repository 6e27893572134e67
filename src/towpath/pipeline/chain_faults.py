"""What is wrong with the models that a pipeline puts together, as far as their words tell."""

from __future__ import annotations

from collections.abc import Iterator

from towpath.config import model_parts
from towpath.config.pipeline_declaration import CreateModel, list_bindings
from towpath.config.pipeline_file import DeclaredPipeline
from towpath.errors import Fault, Place, did_you_mean


def find_chain_faults(declared: DeclaredPipeline) -> Iterator[Fault]:
    """Everything that is wrong with the parts of models, each with its place."""
    for name, step in declared.pipeline.steps.items():
        if isinstance(step, CreateModel):
            yield from _faults_of_model(declared, name, step)


def _faults_of_model(declared: DeclaredPipeline, name: str, step: CreateModel) -> Iterator[Fault]:
    positions = {input_name: position for input_name, _, position in list_bindings(step, "inputs")}
    parts = model_parts.part_names(positions)

    def place_of(*loc: str | int) -> Place | None:
        return declared.places.find_place("steps", name, *loc)

    if not parts:
        hint = "write `inputs: {model: train.model, samples: ...}`"
        yield Fault(f"`{name}` puts a model together of no part", place_of("inputs"), hint)
    elif step.predict:
        yield from _function_faults(step, parts, place_of("predict"), place_of("chain"))
    elif step.load:
        what = "`load` gives what `predict` predicts with, and there is no `predict`"
        yield Fault(what, place_of("load"), "write `predict: module:function`")
    elif step.chain:
        yield from _order_faults(step, parts, place_of("chain"))
        checked_parts = parts if set(parts).intersection(step.chain) else ()
        for part in checked_parts:
            if part not in step.chain and not _near_links(step, part, parts):
                what = f"`{part}` is not in the chain of `{name}`"
                hint = f"write it there, or remove it: `chain: [{', '.join(parts)}]`"
                yield Fault(what, place_of("inputs", positions[part]), hint)
    elif len(parts) > 1:
        what = f"`{name}` does not say in which order rows go through {_listed(parts)}"
        hint = f"`chain: [{', '.join(parts)}]`, or `predict: module:function`"
        yield Fault(what, place_of(), hint)


def _function_faults(
    step: CreateModel, parts: tuple[str, ...], place: Place | None, chain_place: Place | None
) -> Iterator[Fault]:
    if step.chain:
        what = "`chain` and `predict` both say how rows become predictions"
        yield Fault(what, chain_place, "remove one of them")
    if model_parts.DATA in parts and not step.load:
        what = f"an input is called `{model_parts.DATA}`, as the table that `predict` takes"
        yield Fault(what, place, "rename the input: `inputs: {words: ...}`")


def _order_faults(
    step: CreateModel, parts: tuple[str, ...], place: Place | None
) -> Iterator[Fault]:
    repeated = next((link for link in step.chain if step.chain.count(link) > 1), None)
    if repeated:
        yield Fault(f"`{repeated}` is in the chain twice", place)
    if not set(step.chain).intersection(parts) and not any(
        _near_links(step, part, parts) for part in parts
    ):
        yield Fault("the chain holds no input, and so no model", place, f"name {_listed(parts)}")


def _near_links(step: CreateModel, part: str, parts: tuple[str, ...]) -> bool:
    # One typo is one fault: a link that is no part and near to one stands for that.
    unknown = [link for link in step.chain if link not in parts]
    return did_you_mean(part, unknown) is not None


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
