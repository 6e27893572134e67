"""What a model's file will need to be loaded, said at the end of the step that writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from towpath.config.artifact import Json
from towpath.errors import TowpathError
from towpath.steps import formats
from towpath.steps.model_io import skops_models


def find_model_needs(path: Path, declared: str | None = None) -> tuple[str, ...]:
    """The names that `trust` must hold for a written output to be loaded, sorted.

    Of a folder those of all its .skops files; empty for what is no model of skops'.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    needed: set[str] = set()
    for file in files:
        format = formats.find_format(file.name, None if path.is_dir() else declared)
        if format is not None and format.name == "skops" and file.is_file():
            try:
                needed.update(skops_models.find_untrusted(file, file.name))
            except TowpathError:  # whoever reads it is told, with its name
                continue
    return tuple(sorted(needed))


def tell_needs(
    needs: Mapping[str, Iterable[str]], nameless: Iterable[str], trust: Iterable[str]
) -> Iterator[str]:
    """What is not trusted yet, as it is to be written, and what no `trust` helps, a line each; none
    where `trust` suffices."""
    allowed = tuple(trust)
    missing = {name for names in needs.values() for name in names} - set(allowed)
    hopeless = missing.intersection(nameless)
    if untrusted := missing - hopeless:
        where = _name_holders(needs, untrusted)
        yield f"to be loaded, {where} will need in towpath.yaml: {trust_line(allowed, untrusted)}"
    for name in sorted(hopeless):
        yield (
            f"{_name_holders(needs, {name})} cannot be loaded: "
            f"{skops_models.explain_nameless(name)}"
        )


def _name_holders(needs: Mapping[str, Iterable[str]], names: set[str]) -> str:
    return ", ".join(f"`{output}`" for output, held in needs.items() if names.intersection(held))


def trust_line(allowed: Iterable[str], missing: Iterable[str]) -> str:
    """The whole key as it is to stand in towpath.yaml."""
    return f"trust: [{', '.join([*allowed, *sorted(missing)])}]"


def find_nameless(needs: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Those names that lead nowhere, as the modules tell that are imported here: a lambda's, a
    method's, that of a function within a function."""
    names = {name for held in needs.values() for name in held}
    return tuple(sorted(name for name in names if not _leads_somewhere(name)))


def _leads_somewhere(name: str) -> bool:
    if not skops_models.is_nameable(name):
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
