"""What a step writes and takes, whichever of the forms declared it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from towpath.spec import reference, words
from towpath.spec.pipeline import (
    BatchTransform,
    CommandStep,
    FunctionStep,
    Output,
    QualityCheck,
    Step,
)

CHECKED: Mapping[str, Output] = {
    "data": Output(path="data"),
    "result": Output(path="result.json"),
    "page": Output(path="page.html"),
}


def output_files(step: Step) -> dict[str, Output]:
    """Output name -> file; a list names by file stem, a quality check's three are fixed.

    The file of a check's ``data`` has the extension of what it checks: the graph knows it.
    """
    return dict(named_outputs(step))


def named_outputs(step: Step) -> Iterator[tuple[str, Output]]:
    """The same as pairs, in which a name may come twice."""
    if isinstance(step, QualityCheck):
        yield from CHECKED.items()
    elif isinstance(step, FunctionStep | BatchTransform | CommandStep):
        if isinstance(step.outputs, Mapping):
            yield from step.outputs.items()
        else:
            yield from ((words.stem(output.path), output) for output in step.outputs)


def is_json(output: Output) -> bool:
    """Whether an output holds a JSON document, into whose keys references may reach."""
    return output.format == "json" or (output.format is None and output.path.endswith(".json"))


def bindings(step: Step, key: str) -> Iterator[tuple[str, str, str | int]]:
    """``inputs`` or ``params`` as (argument, reference, where in the list or mapping).

    A list's item takes its last name; of ``a.x or b.x`` that is ``x``, and of ``a.x or b.y``,
    which has two, the argument is empty.
    """
    bound: Any = getattr(step, key, ())
    if isinstance(bound, Mapping):
        yield from ((argument, text, argument) for argument, text in bound.items())
        return
    for index, text in enumerate(bound):
        lasts = {found.last for found in reference.alternatives(text)}
        yield (lasts.pop() if len(lasts) == 1 else "", text, index)
