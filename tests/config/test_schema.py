"""The JSON Schemas: equal to the types, and judging documents as the reader does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel

from towpath import documents
from towpath.config import (
    file_declaration,
    gate_declarations,
    parameter_declaration,
    pipeline_declaration,
    project_declaration,
    target_declarations,
)
from towpath.config.declaration import declared_keys
from towpath.config.format_names import FORMAT_NAMES
from towpath.config.pipeline_file import parse_pipeline
from towpath.config.schema import build_schema, read_schema, render_schema
from towpath.errors import DeclarationError
from towpath.steps.formats import FORMATS

# The committed ones, which a test holds to be those that are generated: that takes longer.
PIPELINE = json.loads(read_schema("pipeline"))
PROJECT = json.loads(read_schema("project"))
HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ["pipeline", "project"])
def test_the_committed_schema_is_the_one_that_is_generated(
    name: Literal["pipeline", "project"],
) -> None:
    assert read_schema(name) == render_schema(name), "run `python -m towpath.config.schema`"
    # Not in the order in which whatever ran before has built the types.
    schema = build_schema(name)
    assert [*schema["definitions"]] == sorted(schema["definitions"])
    jsonschema.Draft7Validator.check_schema(schema)


DECLARED: set[type[BaseModel]] = {
    *(
        parameter_declaration.Param,
        parameter_declaration.EnvironmentDeclaration,
        file_declaration.Input,
        file_declaration.Output,
        file_declaration.Plot,
        pipeline_declaration.Retry,
    ),
    *(
        pipeline_declaration.Expiry,
        project_declaration.StageDeclaration,
        project_declaration.StoreDeclaration,
        project_declaration.PolicyDeclaration,
        project_declaration.ForgeDeclaration,
    ),
    *(project_declaration.Runner, project_declaration.Credentials),
    *pipeline_declaration.KINDS.values(),
    *gate_declarations.KINDS.values(),
    *target_declarations.KINDS.values(),
}


@pytest.mark.parametrize("model", sorted(DECLARED, key=lambda model: model.__name__), ids=str)
def test_every_key_of_the_types_is_in_the_schema_and_says_what_it_is_for(
    model: type[BaseModel],
) -> None:
    both = {**PIPELINE["definitions"], **PROJECT["definitions"]}
    definition = both[model.__name__]
    assert set(definition["properties"]) == set(declared_keys(model))
    assert set(definition.get("required", ())) == set(_required(model))
    assert definition["additionalProperties"] is False
    unsaid = {key for key, value in definition["properties"].items() if "description" not in value}
    assert unsaid <= {"kind", "to", "calls", "percentile", "region"}


def _required(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        # An input's `path` may follow from where it is brought from.
        if field.is_required() and (model is not file_declaration.Input or name != "path"):
            yield field.alias or name


def test_the_formats_are_those_that_there_are() -> None:
    assert list(FORMAT_NAMES) == list(FORMATS)


# What no schema of shapes can see: names that nothing has, values held against each other.
BEYOND = {
    *("arguments_of_kinds", "bad_references", "branches", "circle", "conditions_not_allowed"),
    *("messages", "one_typo_one_fault", "outputs_that_clash", "unused"),
    *("keys_where_none_are", "names_that_prefect_keeps", "hints_that_can_be_followed"),
    *("nested_params",),
    *("outputs_that_lack", "registered_twice", "shared_name", "unknown_names"),
}
WRONG = [case for case in sorted((HERE / "corpus").glob("*.yaml")) if case.stem not in BEYOND]
RIGHT = sorted((HERE / "valid").glob("*.yaml"))


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.stem)
def test_the_schema_refuses_what_the_reader_refuses(case: Path) -> None:
    document = documents.parse_yaml(case.read_text(), case.name)
    if document.faults:
        return  # refused as YAML, before any schema
    assert not _valid(case, documents.plain_data(document.node))


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.stem)
def test_the_schema_takes_what_the_reader_takes(case: Path) -> None:
    text = case.read_text()
    if case.name.startswith("project_"):
        project_declaration.parse_project(text)
    else:
        assert parse_pipeline(text, "flows/p/pipeline.yaml").faults == ()
    assert _valid(case, documents.load_yaml(case, case.name))


def _valid(case: Path, data: Any) -> bool:
    schema = PROJECT if case.name.startswith("project_") else PIPELINE
    return bool(jsonschema.Draft7Validator(schema).is_valid(data))


STEPS: list[dict[str, Any]] = [
    {"run": "f"},
    {"run": "shared.publish:to_folder"},
    {"run": "a b"},
    {"run": ":f"},
    {"run": "f", "inputs": ["a", "a.b", "a.b.c", 'a.b["c-d"][0].e', "a.b or c.b"]},
    {"run": "f", "inputs": ["a b"]},
    {"run": "f", "inputs": {"x": "a", "y": "b or"}},
    {"run": "f", "inputs": {"my-x": "a"}},
    {"run": "f", "inputs": {"x": 5}},
    {"run": "f", "with": {"x": [1, {"y": None}]}},
    {"run": "f", "with": {"class": 1}},
    {"run": "f", "outputs": ["a.csv", "b/", "c/d.json", {"path": "e.png", "plot": True}]},
    {
        "run": "f",
        "outputs": {"x": "a.csv", "y": {"path": "b", "format": "json", "plot": {"x": "a"}}},
    },
    {"run": "f", "outputs": ["/a.csv"]},
    {"run": "f", "outputs": ["a/../../b"]},
    {"run": "f", "outputs": ["./"]},
    {"run": "f", "outputs": ["..a/b.."]},
    {"run": "f", "outputs": [" "]},
    {"run": "f", "outputs": [{"path": "a.csv", "plot": {"z": "a"}}]},
    {"run": "f", "outputs": [{"plot": True}]},
    {"run": "f", "outputs": [{"path": "a.csv", "plot": {"x": "a", "y": ["b", "c"]}}]},
    {"run": "f", "outputs": [{"path": "a.csv", "plot": {"y": "b", "by": "c"}}]},
    {"run": "f", "outputs": [{"path": "a.csv", "plot": {"y": ["b"], "by": "c"}}]},
    {"run": "f", "outputs": [{"path": "a.csv", "plot": {"y": ["b", "d"], "by": "c"}}]},
    {"run": "f", "outputs": [{"path": "a.csv", "plot": {"by": "c"}}]},
    {"run": "f", "outputs": [{"path": "a.csv", "plot": {"y": []}}]},
    {"run": "f", "outputs": [{"path": "a.csv", "plot": {"y": ["b", "b"]}}]},
    {"run": "f", "timeout": 5},
    {"run": "f", "timeout": "1h 30m"},
    {"run": "f", "timeout": "0.5s"},
    {"run": "f", "timeout": "0s"},
    {"run": "f", "timeout": "5 years"},
    {"run": "f", "timeout": True},
    {"run": "f", "memory": "2GB"},
    {"run": "f", "memory": "1.5 TB"},
    {"run": "f", "memory": "0GB"},
    {"run": "f", "memory": "2 gigs"},
    {"run": "f", "memory": 2000},
    {"run": "f", "retry": 3},
    {"run": "f", "retry": 0},
    {"run": "f", "retry": {"attempts": 2, "delay": "0s", "errors": ["ValueError"]}},
    {"run": "f", "retry": {"delay": 1}},
    {"run": "f", "cache": False},
    {"run": "f", "cache": {"expires": "30d"}},
    {"run": "f", "cache": {}},
    {"run": "f", "after": "a", "code": ["fit.R"]},
    {"run": "f", "after": ["a", "b-c"]},
    {"kind": "condition", "if": "a > 1", "then": "x", "else": ["y"]},
    {"kind": "condition", "if": 5},
    {"kind": "condition", "if": "a > 1", "run": "f"},
    {"kind": "fail", "message": ""},
    {"kind": "quality_check", "inputs": ["a.data"], "expectations": "e.yaml", "must_pass": False},
    {"kind": "register_model", "as": "my-model", "inputs": ["a.model"], "labels": {"x y": "{a}"}},
    {"kind": "register_model", "as": "-model", "inputs": ["a.model"]},
    {"kind": "batch_transform", "inputs": ["a.b"], "outputs": ["x.csv"], "batch_size": 5},
    {"kind": "processing"},
    {"kind": None, "run": "f"},
]


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_steps_are_judged_alike(step: dict[str, Any]) -> None:
    data = {"steps": {"s": step}}
    read = parse_pipeline(documents.dump_yaml(data), "flows/p/pipeline.yaml")
    assert jsonschema.Draft7Validator(PIPELINE).is_valid(data) is (read.faults == ()), read.faults


PARAMS: list[Any] = [
    *(1, 0.5, "x", True, [1, 2], None, {}, {"default": None}, {"type": "list"}, {"choices": [1]}),
    *({"default": 1, "above": 0}, {"default": "x", "above": 0}, {"type": "string", "below": 1}),
    *({"default": None, "type": "integer", "at_least": 1}, {"default": {"a": 1}}, {"choices": []}),
    *({"type": "float"}, {"default": 1, "description": 5}, {"default": 1, "above": "x"}),
]


@pytest.mark.parametrize("value", PARAMS, ids=str)
def test_params_are_judged_alike(value: Any) -> None:
    data = {"params": {"p": value}, "steps": {"s": {"run": "f"}}}
    read = parse_pipeline(documents.dump_yaml(data), "flows/p/pipeline.yaml")
    assert jsonschema.Draft7Validator(PIPELINE).is_valid(data) is (read.faults == ()), read.faults


INPUTS = [
    *(
        "data/a.csv",
        "data/",
        "a@v1.0.0",
        "a#prod",
        "a@latest",
        "a@v1",
        "a#",
        "A#prod",
        "/a",
        "../a",
    ),
    *("a.csv@x", "d/a@b", "~/a", "C:/a", "a\\b", "", ".", "data/x#1.csv", "#", "@", "a b.csv"),
]


@pytest.mark.parametrize("source", INPUTS)
def test_inputs_are_judged_alike(source: str) -> None:
    data = {"inputs": {"i": source}, "steps": {"s": {"run": "f"}}}
    read = parse_pipeline(documents.dump_yaml(data), "flows/p/pipeline.yaml")
    assert jsonschema.Draft7Validator(PIPELINE).is_valid(data) is (read.faults == ()), read.faults


def test_projects_are_judged_alike() -> None:
    for more in (
        {"stages": ["dev"]},
        {
            "stages": {
                "dev": None,
                "prod": {"approval": "forge", "gates": {"g": {"kind": "safe"}}},
            }
        },
        {"stages": ["Dev"]},
        {"stages": {"dev": []}},
        {"runner": "processes"},
        {"runner": {"kind": "dask", "address": "tcp://x"}},
        {"runner": {"workers": 0}},
        {"runner": "dask"},
        {"forge": {"kind": "github", "repository": "a/b"}},
        {"forge": {"repository": "a/b"}},
        {"forge": {"kind": "github", "tag_writers": ["app/12", "@a/b"]}},
        {"forge": {"kind": "github", "tag_writers": ["ada"]}},
        {"trust": ["a.B"]},
        {"trust": ["B"]},
        {
            "stores": {
                "cold": {"url": "s3://b", "credentials": {"access_key": "A", "secret_key": "B"}}
            }
        },
        {"stores": {"cold": {"url": "s3://b", "credentials": {"access_key": "A"}}}},
        {"policy": {"self_approval": "yes"}},
    ):
        data = {"name": "a", **more}
        assert _project_reads(data) is jsonschema.Draft7Validator(PROJECT).is_valid(data), more


GATES: list[Any] = [
    *(None, "safe", {}, {"kind": "metrik"}, {"kind": 5}, {"kind": "safe", "when": "later"}),
    {"kind": "metric", "metric": "mse"},
    {"kind": "metric", "metric": "by.mse", "above": 1, "at_most": 2.5, "description": "x"},
    {"kind": "metric", "metric": "", "above": 1},
    {"kind": "metric", "metric": "mse", "above": "1"},
    {"kind": "no_worse", "metric": "mse", "better": "lower"},
    {"kind": "no_worse", "metric": "mse", "better": "lower", "by": 0.5},
    {"kind": "no_worse", "metric": "mse", "better": "lower", "by": -0.5},
    {"kind": "no_worse", "metric": "mse", "better": "lower", "by": 0.5, "relative": 0.1},
    {"kind": "no_worse", "metric": "mse", "better": "higher", "relative": "2.5 %"},
    {"kind": "no_worse", "metric": "mse", "better": "higher", "relative": "2.5 percent"},
    {"kind": "no_worse", "metric": "mse", "better": "up"},
    {"kind": "signature", "when": "deploy"},
    {"kind": "soak", "at_least": "24h"},
    {"kind": "soak", "at_least": "0s"},
    {"kind": "soak"},
    {"kind": "expectations", "expectations": "a.yaml", "data": "b.csv", "when": "deploy"},
    {"kind": "expectations", "expectations": "a.yaml", "data": "b.csv", "when": "review"},
    {"kind": "expectations", "expectations": "../a.yaml", "data": "b.csv"},
    {"kind": "golden", "samples": "g.csv", "absolute": 0.1, "relative": "1%", "expected": "rings"},
    {"kind": "golden", "samples": "g.csv", "timeout": "5m"},
    {"kind": "golden", "samples": "/g.csv"},
    {"kind": "fairness", "data": "d.csv", "target": "y", "group": "g", "metric": "mae"},
    {"kind": "fairness", "data": "d.csv", "target": "y", "group": "g", "metric": "mae", "ratio": 2},
    {"kind": "fairness", "data": "d.csv", "target": "y", "group": "g", "metric": "f", "ratio": 2},
    {"kind": "fairness", "data": "d", "target": "y", "group": "g", "metric": "mae", "ratio": 0.5},
    {"kind": "latency", "at_most": "50ms"},
    {"kind": "latency", "at_most": "50ms", "samples": "g.csv", "when": "review", "rows": 5},
    {"kind": "latency", "at_most": "50ms", "data": "g.csv", "when": "review"},
    {"kind": "latency", "at_most": "50ms", "data": "g.csv", "samples": "g.csv"},
    {"kind": "latency", "at_most": "50ms", "data": "g.csv", "percentile": "p90"},
    {"kind": "function", "run": "checks.gates:fit", "model": False, "when": "review"},
    {"kind": "function", "run": "fit"},
    {"kind": "function", "run": "a:fit", "data": ["a.csv"]},
    {"kind": "function", "run": "a:fit", "data": ["a.csv"], "when": "review"},
    {"kind": "function", "run": "a:fit", "data": [], "when": "review"},
]


@pytest.mark.parametrize("gate", GATES, ids=str)
def test_gates_are_judged_alike(gate: Any) -> None:
    data = {"name": "a", "stages": {"prod": {"gates": {"g": gate}}}}
    assert _project_reads(data) is jsonschema.Draft7Validator(PROJECT).is_valid(data)


DEPLOYMENTS: list[Any] = [
    {"to": "files", "path": "/srv/models", "sample": "data/sample.csv"},
    {"to": "files", "path": ""},
    {"to": "files", "folder": "/srv/models"},
    {"to": "files", "path": "a", "sample": "../b.csv"},
    {"to": "command", "run": ["./deploy.sh", "--now"], "check": ["./which.sh"], "timeout": "5m"},
    {"to": "command", "run": "./deploy.sh --now"},
    {"to": "command", "run": []},
    {"to": "command", "check": ["./which.sh"]},
    {"to": "prefect"},
    {"to": "prefect", "flow": "flows/score.py:score", "parameters": {"data": "a.csv"}},
    {"to": "prefect", "schedule": "0 5 * * *", "path": "/srv/abalone"},
    {"to": "prefect", "parameters": ["a.csv"]},
    {"to": "kubernetes"},
    {"path": "a"},
    "files",
]


@pytest.mark.parametrize("deploy", DEPLOYMENTS, ids=str)
def test_deployments_are_judged_alike(deploy: Any) -> None:
    data = {"name": "a", "stages": {"prod": {"deploy": deploy}}}
    assert _project_reads(data) is jsonschema.Draft7Validator(PROJECT).is_valid(data)


def _project_reads(data: dict[str, Any]) -> bool:
    try:
        project_declaration.parse_project(documents.dump_yaml(data))
    except DeclarationError:
        return False
    return True
