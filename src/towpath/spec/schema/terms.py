"""The small words of a JSON Schema, so that a schema reads like what it describes."""

from __future__ import annotations

from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"


def a(kind: str, about: str | None = None, **more: Any) -> Schema:
    """A type, with what an editor shows of it."""
    return {**({"description": about} if about else {}), "type": kind, **more}


def ref(name: str, about: str | None = None) -> Schema:
    """A definition; draft 7 ignores what stands beside a ``$ref``, hence the ``allOf``."""
    plain = {"$ref": f"#/definitions/{name}"}
    return {"description": about, "allOf": [plain]} if about else plain


def one_of(*values: Any, about: str | None = None) -> Schema:
    """One of some values."""
    return {**({"description": about} if about else {}), "enum": list(values)}


def either(*schemas: Schema, about: str | None = None) -> Schema:
    """Any of some shapes."""
    return {**({"description": about} if about else {}), "anyOf": list(schemas)}


def listed(items: Schema, about: str | None = None, **more: Any) -> Schema:
    """A list."""
    return a("array", about, items=items, **more)


def named(values: Schema | None, about: str | None = None, **more: Any) -> Schema:
    """A mapping whose keys the user chooses; ``values`` is None where anything may stand."""
    bounds = {"propertyNames": ref("name")} if "propertyNames" not in more else {}
    allowed = {"additionalProperties": values} if values is not None else {}
    return a("object", about, **bounds, **allowed, **more)


def fields(properties: Schema, about: str | None = None, required: tuple[str, ...] = ()) -> Schema:
    """A mapping of known keys."""
    needs = {"required": list(required)} if required else {}
    return a("object", about, **needs, additionalProperties=False, properties=properties)
