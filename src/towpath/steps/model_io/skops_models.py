"""Models in and out of skops files, which run no code when they are read."""

from __future__ import annotations

import builtins
import io
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from towpath.config.artifact import Json
from towpath.errors import Fault, Refused, StepFailed, TowpathError
from towpath.steps import formats
from towpath.steps.model_io import allowed_types, skops_archive


def dump_model(model: object, path: Path) -> None:
    """Write a model, the same in the same bytes; ``StepFailed`` where skops cannot keep it."""
    from skops import io as skops_io

    try:
        content = skops_archive.normalise_archive(skops_io.dumps(model))
    except Exception as error:  # skops raises what the object's own code raises
        hint = f"{{path: {path.name}, format: joblib}} keeps any object, and runs code when read"
        what = f"skops cannot keep this {type(model).__name__}: {error}"
        raise StepFailed(what, hint=hint) from error
    skops_archive.read_held(io.BytesIO(content), path.name)
    path.write_bytes(content)


def load_trusted_model(path: Path, name: str, trust: Iterable[str] = ()) -> Any:
    """The model in a file called ``name``, if all that it holds is known or in ``trust``.
    ``Refused`` where it holds other types, or numbers that lead compiled code outside of its data;
    ``StepFailed`` where it is no skops file."""
    from skops import io as skops_io

    from towpath.steps.model_io import index_bounds  # it imports NumPy

    with path.open("rb") as file:  # once, so that what was looked at is what is loaded
        held = skops_archive.read_held(file, name)
        if strange := allowed_types.find_strange(held, trust):
            raise Refused(_refusal_fault(name, list(strange)))
        file.seek(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = skops_io.load(file, trusted=sorted({full for _, full in held}))
        except Exception as error:
            raise StepFailed(f"{name} cannot be read: {error}") from error
    if reason := index_bounds.find_unsafe_part(model):
        raise Refused(f"{name} is not safe to use: {reason}")
    return model


def find_untrusted(path: Path, name: str, trust: Iterable[str] = ()) -> tuple[str, ...]:
    """What :func:`load_trusted_model` would refuse a file for: full names. Nothing is loaded."""
    with path.open("rb") as file:
        return allowed_types.find_strange(skops_archive.read_held(file, name), trust)


def list_held(path: Path, name: str) -> frozenset[str]:
    """The full names of all that a file would have made. Nothing of it is loaded."""
    with path.open("rb") as file:
        return frozenset(full for _, full in skops_archive.read_held(file, name))


def count_held(path: Path, name: str, trust: Iterable[str] = ()) -> tuple[int, tuple[str, ...]]:
    """How many types and functions a file names, and which of them the project alone lets in."""
    with path.open("rb") as file:
        held = skops_archive.read_held(file, name)
    own = set(allowed_types.find_strange(held)).intersection(trust)
    return len({full for _, full in held}), tuple(sorted(own))


def is_nameable(name: str) -> bool:
    """Whether a name can lead anywhere: a lambda's cannot, nor a method's of a built-in type."""
    module, _, last = name.rpartition(".")
    if module == "builtins":
        return hasattr(builtins, last)
    return all(part.isidentifier() for part in name.split("."))


def explain_nameless(name: str) -> str:
    """Why what has no name cannot be loaded, and what to write in its place."""
    module = name.rpartition(".")[0]
    home = "a module of the project" if module in ("builtins", "__main__") else module
    return (
        f"it holds {name}, and a file keeps a function's name, never its code: write one with "
        f"`def` at the top of {home}, fit the model with it, and name it in `trust`"
    )


def _refusal_fault(name: str, strange: list[str]) -> Fault:
    listed = ", ".join(sorted(strange))
    what = f"{name} is not safe to load: it holds {listed}"
    if nameless := [full_name for full_name in strange if not is_nameable(full_name)]:
        return Fault(what, hint=explain_nameless(nameless[0]))
    if any(full_name.startswith("scipy.stats._") for full_name in strange):
        hint = "of a search over distributions keep `best_estimator_`: those run text of the file"
        return Fault(what, hint=hint)
    return Fault(
        what, hint=f"if you know where the file comes from, add to towpath.yaml: trust: [{listed}]"
    )


# What a model's file will need to be loaded, said at the end of the step that writes it.


def find_model_needs(path: Path, declared: str | None = None) -> tuple[str, ...]:
    """The names that `trust` must hold for a written output to be loaded, sorted. Of a folder those
    of all its .skops files; empty for what is no model of skops'."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    needed: set[str] = set()
    for file in files:
        format = formats.find_format(file.name, None if path.is_dir() else declared)
        if format is not None and format.name == "skops" and file.is_file():
            try:
                needed.update(find_untrusted(file, file.name))
            except TowpathError:  # whoever reads it is told, with its name
                continue
    return tuple(sorted(needed))


def tell_needs(
    needs: Mapping[str, Iterable[str]], nameless: Iterable[str], trust: Iterable[str]
) -> Iterator[str]:
    """What is not trusted yet, as it is to be written, and what no `trust` helps, a line each."""
    allowed = tuple(trust)
    missing = {name for names in needs.values() for name in names} - set(allowed)
    hopeless = missing.intersection(nameless)
    if untrusted := missing - hopeless:
        where = _name_holders(needs, untrusted)
        yield f"to be loaded, {where} will need in towpath.yaml: {trust_line(allowed, untrusted)}"
    for name in sorted(hopeless):
        yield (f"{_name_holders(needs, {name})} cannot be loaded: {explain_nameless(name)}")


def _name_holders(needs: Mapping[str, Iterable[str]], names: set[str]) -> str:
    return ", ".join(f"`{output}`" for output, held in needs.items() if names.intersection(held))


def trust_line(allowed: Iterable[str], missing: Iterable[str]) -> str:
    """The whole key as it is to stand in towpath.yaml."""
    return f"trust: [{', '.join([*allowed, *sorted(missing)])}]"


def find_nameless(needs: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Those names that lead nowhere, as imported modules tell: a lambda's, a method's."""
    names = {name for held in needs.values() for name in held}
    return tuple(sorted(name for name in names if not _leads_somewhere(name)))


def _leads_somewhere(name: str) -> bool:
    if not is_nameable(name):
        return False
    module, _, last = name.rpartition(".")
    source = sys.modules.get(module)
    return source is None or hasattr(source, last)


def write_facts(needs: Mapping[str, Iterable[str]], nameless: Iterable[str]) -> dict[str, Json]:
    """What a step's facts hold of it; nothing where no model needs anything."""
    if not needs:
        return {}
    return {
        "needs": {output: list(names) for output, names in needs.items()},
        "nameless": list(nameless),
    }


def read_facts(facts: Mapping[str, Json]) -> tuple[dict[str, list[str]], list[str]]:
    """What ``write_facts`` wrote, and nothing for facts that are none of its."""
    needs, nameless = facts.get("needs"), facts.get("nameless")
    held = needs if isinstance(needs, dict) else {}
    return (
        {output: [str(name) for name in names]
         for output, names in held.items() if isinstance(names, list)},
        [str(name) for name in nameless] if isinstance(nameless, list) else [],
    )  # fmt: skip
