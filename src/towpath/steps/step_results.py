"""What a function returned, sorted by output and written; what a step wrote, read back."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from towpath.config.artifact import Artifact, Json
from towpath.config.table_options import TableOptions
from towpath.errors import Fault, StepFailed, did_you_mean
from towpath.steps import formats, step_secrets
from towpath.steps.formats import jsons

if TYPE_CHECKING:
    from towpath.backends.dvc import Store
    from towpath.config.file_declaration import Output
    from towpath.steps.work_order import Order


def sort_by_output(answer: object, expected: Sequence[str]) -> Mapping[str, Any]:
    """What was returned for each expected output: of one, the value is it; of several, by name.

    :raises StepFailed: naming all that is missing and all that no output takes.
    """
    if not expected:
        if answer is not None:
            print(f"the {type(answer).__name__} it returned is left: no output takes it")
        return {}
    if answer is None:
        hint = f"return it, or take an argument `{expected[0]}: Path` and write the file yourself"
        what = f"the function returned nothing, expected {_list_names(expected)}"
        raise StepFailed(what, hint=hint)
    if len(expected) == 1:
        return {expected[0]: answer}
    return _match_outputs(_name_results(answer, expected), expected)


def _name_results(answer: Any, expected: Sequence[str]) -> Mapping[str, Any]:
    if isinstance(answer, Mapping):
        return answer
    if hasattr(answer, "_asdict"):
        return answer._asdict()  # type: ignore[no-any-return]
    kind = "tuple" if isinstance(answer, tuple) else type(answer).__name__
    shape = ", ".join(f'"{name}": ...' for name in expected)
    raise StepFailed(
        f"the function returned a {kind}, expected {_list_names(expected)} by name",
        hint=f"return {{{shape}}}",
    )


def _match_outputs(named: Mapping[str, Any], expected: Sequence[str]) -> Mapping[str, Any]:
    missing = [name for name in expected if named.get(name) is None]
    extra = [str(name) for name in named if name not in expected]
    faults = [_missing_fault(name, named) for name in missing]
    faults += [
        Fault(f"the function returned `{name}`, no output", hint=did_you_mean(name, missing))
        for name in extra
    ]
    if faults:
        raise StepFailed(*faults)
    return {name: named[name] for name in expected}


def _missing_fault(name: str, named: Mapping[str, Any]) -> Fault:
    if name in named:
        return Fault(f"the function returned None for `{name}`")
    return Fault(
        f"the function did not return `{name}`",
        hint=f"it returned {_list_names([str(n) for n in named])}",
    )


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "no names"


def write_result(value: Any, path: Path, output: Output) -> None:
    """Write a returned value: a path is copied, a folder takes a file for each name in a dict."""
    if isinstance(value, Path):
        _copy_result(value, path)
    elif formats.is_folder_output(output.path):
        _write_folder(value, path)
    else:
        formats.write_file(value, path, output.format, TableOptions.from_declaration(output))


def _copy_result(source: Path, path: Path) -> None:
    if not source.exists():
        raise StepFailed(f"the function returned the path {source}, which is not there")
    if source.resolve() == path.resolve():
        return
    try:
        if source.is_dir():
            shutil.copytree(source, path, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, path)
    except (OSError, shutil.Error) as error:
        raise StepFailed(f"{source} cannot be copied: {error}") from error


def _write_folder(value: Any, path: Path) -> None:
    if not isinstance(value, Mapping):
        raise StepFailed(
            f"a {type(value).__name__} is no folder",
            hint='return a path, or {"name.csv": ..., ...}',
        )
    for name, content in value.items():
        file = path / str(name)
        if not file.resolve().is_relative_to(path.resolve()):
            raise StepFailed(f"`{name}` lies outside of the folder")
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            formats.write_file(content, file)
        except StepFailed as failure:
            raise failure.about(str(name)) from failure.__cause__


def require_output(
    path: Path, output: Output, writer: str = "function", place: str | None = None
) -> None:
    """:raises StepFailed: where nothing was written, or a file instead of a folder. ``place`` is
    where the writer has it, if that is not the output's own path."""
    shown = place or output.path
    if formats.is_folder_output(output.path):
        if not path.is_dir() or not any(inner_path.is_file() for inner_path in path.rglob("*")):
            raise StepFailed(f"the folder {shown} is empty: the {writer} wrote nothing into it")
    elif path.is_dir():
        raise StepFailed(f"{shown} is a folder", hint=f"declare it as {output.path}/")
    elif not path.is_file():
        raise StepFailed(f"the {writer} wrote nothing at {shown}")


def take_outputs(
    order: Order, store: Store, paths: Mapping[str, Path], writer: str, places: Mapping[str, str]
) -> tuple[dict[str, Artifact], dict[str, Json]]:
    """What a program wrote, stored, and the content of JSON documents that are small enough to be
    handed on. ``places`` are where the program has files, if that is not an output's own path.

    :raises StepFailed: naming the output, where it is not there, or a .json that is none.
    """
    values: dict[str, Json] = {}
    for name, path in paths.items():
        output = order.outputs[name]
        try:
            require_output(path, output, writer, places.get(name))
            if formats.find_format(output.path, output.format) is formats.FORMATS["json"]:
                values |= read_value(name, path)
        except StepFailed as failure:
            raise failure.about(f"output `{name}`") from None
    outputs = {
        name: replace(artifact, name=PurePosixPath(order.outputs[name].path).name)
        for name, artifact in store_files(order, store, paths).items()
    }
    return outputs, values


def store_files(order: Order, store: Store, files: Mapping[str, Path]) -> dict[str, Artifact]:
    """Outputs in the store, by name.

    :raises StepFailed: naming each that holds a secret of the step; then none is stored.
    """
    step_secrets.refuse_secrets_in_files(order, files)
    return {name: store.put(path) for name, path in files.items()}


def read_value(name: str, path: Path, *, is_ours: bool = False) -> dict[str, Json]:
    """The content of a JSON output by its name, if it is small enough to be handed on. A large one
    is read all the same, for it may be none, unless Towpath wrote it (``is_ours``).

    :raises StepFailed: where it is none.
    """
    is_small = path.stat().st_size <= jsons.SMALL
    if is_ours and not is_small:
        return {}
    value: Json = jsons.parse_document(path.read_bytes(), path.name)
    if not is_small:
        return {}
    if not jsons.is_finite_document(value):
        print(f"{path.name}: a number in it is NaN or infinite")
    return {name: value}
