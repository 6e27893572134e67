"""docs/project.md names every key of towpath.yaml, with the type of the schema and its default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from towpath.config import gate_declarations, project_declaration, target_declarations
from towpath.config.project_declaration import parse_project
from towpath.config.schema import build_schema

PAGE = (Path(__file__).parents[2] / "docs" / "project.md").read_text(encoding="utf-8")
SCHEMA = build_schema("project")
DEFINITIONS = SCHEMA["definitions"]
YAML = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)

SECTIONS: dict[str, type[Any]] = {
    "The project": project_declaration.Project,
    "A stage": project_declaration.StageDeclaration,
    "A store": project_declaration.StoreDeclaration,
    "Credentials": project_declaration.Credentials,
    "The policy": project_declaration.PolicyDeclaration,
    "The forge": project_declaration.ForgeDeclaration,
    "The runner": project_declaration.Runner,
    **{f"deploy: {to}": model for to, model in target_declarations.KINDS.items()},
    **{f"gate: {kind}": model for kind, model in gate_declarations.KINDS.items()},
}

NAMED = {
    "path": "path",
    "ForgeDeclaration": "mapping",
    "Runner": "mapping",
    "argv": "list of text",
    "stage_name": "name",
    "StageDeclaration": "stage",
    "StoreDeclaration": "store",
}


def type_of(schema: dict[str, Any]) -> str:
    """A part of the schema in the words of the page."""
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        kinds = dict.fromkeys(type_of(each) for each in schema["anyOf"] if each != {"type": "null"})
        is_time = "|ms|" in str(schema) or "(ms|" in str(schema)
        return "duration" if is_time else " or ".join(kinds)
    if "allOf" in schema and schema.get("properties", {}).keys() & {"kind", "to"}:
        return "gate" if "kind" in schema["properties"] else "deployment"
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return NAMED.get(name) or type_of(DEFINITIONS[name])
    if "allOf" in schema:
        return type_of(schema["allOf"][0])
    match schema.get("type"):
        case "array":
            return f"list of {type_of(schema['items'])}"
        case "object" if isinstance(inner := schema["additionalProperties"], dict):
            return f"mapping to {type_of(inner)}"
        case "object":
            return "mapping"
        case "string":
            return "text"
        case "boolean":
            return "true or false"
        case "integer":
            return "whole number"
    return "number"


def default_of(model: type[Any], key: str) -> str:
    field = next(f for name, f in model.model_fields.items() if (f.alias or name) == key)
    if field.is_required() or (key == "kind" and issubclass(model, gate_declarations.Gate)):
        return "must be there"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None or value == () or value == {} or not isinstance(value, str | int | float):
        return "—"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def rows(heading: str) -> dict[str, tuple[str, str, str]]:
    """The table below a heading: key, and type, default, meaning."""
    text = re.split(r"^#+ ", PAGE, flags=re.MULTILINE)
    section = next(part for part in text if part.split("\n")[0].replace("`", "") == heading)
    found = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", section, re.MULTILINE)
    return {key: (kind, default, meaning) for key, kind, default, meaning in found}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_stands_there_with_its_type_and_default(heading: str) -> None:
    model = SECTIONS[heading]
    schema = SCHEMA if model is project_declaration.Project else DEFINITIONS[model.__name__]
    said = {key: row[:2] for key, row in rows(heading).items()}
    properties = schema["properties"]
    assert said == {key: (type_of(properties[key]), default_of(model, key)) for key in properties}
    assert all(len(row[2]) > 5 for row in rows(heading).values())


@pytest.mark.parametrize("block", YAML, ids=range(len(YAML)))
def test_every_example_is_sound(block: str) -> None:
    assert parse_project(block if "name:" in block else f"name: leaf\n{block}")
