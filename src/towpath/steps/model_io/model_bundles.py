"""Bundled models: a folder with parts, code, pins and samples, looked at before any of it runs."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from towpath.config import foreign_values as foreign
from towpath.config.artifact import Json
from towpath.config.foreign_paths import ProjectPath
from towpath.config.foreign_values import Fields
from towpath.errors import Malformed, Refused, StepFailed, TowpathError
from towpath.plain_data import list_fields
from towpath.steps.model_io import bundle_runtime, own_classes, skops_models
from towpath.steps.model_io.bundle_runtime import CODE, DESCRIPTION, BundledModel

SUFFIX = ".bundle"
SCHEMA = 1
PARTS, SAMPLES, REQUIREMENTS, CARD = "parts", "samples.json", "requirements.txt", "README.md"


class NamedFunction(Struct, frozen=True):
    """A function of the bundle's code, by its module; ``takes`` are the parts that it is given."""

    module: str
    function: str
    takes: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.module}.{self.function}"


class BundlePart(Struct, frozen=True):
    """A file or folder of a bundle, by its path in it; of a .skops the types that it names."""

    path: str
    types: tuple[str, ...] = ()


class BundleDescription(Struct, frozen=True):
    """What `bundle.json` says: how rows become predictions, and of what.

    ``paths`` are the folders in ``code`` that modules are looked for in, in order; ``values`` are
    parts that are no files. ``chain`` names parts and functions.
    """

    parts: Mapping[str, BundlePart]
    chain: tuple[str | NamedFunction, ...] = ()
    predict: NamedFunction | None = None
    load: NamedFunction | None = None
    values: Mapping[str, Json] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    signature: Mapping[str, Json] = field(default_factory=dict)
    python: str = ""

    @property
    def functions(self) -> tuple[NamedFunction, ...]:
        """The functions that it calls, in the order of their names."""
        links = (link for link in self.chain if isinstance(link, NamedFunction))
        named = [function for function in (*links, self.predict, self.load) if function]
        return tuple(sorted(named, key=lambda function: function.full_name))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it takes, in their order."""
        inputs: Any = self.signature["inputs"]
        return tuple(column["name"] for column in inputs)

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **list_fields(self)}


def is_bundle(name: str) -> bool:
    """Whether an artifact of this name is a bundled model."""
    return name.endswith(SUFFIX)


def read_description(folder: Path, name: str) -> BundleDescription:
    """What a folder called ``name`` says of itself. ``StepFailed`` where it is no bundle."""
    try:
        fields = Fields(foreign.parse_json((folder / DESCRIPTION).read_bytes()))
        schema = fields.get("schema", foreign.read_count)
        if schema != SCHEMA:
            raise Malformed(f"its schema is {schema}, and {SCHEMA} is known here")
        description = BundleDescription(
            parts=fields.get_table("parts", _read_part),
            chain=fields.get("chain", foreign.list_of(_read_link)),
            predict=fields.find_optional("predict", _read_function),
            load=fields.find_optional("load", _read_function),
            values=fields.get_table("values", foreign.read_json),
            paths=fields.get("paths", foreign.list_of(_read_path)),
            signature=fields.get_table("signature", foreign.read_json),
            python=fields.get("python", foreign.read_text),
        )
        _require_sound(folder, description)
    except OSError as error:
        raise StepFailed(f"{name} is no bundled model: {error.strerror}") from error
    except Malformed as wrong:
        raise StepFailed(f"{name} is no bundled model: {wrong.faults[0].what}") from None
    return description


def _read_part(value: object) -> BundlePart:
    fields = Fields(value)
    fields.refuse_others("path", "types")
    path = ProjectPath(fields.get("path", foreign.read_text))
    if not path.startswith(f"{PARTS}/"):
        raise Malformed(f"a part lies in {PARTS}/, not at {path}")
    return BundlePart(path, fields.get("types", foreign.list_of(foreign.read_text)))


def _read_link(value: object) -> str | NamedFunction:
    return value if isinstance(value, str) else _read_function(value)


def _read_function(value: object) -> NamedFunction:
    fields = Fields(value)
    fields.refuse_others("module", "function", "takes")
    module, function = (fields.get(key, foreign.read_text) for key in ("module", "function"))
    if not all(part.isidentifier() for part in (*module.split("."), function)):
        raise Malformed("a function has no name of Python's")
    return NamedFunction(module, function, fields.get("takes", foreign.list_of(foreign.read_text)))


def _read_path(value: object) -> str:
    text = foreign.read_text(value)
    return str(ProjectPath(text)) if text else ""


def _require_sound(folder: Path, description: BundleDescription) -> None:
    """Raise ``Malformed`` for links, for parts that are not there, and names that none has."""
    if linked := next((path for path in folder.rglob("*") if path.is_symlink()), None):
        raise Malformed(f"{linked.name} in it is a link")
    for part in description.parts.values():
        if not (folder / part.path).exists():
            raise Malformed(f"it has no {part.path}")
    named = {*description.parts, *description.values}
    links = {link for link in description.chain if isinstance(link, str)}
    takes = set(description.predict.takes) if description.predict else set()
    if strange := sorted((links | takes) - named):
        raise Malformed(f"it has no part `{strange[0]}`")
    if not description.predict and not links:
        raise Malformed("it says nothing of how it predicts")
    if not _names_columns(description.signature.get("inputs")):
        raise Malformed("its signature names no columns")


def _names_columns(inputs: object) -> bool:
    return isinstance(inputs, list) and all(
        isinstance(column, dict) and isinstance(column.get("name"), str) for column in inputs
    )


def find_bundle_needs(
    folder: Path, description: BundleDescription, trust: Iterable[str] = ()
) -> tuple[str, ...]:
    """The names that `trust` must hold for the model to be loaded, besides those in ``trust``."""
    names = {function.full_name for function in description.functions}
    for part in description.parts.values():
        path = folder / part.path
        if path.suffix == ".skops":
            names.update(skops_models.find_untrusted(path, path.name))
    return tuple(sorted(names.difference(trust)))


def find_opened_parts(folder: Path, description: BundleDescription) -> Iterator[str]:
    """The files of parts that only the bundle's own functions open, such as pickles."""
    for part in description.parts.values():
        path = folder / part.path
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in (file for file in files if file.is_file()):
            if path.is_dir() or file.suffix not in bundle_runtime.READABLE:
                yield file.relative_to(folder).as_posix()


def read_samples(folder: Path, signature: Mapping[str, Any]) -> tuple[Any, list[Json]]:
    """The rows that are kept with a model, as a table, and what it predicted for each."""
    import pandas

    listed = foreign.parse_json((folder / SAMPLES).read_bytes())
    samples = [Fields(sample) for sample in foreign.list_of(foreign.read_json)(listed)]
    rows = [sample.get_table("inputs", foreign.read_json) for sample in samples]
    table = pandas.DataFrame(rows)
    for column in signature["inputs"]:
        name, kind = column["name"], column["type"]
        if kind == "datetime":
            table[name] = pandas.to_datetime(table[name], format="ISO8601")
        elif kind in _PLAIN_TYPES:
            table[name] = table[name].astype(_PLAIN_TYPES[kind])
    return table, [sample.get("expected", foreign.read_json) for sample in samples]


_PLAIN_TYPES = {"number": "float64", "category": "category"}
_ROUNDED = 1e-6  # relative; what is nearer differs by the machine, not by the model


def explain_other_predictions(folder: Path, model: BundledModel) -> str:
    """How a model predicts otherwise for its samples than it did; empty where it does not."""
    from towpath.steps.formats.jsons import plain_json

    table, expected = read_samples(folder, model.signature)
    predictions: Any = plain_json(model.predict(table).tolist())
    for number, (value, before) in enumerate(zip(predictions, expected, strict=True), 1):
        if not _is_near(value, before):
            return f"for its sample {number} it predicts {value}, and {before} when it was made"
    return ""


def _is_near(value: Any, before: Any) -> bool:
    if isinstance(value, list) and isinstance(before, list):
        return len(value) == len(before) and all(map(_is_near, value, before))
    numbers = isinstance(value, int | float) and isinstance(before, int | float)
    if numbers and not isinstance(value, bool):
        return math.isclose(value, before, rel_tol=_ROUNDED, abs_tol=_ROUNDED)
    return bool(value == before)


def load_in_project(folder: Path, name: str, trust: Iterable[str], root: Path) -> BundledModel:
    """The model for a step of the project at ``root``, whose code stands beside the bundle's.

    Raises:
        Refused: where it runs or holds what `trust` does not name.
        StepFailed: where a module of the project is another than the bundle's.
    """
    _refuse_shadowing(folder, refuse_untrusted(folder, name, trust), name)
    for file in list_code(folder):
        own = root / file
        if own.is_file() and _read_text(own) != _read_text(folder / CODE / file):
            hint = "a `batch_transform` has a process without code of the project"
            what = f"{name} brings its own {file}, which is another than the project's"
            raise StepFailed(what, hint=hint)
    return _load_checked(folder, name, trust)


def load_alone(folder: Path, name: str, trust: Iterable[str]) -> BundledModel:
    """The model in a process that has imported nothing of the project."""
    _refuse_shadowing(folder, refuse_untrusted(folder, name, trust), name)
    return _load_checked(folder, name, trust)


def _refuse_shadowing(folder: Path, description: BundleDescription, name: str) -> None:
    for module in sorted(_top_modules(folder, description)):
        if module in sys.stdlib_module_names or _is_installed_module(module):
            hint = "rename the module, and make the model again"
            what = f"{name} brings a module `{module}`, as a package is called that is installed"
            raise Refused(what, hint=hint)


def _is_installed_module(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    # One that is installed from a work tree is the project's own.
    folders = ("site-packages", "dist-packages")  # Debian's are called so
    return any(folder in (place or "") for place in places for folder in folders)


def _top_modules(folder: Path, description: BundleDescription) -> Iterator[str]:
    """The names that imports would find in a bundle's code before any package."""
    for below in description.paths:
        place = folder / CODE / below if below else folder / CODE
        for path in place.iterdir() if place.is_dir() else ():
            holds_code = path.is_dir() and any(path.rglob("*.py"))
            if path.suffix == ".py" or holds_code:
                yield path.stem if path.is_file() else path.name


def load_version(path: Path, name: str, trust: Iterable[str], own: Mapping[str, Any]) -> Any:
    """The model of a version: a .skops file or a bundle; ``own`` is ``OwnCode.to_json``'s.

    Raises:
        Refused: where it holds or runs what is neither known nor trusted, code that may not run
            here, or that is not as the version's commit has it.
        StepFailed: where a package is missing, or the code cannot be imported.
    """
    if not is_bundle(name):
        return own_classes.load_model(path, name, trust, own)
    allowed = tuple(trust)
    description = refuse_untrusted(path, name, allowed)
    needed = find_bundle_needs(path, description)
    functions = [function.full_name for function in description.functions]
    own_classes.check_own_names(needed, functions, own)
    if not own["root"] and list_code(path):
        what = f"{name} of {own['version']} brings code, and names nothing of it"
        raise Refused(what, hint="make the version again from what is committed")
    if own["root"]:
        _refuse_altered(path, name, Path(own["root"]), own["version"])
        code = path / CODE
        places = tuple(code / below if below else code for below in description.paths)
        own_classes.refuse_mixed(places, own["version"])
    try:
        return _load_checked(path, name, allowed)
    except StepFailed as failure:
        words = "; ".join(own_classes.compare_recorded(path, name, own))
        raise failure.about(f"{own['version']} ({words})" if words else own["version"]) from failure


def has_own_code(path: Path, name: str) -> bool:
    """Whether loading a bundle runs code that it brings."""
    return bool(read_description(path, name).functions or list_code(path))


def list_code(folder: Path) -> tuple[str, ...]:
    """The files of a bundle's code, from the project's root."""
    code = folder / CODE
    files = (path for path in sorted(code.rglob("*")) if path.is_file())
    return tuple(path.relative_to(code).as_posix() for path in files)


def refuse_untrusted(folder: Path, name: str, trust: Iterable[str]) -> BundleDescription:
    """What a bundle says of itself; ``Refused`` where it needs what ``trust`` does not name."""
    description, allowed = read_description(folder, name), tuple(trust)
    # Its code is found before any package: what nothing in it names could only be run unasked.
    if list_code(folder) and not find_bundle_needs(folder, description):
        hint = "make the model again: one that needs no code brings none"
        raise Refused(f"{name} brings code, and names nothing of it", hint=hint)
    if missing := find_bundle_needs(folder, description, allowed):
        what = f"{name} is not safe to load: it runs or holds {', '.join(missing)}"
        line = skops_models.trust_line(allowed, missing)
        raise Refused(what, hint=f"if you trust it, write in towpath.yaml: {line}")
    return description


def _refuse_altered(folder: Path, name: str, root: Path, version: str) -> None:
    for file in list_code(folder):
        committed = root / file
        is_same = committed.is_file() and _read_text(committed) == _read_text(folder / CODE / file)
        if not is_same:
            what = f"{name} of {version} brings {CODE}/{file}, which is not that of its commit"
            raise Refused(what, hint="make the version again from what is committed")


def _read_text(path: Path) -> bytes:
    # However Git laid a file out, it is the same code.
    return path.read_bytes().replace(b"\r\n", b"\n")


def _load_checked(folder: Path, name: str, trust: Iterable[str]) -> BundledModel:
    allowed = tuple(trust)

    def read_part(path: Path, types: Any) -> Any:
        if path.suffix == ".skops":
            return skops_models.load_trusted_model(path, path.name, allowed)
        return bundle_runtime.read_plain_part(path, types)

    # The classes of its parts are found in its code, before skops looks for them.
    try:
        return bundle_runtime.load_bundle(folder, read_part)
    except TowpathError:
        raise
    except ModuleNotFoundError as error:
        what = f"{name} cannot be loaded: {error}"
        hint = f"its packages are in its {REQUIREMENTS}; of the project it has {CODE}/ alone"
        raise StepFailed(what, hint=hint) from error
    except Exception as error:  # its own code may raise anything when it is imported
        words = str(error).strip().partition("\n")[0]
        raise StepFailed(f"{name} cannot be loaded: {type(error).__name__}: {words}") from error


def forget_project(root: Path) -> None:
    """From now on this process imports nothing that stands in the project itself."""
    inside = str(root)
    sys.path[:] = [
        entry for entry in sys.path
        if entry and (not f"{entry}/".startswith(f"{inside}/") or "site-packages" in entry)
    ]  # fmt: skip
