"""The JSON Schemas of what a person may write, for editors: generated from the declared types.

``python -m towpath.config.schema`` writes them beside this file. They are draft 7, which editors
read best. What a field is for is the text below it in its type.
"""

from __future__ import annotations

import ast
import inspect
import json
import keyword
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import CoreRef, GenerateJsonSchema, JsonRef

from towpath.config import (
    declaration,
    gate_declarations,
    parameter_declaration,
    pipeline_declaration,
    project_declaration,
    target_declarations,
)
from towpath.config import names_and_paths as grammar
from towpath.config.table_options import COLUMN_TYPES, FORMAT_NAMES

FOLDER = Path(__file__).parent

Schema: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Schema], Schema]
"""From the schema of what a validator hands on to that of what it takes."""

_REFERENCE = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*|\[(-?\d+|\"[^\"]*\"|'[^']*')\])*"
_RELATIVE = r"(?![/~])(?![A-Za-z]:[\\/])(?!.*\\)(?!(.*/)?\.\.(/|$))(?!(\./*)*\.?$)(?!\s*$)"
_MODULE_MEMBER = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
_DURATION = r"(\d+(\.\d+)? ?(ms|s|m|h|d|w) ?)+"


def _either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def _text(pattern: str, **more: Any) -> Rule:
    return lambda inner: {**inner, "pattern": f"^({pattern})$", **more}


def _also(**more: Any) -> Rule:
    return lambda inner: {**inner, **more}


def _instead(schema: Schema) -> Rule:
    return lambda _: schema


def _any_of(*keys: str) -> Rule:
    return _also(anyOf=[{"required": [key]} for key in keys])


def _time(seconds: Schema) -> Schema:
    pattern = _DURATION if "minimum" in seconds else f"(?=.*[1-9]){_DURATION}"
    return _either(seconds, {"type": "string", "pattern": f"^{pattern}$"})


def _runner(inner: Schema) -> Schema:
    is_dask = {"required": ["kind"], "properties": {"kind": {"const": "dask"}}}
    return {
        "allOf": [inner],
        "if": is_dask,
        "then": {"required": ["address"]},
        "else": {"not": {"required": ["address"]}},
    }


def _stages(mapping: Schema) -> Schema:
    names = {"type": "array", "items": mapping["propertyNames"], "minItems": 1, "uniqueItems": True}
    stage = _either({"type": "null"}, mapping["additionalProperties"])
    return _either(names, {**mapping, "additionalProperties": stage, "minProperties": 1})


def _param(inner: Schema) -> Schema:
    values = ["string", "number", "boolean", "array"]
    properties = inner["properties"]
    properties["default"]["type"] = [*values, "null"]
    properties["choices"]["minItems"] = 1
    has_default = {"required": ["default"], "properties": {"default": {"not": {"type": "null"}}}}
    bounds = ("above", "below", "at_least", "at_most")
    numbers = {"default": {"type": ["number", "null"]}, "type": {"enum": ["integer", "number"]}}
    return {
        **inner,
        "anyOf": [{"required": ["type"]}, {"required": ["choices"]}, has_default],
        "if": {"anyOf": [{"required": [bound]} for bound in bounds]},
        "then": {"properties": numbers},
    }


_ON_REVIEW: Schema = {"required": ["when", "data"], "properties": {"when": {"const": "review"}}}
_LISTED: Schema = {**_ON_REVIEW["properties"], "data": {"minItems": 1}}

DEFINITIONS: Mapping[Any, tuple[str, Rule]] = {
    grammar.name: (
        "name",
        _text(grammar.FREE_NAME.pattern, **{"not": {"enum": keyword.kwlist}}),
    ),
    grammar.path: ("path", lambda inner: {**inner, "pattern": f"^{_RELATIVE}.+$"}),
    grammar.function: ("function", _text(f"{_MODULE_MEMBER}|[A-Za-z_]\\w*")),
    grammar.class_path: ("class", _text(_MODULE_MEMBER)),
    gate_declarations.module_function: ("module_function", _text(_MODULE_MEMBER)),
    grammar.own_format_name: (
        "own_format",
        _text(grammar.format_name.pattern, **{"not": {"enum": list(FORMAT_NAMES)}}),
    ),
    grammar.stage: ("stage_name", _text(grammar.stage.pattern)),
    grammar.model: ("model_name", _text(grammar.model.pattern)),
    grammar.environment: (
        "environment_variable",
        _text(grammar.environment.pattern),
    ),
    grammar.source: (
        "source",
        lambda inner: _either(
            _text(grammar.MODEL_REFERENCE)(inner),
            {**inner, "pattern": rf"^{_RELATIVE}([^@#]*|.*/.*|[^@]*\.[^@]*(@.*)?)$"},
        ),
    ),
    declaration.REFERENCE: ("reference", _text(rf"\s*{_REFERENCE}( or {_REFERENCE})*\s*")),
    target_declarations.not_empty: ("argv", _also(minItems=1)),
}
"""Rules whose schema has a name of its own, for it stands in many places."""

RULES: Mapping[Any, Rule] = {
    grammar.duration: _time,
    grammar.type_name: _text(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"),
    grammar.known_format: lambda inner: _either(
        {"enum": list(FORMAT_NAMES)}, _text(grammar.format_name.pattern)(inner)
    ),
    grammar.separator: _also(minLength=1, maxLength=1),
    grammar.decimal: _instead({"enum": [".", ","]}),
    grammar.encoding: _also(minLength=1),
    grammar.column_type: _instead({"enum": list(COLUMN_TYPES)}),
    declaration.CONDITION: _also(minLength=1),
    declaration.MESSAGE: dict,
    declaration.one_or_more: lambda inner: _either(inner["items"], inner),
    target_declarations.word_list: dict,
    parameter_declaration.short_form: lambda inner: _either(
        {"type": ["string", "number", "boolean", "array"]}, inner
    ),
    parameter_declaration.Param._consistent: _param,
    pipeline_declaration.command_words: _instead(
        _either(
            {"type": "string", "minLength": 1},
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
        )
    ),
    project_declaration.long_stages: _stages,
    project_declaration.dask_has_address: _runner,
    gate_declarations.share: lambda inner: _either(
        inner, {"type": "string", "pattern": r"^\d+(\.\d+)? ?%$"}
    ),
    gate_declarations.Metric._bounded: _any_of(*gate_declarations.BOUNDS),
    gate_declarations.NoWorse._one_way: _also(**{"not": {"required": ["by", "relative"]}}),
    gate_declarations.Fairness._bounded: _any_of("difference", "ratio"),
    gate_declarations.Latency._sound: _also(
        oneOf=[{"required": ["samples"]}, {"required": ["data"]}], **{"not": _ON_REVIEW}
    ),
    gate_declarations.Function._sound: _also(**{"not": {**_ON_REVIEW, "properties": _LISTED}}),
}
"""What each validator of ours means to an editor; one without a rule stops the generation."""


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, which knows our validators and short forms, and is plain to read."""

    def function_after_schema(self, schema: Any) -> Schema:
        return self._ruled(schema["function"]["function"], self.generate_inner(schema["schema"]))

    def function_before_schema(self, schema: Any) -> Schema:
        return self._ruled(schema["function"]["function"], self.generate_inner(schema["schema"]))

    def function_plain_schema(self, schema: Any) -> Schema:
        validator = schema["function"]["function"]
        if isinstance(validator, declaration.Kinds):
            return self._by_kind(validator.key, validator.types)
        return self._ruled(validator, {})

    def _ruled(self, validator: Any, inner: Schema) -> Schema:
        if isinstance(validator, declaration.ShortForm):
            return _either(self._short(inner, validator.key), inner)
        if validator in DEFINITIONS:
            name, rule = DEFINITIONS[validator]
            definition, reference = self.get_cache_defs_ref_schema(CoreRef(f"towpath.{name}"))
            self.definitions[definition] = rule(inner)
            return reference
        if isinstance(validator, grammar.Grammar):
            return _text(validator.pattern)(inner)
        return RULES[validator](inner)

    def _short(self, inner: Schema, key: str) -> Schema:
        """The schema of the one value that stands for a mapping: that of its key, unexplained."""
        while "properties" not in inner:
            reference = inner["allOf"][0] if "allOf" in inner else inner
            inner = self.get_schema_from_definitions(JsonRef(reference["$ref"])) or {}
        value = {k: v for k, v in inner["properties"][key].items() if k != "description"}
        value.pop("default", None)
        if "dask" in value.get("enum", ()):  # which needs an address
            value["enum"] = [word for word in value["enum"] if word != "dask"]
        return value["allOf"][0] if set(value) == {"allOf"} else value

    def tagged_union_schema(self, schema: Any) -> Schema:
        if isinstance(schema["discriminator"], str):
            return self._by_kind(schema["discriminator"], pipeline_declaration.KINDS, "processing")
        return _either(*map(self.generate_inner, schema["choices"].values()))

    def _by_kind(self, key: str, types: Mapping[str, type[BaseModel]], usual: str = "") -> Schema:
        """A union as conditions: an editor then speaks of the one kind that is written."""
        kinds = []
        for kind, model in types.items():
            model.model_rebuild()
            is_kind: Schema = {"properties": {key: {"const": kind}}}
            if kind != usual:  # a step that does not say its kind is of the usual one
                is_kind["required"] = [key]
            schema = self.generate_inner(model.__pydantic_core_schema__)
            kinds.append({"if": is_kind, "then": schema})
        required = {} if usual else {"required": [key]}
        text = explain_fields(next(iter(types.values()))).get(key)
        properties = {key: _described({"enum": list(types)}, text and _plain(text))}
        return {"type": "object", **required, "properties": properties, "allOf": kinds}

    def nullable_schema(self, schema: Any) -> Schema:
        return self.generate_inner(schema["schema"])  # who writes null has left something out

    def default_schema(self, schema: Any) -> Schema:
        inner = self.generate_inner(schema["schema"])
        default = schema.get("default")
        if isinstance(default, str | int | float) and "const" not in inner and "$ref" not in inner:
            return {**inner, "default": default}
        return inner

    def literal_schema(self, schema: Any) -> Schema:
        words_of_it = schema["expected"]
        return {"const": words_of_it[0]} if len(words_of_it) == 1 else {"enum": words_of_it}

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def model_schema(self, schema: Any) -> Schema:
        model = schema["cls"]
        inner = super().model_schema(schema)
        del inner["title"]
        inner["description"] = _plain(str(model.__doc__).partition("\n\n")[0])
        explained = {name: _plain(text) for name, text in explain_fields(model).items()}
        inner["properties"] = {
            key: _described(value, explained.get(key)) for key, value in inner["properties"].items()
        }
        return inner

    def sort(self, value: Schema, parent_key: str | None = None) -> Schema:  # noqa: ARG002
        return value


def explain_fields(model: type[BaseModel]) -> dict[str, str]:
    """The text that stands below each field of a type, by the field's key."""
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, declaration.Declaration):
            continue
        body = ast.parse(inspect.getsource(base)).body[0].body  # type: ignore[attr-defined]
        for pair in pairwise(body):
            match pair:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str() as text)):
                    if name in model.model_fields:
                        texts[model.model_fields[name].alias or name] = text
    return texts


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def _described(schema: Schema, text: str | None) -> Schema:
    """A schema with what an editor shows; draft 7 ignores what stands beside a ``$ref``."""
    if text is None:
        return schema
    plain = {"allOf": [schema]} if "$ref" in schema else schema
    return {"description": text, **plain}


def build_schema(of: Literal["pipeline", "project"]) -> Schema:
    """The JSON Schema of a pipeline's file, or of ``towpath.yaml``, from the types."""
    model = pipeline_declaration.Pipeline if of == "pipeline" else project_declaration.Project
    schema = model.model_json_schema(
        ref_template="#/definitions/{model}", schema_generator=_Generator
    )
    schema["definitions"] = schema.pop("$defs")
    schema["description"] = "towpath.yaml, at the project's root."
    if of == "pipeline":
        schema["description"] = "flows/<name>/pipeline.yaml; the folder is the pipeline's name."
        del schema["properties"]["name"]
        schema["required"] = ["steps"]
    draft = "http://json-schema.org/draft-07/schema#"
    return {"$schema": draft, "title": f"A {of} of Towpath", **schema}


def render_schema(of: Literal["pipeline", "project"]) -> str:
    """The text of a schema's file."""
    return json.dumps(build_schema(of), indent=2, ensure_ascii=False) + "\n"


def read_schema(of: Literal["pipeline", "project"]) -> str:
    """The text of the file, as it was generated."""
    return (FOLDER / f"{of}.schema.json").read_text(encoding="utf-8")


if __name__ == "__main__":
    for kind in ("pipeline", "project"):
        (FOLDER / f"{kind}.schema.json").write_text(render_schema(kind), encoding="utf-8")
