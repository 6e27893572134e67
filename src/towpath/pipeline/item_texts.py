"""The texts of a declaration in which items of `each` stand: a model's name, a suite's path."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic_core import PydanticCustomError

from towpath.config import names_and_paths as grammar
from towpath.config.expression import parse_message
from towpath.config.pipeline_declaration import QualityCheck, RegisterModel, Step
from towpath.errors import Fault, StepFailed, did_you_mean
from towpath.pipeline.step_graph import FromParam, Literal, Loop, Node

if TYPE_CHECKING:
    from towpath.config.pipeline_file import DeclaredPipeline

#: So many cells are looked at before a run: what is wrong with a list is so with its first items.
_MOST = 1000
_S = TypeVar("_S", bound=Step)


class ItemText(NamedTuple):
    """A text with items in braces: the key that it is declared under, and the type's field."""

    key: str
    field: str
    text: str


def list_item_texts(step: Step) -> Iterator[ItemText]:
    """The texts of a step that may differ from cell to cell."""
    if isinstance(step, RegisterModel) and "{" in step.model:
        yield ItemText("as", "model", step.model)
    if isinstance(step, QualityCheck) and step.each and "{" in (step.expectations or ""):
        yield ItemText("expectations", "expectations", step.expectations or "")


def named_items(item_text: ItemText) -> tuple[str, ...]:
    """The names in the braces of a text."""
    try:
        return tuple(reference.name for reference in parse_message(item_text.text).references)
    except ValueError:  # a path may hold braces that mean nothing
        return ()


def fill_step(step: _S, items: Mapping[str, Any]) -> _S:
    """The declaration of one cell.

    Raises StepFailed where a text lacks an item, or is no name and no path with it.
    """
    filled = {text.field: _fill_text(text, items) for text in list_item_texts(step)}
    return step.model_copy(update=filled) if filled else step


def _fill_text(item_text: ItemText, items: Mapping[str, Any]) -> str:
    try:
        text = parse_message(item_text.text).fill(lambda name: items[name])
    except ValueError as error:
        raise StepFailed(f"`{item_text.key}`: {error}") from None
    try:
        if item_text.field == "model":
            return grammar.model(text)
        return str(grammar.check_path(text))
    except PydanticCustomError as error:
        context = error.context or {}
        what = f"`{item_text.key}: {item_text.text}`: {context.get('what')}"
        raise StepFailed(Fault(what, hint="items stand in it as they are")) from None


def find_text_faults(step: Step, items: Sequence[str]) -> Iterator[tuple[str, Fault]]:
    """What is wrong with the names in a step's texts, each with the key of the text."""
    for item_text in list_item_texts(step):
        for name in named_items(item_text):
            if name not in items:
                what = f"`{item_text.key}` names `{name}`, which is no item of its `each`"
                hint = did_you_mean(name, items) or f"write `each: {{{name}: [a, b]}}`"
                yield item_text.key, Fault(what, hint=hint)


def combine_items(lists: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """The items of each cell: one of each list, the last list's changing first."""
    for combination in itertools.product(*lists.values()):
        yield dict(zip(lists, combination, strict=True))


def find_name_problem(step: Step, cells: Iterable[Mapping[str, Any]]) -> Fault | None:
    """What is wrong with the texts of cells of these items: one that is no name, or two cells that
    would register the same model."""
    if not any(list_item_texts(step)) and not isinstance(step, RegisterModel):
        return None
    models: set[str] = set()
    for items in itertools.islice(cells, _MOST):
        try:
            filled = fill_step(step, items)
        except StepFailed as failure:
            return failure.faults[0]
        if not isinstance(filled, RegisterModel):
            continue
        if filled.model in models:
            what = f"two of its cells would register `{filled.model}`: each is a model of its own"
            hint = f"write `as: {'-'.join(['model', *(f'{{{name}}}' for name in items)])}`"
            return Fault(what, hint=hint)
        models.add(filled.model)
    return None


def find_declared_lists(declared: DeclaredPipeline, loop: Loop) -> dict[str, Sequence[Any]] | None:
    """The items of a step's lists as they are declared; None where one of them is not."""
    lists: dict[str, Sequence[Any]] = {}
    for name, source in loop.lists.items():
        items: Any = source.value if isinstance(source, Literal) else None
        if isinstance(source, FromParam) and source.name in declared.pipeline.params:
            items = declared.pipeline.params[source.name].default
        if not isinstance(items, list | tuple):
            return None
        lists[name] = items
    return lists


def list_suites(declared: DeclaredPipeline, node: Node) -> tuple[str, ...]:
    """The suites that the cells of a check are held against, as far as they are declared."""
    assert isinstance(node.step, QualityCheck)
    item_text = next(list_item_texts(node.step), None)
    if item_text is None:
        return (node.step.expectations,) if node.step.expectations else ()
    lists = (node.loop and find_declared_lists(declared, node.loop)) or {}
    suites: dict[str, None] = {}
    for items in itertools.islice(combine_items(lists), _MOST):
        with suppress(StepFailed, KeyError):  # which is a fault of its own
            suites[_fill_text(item_text, items)] = None
    return tuple(suites)
