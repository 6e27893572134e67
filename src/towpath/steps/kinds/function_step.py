"""Calls a function of the project: arguments read, what it returns written and stored.

It carries out the kinds ``processing``, ``training`` and ``evaluation``.
"""

from __future__ import annotations

import functools
import gc
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.backends.dvc import Store
from towpath.config.artifact import Artifact, Json, Made
from towpath.errors import Fault, Place, StepFailed
from towpath.steps import formats, own_formats, project_functions, step_results
from towpath.steps.formats import jsons
from towpath.steps.model_io import fitted_signature, model_needs
from towpath.steps.work_order import Order, Value

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import FunctionStep, Output


@dataclass(frozen=True)
class Called:
    """A call that has returned: what went in, what came back by output name, and its wall time."""

    function: Callable[..., object]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    returned: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def execute(order: Order) -> Made:
    """Call the function, store what it made, and leave the signature of each model."""
    called = call(order)
    return signed(store(order, called), called)


def call(order: Order) -> Called:
    """Call the function with its arguments; what it returns is sorted by output.

    :raises StepFailed: where it returns too little, or what no output takes.
    """
    function = project_functions.load(order.root, order.folder, _declared(order).run)
    given = read_arguments(order, order.annotations)
    own = set(inspect.signature(function).parameters)
    writes = {
        name: _destination(order, output)
        for name, output in order.outputs.items()
        if name in own and name not in given  # a name that is both an input and an output
    }
    begun = time.perf_counter()
    answer: Any = function(**given, **writes)
    seconds = round(time.perf_counter() - begun, 3)
    if writes:
        gc.disable()  # a file that was written and forgotten is flushed first: `open_files.settle`
    expected = [name for name in order.outputs if name not in writes]
    try:
        return Called(function, given, step_results.by_output(answer, expected), seconds)
    except StepFailed as failure:
        raise placed(failure, order, function) from failure.__cause__


@functools.cache
def _store(root: Path) -> Store:
    return Store(root)  # once a process: opening its state takes a millisecond


def _declared(order: Order) -> FunctionStep:
    return order.step  # type: ignore[return-value] # only kinds with a function come here


def read_arguments(order: Order, wanted: Mapping[str, str]) -> dict[str, Any]:
    """Each argument's value, read as its annotation asks for it."""
    store = _store(order.root)
    return {
        name: argument.value if isinstance(argument, Value)
        else _read(order, store, name, argument, wanted.get(name, ""))
        for name, argument in order.arguments.items()
    }  # fmt: skip


def _read(order: Order, store: Store, name: str, artifact: Artifact, wanted: str) -> object:
    asked = formats.Asked(
        artifact.name,
        wanted,
        order.formats.get(name),
        order.trust,
        order.options_of(name),
        order.own_formats,
    )
    own = asked.format if asked.format and asked.format.run and not asked.as_path else None
    if own:
        try:
            return own_formats.read_own(order, own, _copied(order, store, name, artifact))
        except StepFailed as failure:
            raise failure.about(f"input `{name}`") from failure.__cause__
    if artifact.files is not None or asked.as_path:
        return _copied(order, store, name, artifact)
    try:
        for note in formats.notes(store.path(artifact.digest), asked):
            print(note)
        return formats.read(store.path(artifact.digest), asked)
    except StepFailed as failure:
        raise failure.about(f"input `{name}`") from failure.__cause__


def _copied(order: Order, store: Store, name: str, artifact: Artifact) -> Path:
    """A copy of the step's own: the store's file has no extension, and must not be written to."""
    path = order.directory / "inputs" / name / artifact.name
    path.parent.mkdir(parents=True, exist_ok=True)
    store.link(artifact.digest, path)
    return path


def _destination(order: Order, output: Output) -> Path:
    path = order.directory / "outputs" / output.path
    (path if formats.is_folder(output.path) else path.parent).mkdir(parents=True, exist_ok=True)
    return path


def store(order: Order, called: Called) -> Made:
    """Write what was returned, and put every output into the store.

    :raises StepFailed: where a value does not fit its format, or the function wrote nothing.
    """
    _refuse_open(order, called)
    keeper = _store(order.root)
    outputs: dict[str, Artifact] = {}
    values: dict[str, Json] = {}
    needs: dict[str, tuple[str, ...]] = {}
    for name, output in order.outputs.items():
        path = _destination(order, output)
        try:
            writer = "function"
            if name in called.returned:
                writer = _write(order, called.returned[name], path, output)
            step_results.must_exist(path, output, writer)
            if _format(order, output) is formats.FORMATS["json"]:
                values |= _value(name, path, called)
        except StepFailed as failure:
            raise placed(failure, order, called.function, name) from failure.__cause__
        if needed := model_needs.find_needs(path, output.format):
            needs[name] = needed
        outputs[name] = keeper.put(path)
    nameless = model_needs.find_nameless(needs)
    for line in model_needs.tell_needs(needs, nameless, order.trust):
        print(line)
    order.remove_bytes()
    noted = model_needs.write_facts(needs, nameless)
    return Made(outputs, values, {**noted, "function_seconds": called.seconds})


def _format(order: Order, output: Output) -> formats.Format | None:
    return formats.known(output.path, output.format, order.own_formats)


def _write(order: Order, value: object, path: Path, output: Output) -> str:
    """Write a value that was returned; who is to blame if nothing is there afterwards."""
    format = _format(order, output)
    if format and format.run and not isinstance(value, Path):  # a path is copied, as ever
        own_formats.write_own(order, format, value, path)
        return f"class {format.run}"
    step_results.write(value, path, output)
    return "function"


def _refuse_open(order: Order, called: Called) -> None:
    """:raises StepFailed: naming each file of an output that somebody still writes."""
    places = {
        name: called.returned.get(name, order.directory / "outputs" / output.path)
        for name, output in order.outputs.items()
    }
    written = {name: Path(place) for name, place in places.items() if isinstance(place, Path)}
    if not written:
        return
    from towpath.steps import open_files

    faults = [
        Fault(f"output `{name}`: {writer.says(_relative(Path(writer.path), place))}")
        for writer in open_files.settle(written.values())
        for name, place in written.items()
        if Path(writer.path).is_relative_to(place.resolve())
    ]
    if faults:
        raise placed(StepFailed(*faults), order, called.function)


def _relative(file: Path, place: Path) -> str:
    """A file of an output by the name that its declaration gives it, or by one inside of that."""
    return (Path(place.name) / file.relative_to(place.resolve())).as_posix()


def _value(name: str, path: Path, called: Called) -> dict[str, Json]:
    """The content of a JSON output if it is small; one that the function wrote is read anyhow,
    for it may be none.

    :raises StepFailed: where it is none.
    """
    is_small = path.stat().st_size <= jsons.SMALL
    returned = called.returned.get(name)
    if not is_small and returned is not None and not isinstance(returned, Path | str | bytes):
        return {}
    value = jsons.parse_document(path.read_bytes(), path.name)
    if not is_small:
        return {}
    if not jsons.is_finite(value):
        print(f"{path.name}: a number in it is NaN or infinite")
    return {name: value}


def placed(
    failure: StepFailed, order: Order, function: Callable[..., Any], output: str = ""
) -> StepFailed:
    """The same failure, at the function's first line, and naming the output."""
    source = inspect.unwrap(function)
    code = getattr(source, "__code__", None)
    place = None
    if code and Path(code.co_filename).is_relative_to(order.root):
        file = Path(code.co_filename).relative_to(order.root).as_posix()
        place = Place(file, code.co_firstlineno)
    faults = (Fault(f.what, f.place or place, f.hint) for f in failure.faults)
    moved = StepFailed(*faults, causes=failure.causes)
    return moved.about(f"output `{output}`") if output else moved


def signed(made: Made, called: Called) -> Made:
    """The same with what each model takes and gives that was returned."""
    signatures = fitted_signature.of_models(called.returned, called.arguments)
    return replace(made, facts={**made.facts, "signature": signatures}) if signatures else made
