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
    bias_names,
    check_bounds,
    declaration,
    each_declaration,
    file_declaration,
    gate_declarations,
    parameter_declaration,
    pipeline_declaration,
    project_declaration,
    step_surroundings,
    target_declarations,
    tuning_declaration,
)
from towpath.config import names_and_paths as grammar
from towpath.config.format_names import COLUMN_TYPES, FORMAT_NAMES

FOLDER = Path(__file__).parent

Schema: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Schema], Schema]
"""From the schema of what a validator hands on to that of what it takes."""

_REFERENCE = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*|\[(-?\d+|\"[^\"]*\"|'[^']*')\])*"
_RELATIVE = r"(?![/~])(?![A-Za-z]:[\\/])(?!.*\\)(?!(.*/)?\.\.(/|$))(?!(\./*)*\.?$)(?!\s*$)"
_MODULE_MEMBER = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
_DURATION = r"(\d+(\.\d+)? ?(ms|s|m|h|d|w) ?)+"
_MEMORY = r"^(?=.*[1-9])\d+(\.\d+)? ?(MB|GB|TB)$"


def _either_schema(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def _text_rule(pattern: str, **more: Any) -> Rule:
    return lambda inner: {**inner, "pattern": f"^({pattern})$", **more}


def _adding_rule(**more: Any) -> Rule:
    return lambda inner: {**inner, **more}


def _replacing_rule(schema: Schema) -> Rule:
    return lambda _: schema


def _keys_rule(word: Literal["anyOf", "oneOf"], *keys: str) -> Rule:
    return _adding_rule(**{word: [{"required": [key]} for key in keys]})


def _one_or_list(item: Schema) -> Schema:
    return _either_schema(item, {"type": "array", "minItems": 1, "items": item})


def _duration_schema(seconds: Schema) -> Schema:
    pattern = _DURATION if "minimum" in seconds else f"(?=.*[1-9]){_DURATION}"
    return _either_schema(seconds, {"type": "string", "pattern": f"^{pattern}$"})


def _runner_schema(inner: Schema) -> Schema:
    is_dask = {"required": ["kind"], "properties": {"kind": {"const": "dask"}}}
    return {
        "allOf": [inner],
        "if": is_dask,
        "then": {"required": ["address"]},
        "else": {"not": {"required": ["address"]}},
    }


def _stages_schema(mapping: Schema) -> Schema:
    names = {"type": "array", "items": mapping["propertyNames"], "minItems": 1, "uniqueItems": True}
    stage = _either_schema({"type": "null"}, mapping["additionalProperties"])
    return _either_schema(names, {**mapping, "additionalProperties": stage, "minProperties": 1})


def _param_schema(inner: Schema) -> Schema:
    values = ["string", "number", "boolean", "array"]
    properties = inner["properties"]
    properties["default"]["type"] = [*values, "null"]
    properties["choices"]["minItems"] = 1
    has_default = {"required": ["default"], "properties": {"default": {"not": {"type": "null"}}}}

    numbers = {"default": {"type": ["number", "null"]}, "type": {"enum": ["integer", "number"]}}
    return {
        **inner,
        "anyOf": [{"required": ["type"]}, {"required": ["choices"]}, has_default],
        "if": _keys_rule("anyOf", *gate_declarations.BOUNDS)({}),
        "then": {"properties": numbers},
    }


def _input_schema(inner: Schema) -> Schema:
    others = [key for key in inner.get("required", ()) if key != "path"]
    either = _keys_rule("anyOf", "path", "model", "last", "from")({})
    rest = {key: value for key, value in inner.items() if key != "required"}
    return {**rest, **({"required": others} if others else {}), **either}


def _last_schema(inner: Schema) -> Schema:
    required = {"required": ["last"]}
    certain = {"properties": {"optional": {"const": True}}, "required": ["optional"]}
    at_first = {"anyOf": [{"required": ["otherwise"]}, certain]}
    return {**inner, "if": required, "then": at_first, "else": {"not": {"required": ["otherwise"]}}}


def _plot_schema(inner: Schema) -> Schema:
    text, array = inner["properties"]["y"]["anyOf"]
    array |= {"minItems": 1, "uniqueItems": True}
    one_column = {"y": _either_schema(text, {**array, "maxItems": 1})}
    return {**inner, "dependencies": {"by": {"required": ["y"], "properties": one_column}}}


def _secrets_schema(mapping: Schema) -> Schema:
    name = mapping["propertyNames"]
    source = _either_schema(name, mapping["additionalProperties"])
    names = {"type": "array", "items": name}
    return _either_schema(name, names, {**mapping, "additionalProperties": source})


_ON_REVIEW: Schema = {"required": ["when", "data"], "properties": {"when": {"const": "review"}}}
_LISTED: Schema = {**_ON_REVIEW["properties"], "data": {"minItems": 1}}

DEFINITIONS: Mapping[Any, tuple[str, Rule]] = {
    grammar.check_argument_name: (
        "name",
        _text_rule(grammar.FREE_NAME.pattern, **{"not": {"enum": keyword.kwlist}}),
    ),
    grammar.check_path: ("path", lambda inner: {**inner, "pattern": f"^{_RELATIVE}.+$"}),
    grammar.check_function: ("function", _text_rule(f"{_MODULE_MEMBER}|[A-Za-z_]\\w*")),
    grammar.class_path: ("class", _text_rule(_MODULE_MEMBER)),
    gate_declarations.module_function: ("module_function", _text_rule(_MODULE_MEMBER)),
    grammar.own_format_name: (
        "own_format",
        _text_rule(grammar.format_name.pattern, **{"not": {"enum": list(FORMAT_NAMES)}}),
    ),
    grammar.stage: ("stage_name", _text_rule(grammar.stage.pattern)),
    grammar.model: ("model_name", _text_rule(grammar.model.pattern)),
    grammar.environment: (
        "environment_variable",
        _text_rule(grammar.environment.pattern),
    ),
    grammar.check_source: (
        "source",
        lambda inner: _either_schema(
            _text_rule(grammar.MODEL_REFERENCE)(inner),
            _text_rule(grammar.OUTPUT_REFERENCE)(inner),
            {
                **inner,
                "pattern": rf"^(?![\w-]+:[\w.]*$){_RELATIVE}([^@#]*|.*/.*|[^@]*\.[^@]*(@.*)?)$",
            },
        ),
    ),
    declaration.REFERENCE: ("reference", _text_rule(rf"\s*{_REFERENCE}( or {_REFERENCE})*\s*")),
    target_declarations.not_empty: ("argv", _adding_rule(minItems=1)),
}
"""Rules whose schema has a name of its own, for it stands in many places."""

_NAME_OR_NAMES = _one_or_list({"type": "string"})
_VALUE: Schema = {"type": ["string", "number", "boolean"]}
RULES: Mapping[Any, Rule] = {
    grammar.parse_duration: _duration_schema,
    grammar.parse_memory: _replacing_rule({"type": "string", "pattern": _MEMORY}),
    grammar.type_name: _text_rule(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"),
    grammar.known_format: lambda inner: _either_schema(
        {"enum": list(FORMAT_NAMES)}, _text_rule(grammar.format_name.pattern)(inner)
    ),
    grammar.check_variable: _text_rule(grammar.FREE_NAME.pattern),
    step_surroundings.watched_steps: lambda inner: _either_schema(_NAME_OR_NAMES, inner),
    check_bounds.bias_bounds: lambda inner: {
        "type": "object",
        "propertyNames": {
            "enum": [name for pair in bias_names.ALL_MEASURES.items() for name in pair]
        },
        "additionalProperties": _either_schema(
            {"type": "number", "minimum": 0}, inner["additionalProperties"]
        ),
    },
    check_bounds.column_names: _replacing_rule(_NAME_OR_NAMES),
    check_bounds.outcome_values: _replacing_rule(_one_or_list(_VALUE)),
    pipeline_declaration.Explain._require_target: _adding_rule(
        anyOf=[
            {"required": ["target"]},
            {"properties": {"method": {"const": "shap"}}, "required": ["method"]},
        ]
    ),
    pipeline_declaration.BiasCheck._require_predictions: dict,
    check_bounds.usual_tolerances: lambda inner: _either_schema({"type": "boolean"}, inner),
    pipeline_declaration.QualityCheck._require_measure: _keys_rule(
        "anyOf", "expectations", "baseline"
    ),
    pipeline_declaration.require_answers: _adding_rule(minProperties=1),
    pipeline_declaration.Notify._require_one_way: _keys_rule("oneOf", "command", "block"),
    step_surroundings.variable_text: _replacing_rule(_VALUE),
    step_surroundings.secrets_by_variable: _secrets_schema,
    step_surroundings.SecretSource._require_one_source: _keys_rule("oneOf", "variable", "block"),
    pipeline_declaration.model_name_of_items: lambda inner: {
        **inner,
        "pattern": rf"^({grammar.model.pattern}|[^{{}}]*\{{.*)$",
    },
    grammar.check_sql: _adding_rule(minLength=1),
    grammar.check_separator: _adding_rule(minLength=1, maxLength=1),
    grammar.check_encoding: _adding_rule(minLength=1),
    grammar.column_type: _replacing_rule({"enum": list(COLUMN_TYPES)}),
    declaration.CONDITION: _adding_rule(minLength=1),
    declaration.MESSAGE: dict,
    declaration.one_or_more: lambda inner: _either_schema(inner["items"], inner),
    target_declarations.word_list: dict,
    parameter_declaration.short_form: lambda inner: _either_schema(
        {"type": ["string", "number", "boolean", "array"]}, inner
    ),
    parameter_declaration.Param._require_consistency: _param_schema,
    parameter_declaration.flatten_params: dict,
    parameter_declaration.check_parameter_path: dict,
    parameter_declaration.flatten_values: dict,
    parameter_declaration.empty_mapping: lambda inner: _either_schema({"type": "null"}, inner),
    grammar.check_address: _text_rule(rf"({'|'.join(grammar.SCHEMES)})://.*[^/].*"),
    file_declaration.Input._fill_path: dict,
    file_declaration.Input._require_last: _last_schema,
    file_declaration.Input._require_version: _adding_rule(
        dependencies={"output": _keys_rule("anyOf", "model", "path")({})}
    ),
    file_declaration.Input._require_file: _input_schema,
    file_declaration.Plot._require_columns: _plot_schema,
    pipeline_declaration.command_words: _replacing_rule(
        _either_schema({"type": "string", "minLength": 1}, _NAME_OR_NAMES["anyOf"][1])
    ),
    each_declaration.read_each_list: _replacing_rule(
        _either_schema(
            {"type": "string", "pattern": rf"^\s*{_REFERENCE}\s*$"},
            {"type": "array", "minItems": 1, "uniqueItems": True},
        )
    ),
    tuning_declaration.read_range_bound: _replacing_rule({"type": "number"}),
    tuning_declaration.Range._require_range: dict,
    tuning_declaration.ParameterRanges._require_objective: _keys_rule(
        "oneOf", "minimize", "maximize"
    ),
    each_declaration.say_which_way: dict,
    each_declaration.BestBy._require_one_way: _keys_rule("oneOf", "minimize", "maximize"),
    project_declaration.long_stages: _stages_schema,
    project_declaration.dask_has_address: _runner_schema,
    gate_declarations.parse_share: lambda inner: _either_schema(
        inner, {"type": "string", "pattern": r"^\d+(\.\d+)? ?%$"}
    ),
    gate_declarations.Metric._require_bound: _keys_rule("anyOf", *gate_declarations.BOUNDS),
    gate_declarations.NoWorse._one_way: _adding_rule(**{"not": {"required": ["by", "relative"]}}),
    gate_declarations.Fairness._require_bound: _keys_rule("anyOf", "difference", "ratio"),
    gate_declarations.Latency._require_rows: _adding_rule(
        oneOf=[{"required": ["samples"]}, {"required": ["data"]}], **{"not": _ON_REVIEW}
    ),
    gate_declarations.Function._require_deploy: _adding_rule(
        **{"not": {**_ON_REVIEW, "properties": _LISTED}}
    ),
}
"""What each validator of ours means to an editor; one without a rule stops the generation."""


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, which knows our validators and short forms, and is plain to read."""

    def function_after_schema(self, schema: Any) -> Schema:
        inner = self.generate_inner(schema["schema"])
        return self._apply_rule(schema["function"]["function"], inner)

    function_before_schema = function_after_schema  # what is written passes both

    def function_plain_schema(self, schema: Any) -> Schema:
        validator = schema["function"]["function"]
        if isinstance(validator, declaration.Kinds):
            return self._by_kind(validator.key, validator.types_by_kind)
        return self._apply_rule(validator, {})

    def _apply_rule(self, validator: Any, inner: Schema) -> Schema:
        if isinstance(validator, declaration.ShortForm):
            return _either_schema(self._short_schema(inner, validator.key), inner)
        if validator in DEFINITIONS:
            name, rule = DEFINITIONS[validator]
            definition, reference = self.get_cache_defs_ref_schema(CoreRef(f"towpath.{name}"))
            self.definitions[definition] = rule(inner)
            return reference
        if isinstance(validator, grammar.Grammar):
            text = _text_rule(validator.pattern)
            return {"allOf": [inner, text({})]} if "$ref" in inner else text(inner)
        return RULES[validator](inner)

    def _short_schema(self, inner: Schema, key: str) -> Schema:
        # The one value that stands for a mapping is that of its key, which says all of it.
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
        return _either_schema(*map(self.generate_inner, schema["choices"].values()))

    def _by_kind(self, key: str, types: Mapping[str, type[BaseModel]], usual: str = "") -> Schema:
        # As conditions, and no `oneOf`: an editor then speaks of the one kind that is written, and
        # does not list the faults of ten.
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
        properties = {key: _describe_schema({"enum": list(types)}, text)}
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
        words = schema["expected"]
        return {"const": words[0]} if len(words) == 1 else {"enum": words}

    # pydantic names the arguments of these two, used or not. It would give each field its name as
    # a title, which editors show above the text, and sort the keys of a person's own order.
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def model_schema(self, schema: Any) -> Schema:
        model = schema["cls"]
        inner = super().model_schema(schema)
        del inner["title"]
        inner["description"] = _plain_text(str(model.__doc__).partition("\n\n")[0])
        texts = explain_fields(model)
        for key, value in inner["properties"].items():
            inner["properties"][key] = _describe_schema(value, texts.get(key))
        return inner

    def sort(self, value: Schema, parent_key: str | None = None) -> Schema:  # noqa: ARG002
        return value


def explain_fields(model: type[BaseModel]) -> dict[str, str]:
    """The text that stands below each field of a type, by the field's key."""
    # pydantic's own `use_attribute_docstrings` reads the source of each type when it is made: at
    # the start of every command, for a schema that is written once.
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


def _plain_text(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def _describe_schema(schema: Schema, text: str | None) -> Schema:
    if text is None:
        return schema
    plain = {"allOf": [schema]} if "$ref" in schema else schema  # beside which draft 7 ignores all
    return {"description": _plain_text(text), **plain}


def build_schema(of: Literal["pipeline", "project"]) -> Schema:
    """The JSON Schema of a pipeline's file, or of ``towpath.yaml``, from the types."""
    model = pipeline_declaration.Pipeline if of == "pipeline" else project_declaration.Project
    template = "#/definitions/{model}"  # of draft 7; pydantic writes `$defs`
    schema = model.model_json_schema(ref_template=template, schema_generator=_Generator)
    schema["definitions"] = schema.pop("$defs")
    schema["description"] = "towpath.yaml, at the project's root."
    if of == "pipeline":
        schema["description"] = "flows/<name>/pipeline.yaml; the folder is the pipeline's name."
        del schema["properties"]["name"]
        schema["required"] = ["steps"]
        _let_params_nest(schema)
    # pydantic has them in the order in which their types were built, by whatever ran before.
    schema["definitions"] = dict(sorted(schema["definitions"].items()))
    draft = "http://json-schema.org/draft-07/schema#"
    return {"$schema": draft, "title": f"A {of} of Towpath", **schema}


def _let_params_nest(schema: Schema) -> None:
    """Add what the types hold flat: groups of parameters, and the file of their values."""
    declared = schema["properties"]["params"]
    types = schema["definitions"]["Param"]["properties"]["type"]
    name = {"$ref": "#/definitions/name"}
    param = declared["additionalProperties"]
    nested = _either_schema(param, {"$ref": "#/definitions/parameter_group"})
    schema["definitions"]["parameter_group"] = {
        "description": "A group of parameters: a mapping without `default` or `choices`.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": name,
        "properties": {"default": False, "choices": False, "type": {"not": types}},
        "additionalProperties": nested,
    }
    file = {"type": "string", "pattern": rf"^{_RELATIVE}.+\.(ya?ml|json)$"}
    long_form = param["anyOf"][-1]
    declared["properties"] = {"file": _either_schema(file, long_form)}
    declared["propertyNames"] = name
    declared["additionalProperties"] = nested


def render_schema(of: Literal["pipeline", "project"]) -> str:
    return json.dumps(build_schema(of), indent=2, ensure_ascii=False) + "\n"


def read_schema(of: Literal["pipeline", "project"]) -> str:
    return (FOLDER / f"{of}.schema.json").read_text(encoding="utf-8")


if __name__ == "__main__":
    for kind in ("pipeline", "project"):
        (FOLDER / f"{kind}.schema.json").write_text(render_schema(kind), encoding="utf-8")
