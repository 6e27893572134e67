"""Model files made up by hand: whatever a stranger may write into one."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy

PROTOCOL = {"protocol": 2, "_skops_version": "0.16.0"}


def node(loader: str, kind: str, **rest: Any) -> dict[str, Any]:
    """An object of a full name, as skops writes it."""
    module, _, name = kind.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": name, **rest}


def plain(value: Any) -> dict[str, Any]:
    """A number, a text, or None."""
    return node("JsonNode", "builtins.str", content=json.dumps(value), is_json=True)


def listed(*parts: Any) -> dict[str, Any]:
    return node("ListNode", "builtins.list", content=list(parts))


def grouped(*parts: Any) -> dict[str, Any]:
    return node("TupleNode", "builtins.tuple", content=list(parts))


def mapped(parts: Mapping[str, Any], kind: str = "builtins.dict") -> dict[str, Any]:
    keys = listed(*(node("TypeNode", "builtins.str") for _ in parts))
    return node("DictNode", kind, content=dict(parts), key_types=keys)


def stated(kind: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """An object filled in from a state."""
    return node("ObjectNode", kind, content=mapped(state))


def array(values: Any, members: dict[str, bytes]) -> dict[str, Any]:
    """An array, whose bytes go among the members."""
    made = io.BytesIO()
    numpy.save(made, numpy.asarray(values), allow_pickle=False)
    name = f"{len(members) + 1}.npy"
    members[name] = made.getvalue()
    return node("NdArrayNode", "numpy.ndarray", type="numpy", file=name)


def write(
    path: Path, schema: Mapping[str, Any], members: Mapping[str, bytes] | None = None
) -> Path:
    """The file."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members or {}).items():
            archive.writestr(name, content)
        archive.writestr("schema.json", json.dumps({**schema, **PROTOCOL}))
    return path
