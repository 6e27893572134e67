"""Calls a function of the project: arguments read, what it returns written and stored.

It carries out the kinds ``processing``, ``training`` and ``evaluation``.
"""

from __future__ import annotations

import gc
import inspect
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.backends.dvc import Store
from towpath.config.artifact import Artifact, Json, Made
from towpath.errors import Fault, Place, StepFailed
from towpath.steps import formats, project_functions, step_results
from towpath.steps.model_io import fitted_signature, model_bundles, skops_models
from towpath.steps.work_order import CELLS, Order, Value

if TYPE_CHECKING:
    from towpath.config.file_declaration import Output
    from towpath.config.pipeline_declaration import FunctionStep


class FunctionCall(Struct, frozen=True):
    """A call that has returned: what went in, what came back by output name, and its wall time."""

    function: Callable[..., object]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    returned: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def execute(order: Order) -> Made:
    """Call the function, store what it made, and leave the signature of each model."""
    called = _call_function(order)
    return add_signatures(store_outputs(order, called), called)


def _call_function(order: Order) -> FunctionCall:
    # By itself, so that nothing refers to what the function gave but its outputs: files among it
    # that were forgotten are closed before they are stored.
    call = prepare_call(order)
    begun = time.perf_counter()
    answer = call.run()
    return finish_call(order, call, answer, round(time.perf_counter() - begun, 3))


class PreparedCall(Struct, frozen=True):
    """A function with all that it is called with: what it takes, and the paths that it writes."""

    function: Callable[..., object]
    inputs: Mapping[str, Any]
    writes: Mapping[str, Path]

    @property
    def arguments(self) -> dict[str, Any]:
        return {**self.inputs, **self.writes}

    def run(self) -> Any:
        """Call it; what it answers."""
        return self.function(**self.arguments)


def prepare_call(order: Order) -> PreparedCall:
    """Import the function, and read its arguments."""
    step: FunctionStep = order.step  # type: ignore[assignment] # only kinds with a function
    function = project_functions.load_function(order.root, order.folder, step.run)
    passed_arguments = read_arguments(order, order.annotations)
    own = set(inspect.signature(function).parameters)
    writes = {
        name: order.place_output(name)
        for name in order.outputs
        if name in own
        and name not in passed_arguments  # a name that is both an input and an output
    }
    return PreparedCall(function, passed_arguments, writes)


def finish_call(
    order: Order, call: PreparedCall, answer: Any, seconds: float = 0.0
) -> FunctionCall:
    """What a function answered, sorted by output.

    :raises StepFailed: where it returns too little, or what no output takes.
    """
    if call.writes:
        gc.disable()  # a file that was written and forgotten is flushed first: `settle_open_files`
    expected = [name for name in order.outputs if name not in call.writes]
    try:
        by_output = step_results.sort_by_output(answer, expected)
    except StepFailed as failure:
        raise place_failure(failure, order, call.function) from failure.__cause__
    return FunctionCall(call.function, call.inputs, by_output, seconds)


def read_arguments(order: Order, wanted: Mapping[str, str]) -> dict[str, Any]:
    """Each argument's value, read as its annotation asks for it."""
    store = Store(order.root)
    values: dict[str, Any] = {}
    for name, argument in order.arguments.items():
        asks = wanted.get(name, "")
        if isinstance(argument, Value):
            values[name] = argument.value
        elif name in order.gathered and asks != formats.PATH:
            values[name] = _read_cells(order, store, name, argument)
        else:
            values[name] = _read_argument(order, store, name, argument, asks)
    return values


def _read_cells(
    order: Order, store: Store, name: str, artifact: Artifact
) -> list[dict[str, object]]:
    """Of the cells of a step a list, each with its items."""
    members = store.members(artifact.digest)
    rows = json.loads(store.read_small(members[CELLS]))
    folder: Path | None = None
    for row in rows:
        path = str(row["value"])
        if path in members:
            file = Artifact(members[path], 0, path)
            row["value"] = _read_argument(order, store, name, file, "")
        else:  # a folder of each cell
            folder = folder or order.place_input(store, name, artifact)
            row["value"] = folder / path
    return rows  # type: ignore[no-any-return]


def _read_argument(
    order: Order, store: Store, name: str, artifact: Artifact, wanted: str
) -> object:
    request = formats.argument_request(order, name, artifact.name, wanted)
    if own := request.own_format:
        try:
            return project_functions.read_own(order, own, order.place_input(store, name, artifact))
        except StepFailed as failure:
            raise failure.about(f"input `{name}`") from failure.__cause__
    is_bundle = artifact.files is not None and model_bundles.is_bundle(artifact.name)
    if is_bundle and not request.as_path:
        copy = order.place_input(store, name, artifact)
        return model_bundles.load_in_project(copy, artifact.name, order.trust, order.root)
    if artifact.files is not None or request.as_path:
        return order.place_input(store, name, artifact)
    try:
        for note in formats.reading_notes(store.path(artifact.digest), request):
            print(note)
        return formats.read_file(store.path(artifact.digest), request)
    except StepFailed as failure:
        raise failure.about(f"input `{name}`") from failure.__cause__


def store_outputs(order: Order, called: FunctionCall) -> Made:
    """Write what was returned, and put every output into the store.

    :raises StepFailed: where a value does not fit its format, or the function wrote nothing.
    """
    _refuse_open(order, called)
    store = Store(order.root)
    paths = {name: order.place_output(name) for name in order.outputs}
    values: dict[str, Json] = {}
    needs: dict[str, tuple[str, ...]] = {}
    for name, output in order.outputs.items():
        path = paths[name]
        try:
            writer = "function"
            if name in called.returned:
                writer = _write_output(order, called.returned[name], path, output)
            step_results.require_output(path, output, writer)
            if _output_format(order, output) is formats.FORMATS["json"]:
                returned = called.returned.get(name)
                is_ours = returned is not None and not isinstance(returned, Path | str | bytes)
                values |= step_results.read_value(name, path, is_ours=is_ours)
        except StepFailed as failure:
            raise place_failure(failure, order, called.function, name) from failure.__cause__
        if needed := skops_models.find_model_needs(path, output.format):
            needs[name] = needed
    outputs = step_results.store_files(order, store, paths)
    nameless = skops_models.find_nameless(needs)
    for line in skops_models.tell_needs(needs, nameless, order.trust):
        print(line)
    order.remove_bytes()
    noted = skops_models.write_facts(needs, nameless)
    return Made(outputs, values, {**noted, "function_seconds": called.seconds})


def _output_format(order: Order, output: Output) -> formats.Format | None:
    return formats.find_format(output.path, output.format, order.own_formats)


def _write_output(order: Order, value: object, path: Path, output: Output) -> str:
    """Write a value that was returned; who is to blame if nothing is there afterwards."""
    format = _output_format(order, output)
    if format and format.run and not isinstance(value, Path):  # a path is copied, as ever
        project_functions.write_own(order, format, value, path)
        return f"class {format.run}"
    step_results.write_result(value, path, output)
    return "function"


def _refuse_open(order: Order, called: FunctionCall) -> None:
    """:raises StepFailed: naming each file of an output that somebody still writes."""
    places = {
        name: called.returned.get(name, order.directory / "outputs" / output.path)
        for name, output in order.outputs.items()
    }
    written = {name: Path(place) for name, place in places.items() if isinstance(place, Path)}
    if not written:
        return
    from towpath.steps import watched_files

    faults = [
        Fault(f"output `{name}`: {_declared_name(Path(writer.path), place)} is still {writer.how}")
        for writer in watched_files.settle_open_files(written.values())
        for name, place in written.items()
        if Path(writer.path).is_relative_to(place.resolve())
    ]
    if faults:
        raise place_failure(StepFailed(*faults), order, called.function)


def _declared_name(file: Path, place: Path) -> str:
    """A file of an output by the name that its declaration gives it, or by one inside of that."""
    return (Path(place.name) / file.relative_to(place.resolve())).as_posix()


def place_failure(
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


def add_signatures(made: Made, called: FunctionCall) -> Made:
    """The same with what each model takes and gives that was returned."""
    signatures = fitted_signature.signatures_of_models(called.returned, called.arguments)
    return replace(made, facts={**made.facts, "signature": signatures}) if signatures else made
