"""Puts a model together: its parts, code, pins, samples and card in one folder, tried by itself."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from towpath.backends.dvc import Store
from towpath.config import model_parts
from towpath.config.artifact import Artifact, Json, Made
from towpath.config.source_folders import module_folders
from towpath.dependencies import CodeReader
from towpath.dependencies.command_program import Module
from towpath.dependencies.project_code import read_code
from towpath.errors import StepFailed
from towpath.steps import formats, project_functions, step_results
from towpath.steps.formats import jsons
from towpath.steps.model_io import (
    bundle_runtime,
    fitted_signature,
    model_bundles,
    model_card,
    skops_models,
)
from towpath.steps.model_io.model_bundles import (
    BundleDescription,
    BundlePart,
    NamedFunction,
)
from towpath.steps.work_order import Order, Value

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import CreateModel
    from towpath.steps.model_io.bundle_runtime import BundledModel

_OUTPUT = "model"
_PREDICT = "`predict: module:function` takes values and files of any kind"
_PACKAGES = ("numpy", "pandas")


def execute(order: Order) -> Made:
    """Make the folder, load it as whoever deploys it will, and keep what it predicts.

    Raises:
        StepFailed: where the links of a chain do not fit, a function is not there or raises, or
            code is needed that the folder does not hold.
        Refused: where a part holds what `trust` does not name.
    """
    store = Store(order.root)
    folder = order.place_output(_OUTPUT)
    frame = _read_samples(order, store)
    draft = _lay_out_parts(order, store, folder)
    needs = model_bundles.find_bundle_needs(folder, draft)
    code = _lay_out_code(order, folder, needs)
    pins = _write_pins(order, folder, draft, code)
    columns = _find_columns(order, folder, draft, frame)
    description = _sign(draft, columns, frame, [])
    _write_json(folder / bundle_runtime.DESCRIPTION, description.to_json())
    model = _load_alone(order, folder, needs)
    rows = frame[columns].head(_declared_step(order).rows)
    predicted = _predict_twice(model, rows)
    outputs = fitted_signature.prediction_columns(predicted)
    description = _sign(draft, columns, frame, outputs, model)
    _write_json(folder / bundle_runtime.DESCRIPTION, description.to_json())
    samples = _sample_list(rows, predicted)
    _write_json(folder / model_bundles.SAMPLES, samples)
    card = model_card.render_card(
        description, pins, samples, _read_metrics(order), _card_text(order)
    )
    (folder / model_bundles.CARD).write_text(card, encoding="utf-8")
    print(f"{len(code)} files of code, {len(pins)} packages, {len(rows)} samples")
    for line in skops_models.tell_needs({_OUTPUT: needs}, (), order.trust):
        print(line)
    artifacts = step_results.store_files(order, store, {_OUTPUT: folder})
    order.remove_bytes()
    noted = skops_models.write_facts({_OUTPUT: needs} if needs else {}, ())
    return Made(artifacts, facts={"signature": {_OUTPUT: dict(description.signature)}, **noted})


def _declared_step(order: Order) -> CreateModel:
    return order.step  # type: ignore[return-value] # only this kind comes here


def _read_samples(order: Order, store: Store) -> Any:
    samples = order.arguments[model_parts.SAMPLES]
    name = samples.name if isinstance(samples, Artifact) else "a value"
    request = formats.argument_request(order, model_parts.SAMPLES, name)
    if not isinstance(samples, Artifact) or not (request.format and request.format.is_table):
        raise StepFailed(f"the samples are {name}, which is no table", hint=formats.TABLES)
    frame: Any = formats.read_file(store.path(samples.digest), request)
    if not len(frame):
        raise StepFailed(f"the samples ({name}) have no rows")
    frame.columns = [str(column) for column in frame.columns]
    return frame.reset_index(drop=True)


def _lay_out_parts(order: Order, store: Store, folder: Path) -> BundleDescription:
    step = _declared_step(order)
    names = model_parts.part_names(order.arguments)
    parts: dict[str, BundlePart] = {}
    values: dict[str, Json] = {}
    for name in names:
        argument = order.arguments[name]
        if isinstance(argument, Value):
            if name in model_parts.chain_links(step, names):
                what = f"`{name}` is a value, and rows go through models and functions"
                raise StepFailed(what, hint=_PREDICT)
            values[name] = argument.value
            continue
        if model_bundles.is_bundle(argument.name):
            raise StepFailed(f"`{name}` is put together already: it can be registered")
        path = f"{model_bundles.PARTS}/{name}{''.join(Path(argument.name).suffixes)}"
        (folder / path).parent.mkdir(exist_ok=True)
        store.copy_to(argument.digest, folder / path)
        types: tuple[str, ...] = ()
        if path.endswith(".skops"):
            types = tuple(sorted(skops_models.list_held(folder / path, argument.name)))
        parts[name] = BundlePart(path, types)
    takes = () if step.load else names
    paths = (order.folder, *(_below(order, place) for place in module_folders(order.root)))
    return BundleDescription(
        parts,
        tuple(
            link if link in names else _name_function(order, link)
            for link in model_parts.chain_links(step, names)
        ),
        _name_function(order, step.predict, takes) if step.predict else None,
        _name_function(order, step.load) if step.load else None,
        values,
        tuple(dict.fromkeys(paths)),
        {},
        ".".join(platform.python_version_tuple()[:2]),
    )


def _name_function(order: Order, run: str, takes: tuple[str, ...] = ()) -> NamedFunction:
    location = project_functions.locate_function(order.root, order.folder, run)
    return NamedFunction(location.module, location.function, takes)


def _below(order: Order, place: Path) -> str:
    below = place.relative_to(order.root).as_posix()
    return "" if below == "." else below


def _lay_out_code(order: Order, folder: Path, needs: tuple[str, ...]) -> tuple[str, ...]:
    """The files of code, from the root; none where nothing that is loaded is the project's."""
    files_by_module = dict(_own_modules(order))
    homes = {name.rpartition(".")[0] for name in needs}
    own = [files_by_module[home] for home in sorted(homes.intersection(files_by_module))]
    if not own:
        return ()
    reader = CodeReader(order.root)
    named = reader.file_names(order.folder, _declared_step(order).code)
    sources = reader.named_sources([Module(file, order.folder) for file in own])
    files = tuple(sorted({*named, *sources}))
    for file in files:
        target = folder / bundle_runtime.CODE / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(read_code(order.root / file, file))
    return files


def _own_modules(order: Order) -> Iterator[tuple[str, str]]:
    """The files of code by the names that they have as modules, from each place that imports look
    in."""
    starts = ["", f"{order.folder}/", *(f"{_below(order, p)}/" for p in module_folders(order.root))]
    for file in order.code:
        for start in starts:
            if file.endswith(".py") and file.startswith(start):
                name = file.removeprefix(start).removesuffix(".py").removesuffix("/__init__")
                yield name.replace("/", "."), file


def _write_pins(
    order: Order, folder: Path, draft: BundleDescription, code: tuple[str, ...]
) -> dict[str, str]:
    """The packages, by version, that the parts and the code need, written as requirements."""
    reader = CodeReader(order.root)
    homes = {held.partition(".")[0] for part in draft.parts.values() for held in part.types}
    skops = ("skops",) if any(part.types for part in draft.parts.values()) else ()
    versions = reader.versions_of_modules((*_PACKAGES, *skops, *sorted(homes)))
    modules = [Module(file, order.folder) for file in code if file.endswith(".py")]
    versions |= reader.module_packages(modules)
    # Of a package without a version, one at work in a folder, there is a digest.
    pins = {name: version for name, version in versions.items() if version[:1].isdigit()}
    for name in sorted(versions.keys() - pins.keys()):
        print(f"{name} has no version, and is not among the requirements")
    lines = [f"{name}=={version}" for name, version in sorted(pins.items())]
    text = "\n".join([f"# Python {draft.python}", *lines]) + "\n"
    (folder / model_bundles.REQUIREMENTS).write_text(text, encoding="utf-8")
    return pins


def _find_columns(order: Order, folder: Path, draft: BundleDescription, frame: Any) -> list[str]:
    """The columns that rows must have: declared, those of the first link of the chain where that is
    a part, or all of the samples."""
    declared = list(_declared_step(order).columns)
    if not declared and draft.chain and isinstance(draft.chain[0], str):
        path = folder / draft.parts[draft.chain[0]].path
        first = skops_models.load_trusted_model(path, path.name, order.trust)
        declared = fitted_signature.feature_names(first)
    missing = [name for name in declared if name not in frame.columns]
    if missing:
        what = f"the model takes `{missing[0]}`, which the samples do not have"
        raise StepFailed(what, hint=f"they have {', '.join(frame.columns[:9])}")
    return declared or list(frame.columns)


def _sign(
    draft: BundleDescription,
    columns: list[str],
    frame: Any,
    outputs: list[Json],
    model: BundledModel | None = None,
) -> BundleDescription:
    inputs = fitted_signature.column_types(columns, frame)
    signature: dict[str, Json] = {"model": "towpath.bundle", "inputs": inputs, "outputs": outputs}
    if model is not None and hasattr(model, "classes_"):
        signature["classes"] = jsons.plain_json(list(model.classes_))
    return replace(draft, signature=signature)


def _load_alone(order: Order, folder: Path, needs: tuple[str, ...]) -> BundledModel:
    # What it runs is the project's own code of now, which this step may run; of parts that came
    # from elsewhere `trust` says what they may hold.
    model_bundles.forget_project(order.root)
    own = dict(_own_modules(order))
    runs = model_parts.list_model_functions(_declared_step(order), order.arguments)
    functions = {_name_function(order, run).full_name for run in runs}
    mine = [name for name in needs if name in functions and name.rpartition(".")[0] in own]
    return model_bundles.load_alone(folder, folder.name, (*order.trust, *mine))


def _predict_twice(model: BundledModel, rows: Any) -> Any:
    try:
        first, second = model.predict(rows), model.predict(rows)
    except ValueError as error:
        raise StepFailed(f"the model does not take its samples: {error}") from error
    if jsons.plain_json(first.tolist()) != jsons.plain_json(second.tolist()):
        print("it predicts something else each time: no sample can be held against another day's")
    return first


def _sample_list(rows: Any, predicted: Any) -> list[Json]:
    """As the gate `golden` reads samples."""
    import pandas

    texts = rows.copy()
    for name in rows.select_dtypes(["datetime", "datetimetz"]).columns:
        texts[name] = [None if value is pandas.NaT else value.isoformat() for value in rows[name]]
    plain = texts.astype(object).where(rows.notna(), None).to_dict("records")
    inputs = [{name: jsons.plain_json(value) for name, value in row.items()} for row in plain]
    expected = jsons.plain_json(predicted.tolist())
    assert isinstance(expected, list)
    return [{"inputs": row, "expected": value} for row, value in zip(inputs, expected, strict=True)]


def _read_metrics(order: Order) -> Mapping[str, Json]:
    metrics = order.arguments.get(model_parts.METRICS)
    value: Json = None
    if isinstance(metrics, Value):
        value = metrics.value
    elif metrics is not None:
        content = Store(order.root).path(metrics.digest).read_bytes()
        value = jsons.parse_document(content, metrics.name)
    return value if isinstance(value, dict) else {}


def _card_text(order: Order) -> str:
    step = _declared_step(order)
    file = order.root / order.find_file(step.card) if step.card else None
    written = file.read_text(encoding="utf-8") if file else ""
    return "\n\n".join(filter(None, [step.description, written.strip()]))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
