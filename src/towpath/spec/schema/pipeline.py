"""The schema of ``flows/<name>/pipeline.yaml``."""

from __future__ import annotations

from towpath.spec.schema.steps import KINDS, STEP
from towpath.spec.schema.terms import DRAFT, Schema, a, either, listed, named, one_of, ref
from towpath.spec.schema.values import OWN_FORMAT, VALUES

_BOUNDS = ("above", "below", "at_least", "at_most")

_PARAM: Schema = {
    **a("object"),
    "additionalProperties": False,
    "properties": {
        "default": {
            "description": "The value of a run that gives none; without it each run must give one.",
            "type": ["string", "number", "boolean", "array", "null"],
        },
        "type": one_of(
            *("string", "integer", "number", "boolean", "list"),
            about="The type of its values: by default the default's; an integer takes no float.",
        ),
        "choices": listed({}, "The values that are allowed.", minItems=1),
        "above": a("number", "The value must be greater."),
        "below": a("number", "The value must be less."),
        "at_least": a("number", "The value must be this or greater."),
        "at_most": a("number", "The value must be this or less."),
        "description": a("string", "What it is for; Prefect's form shows it."),
    },
    "anyOf": [
        {"required": ["type"]},
        {"required": ["choices"]},
        {"required": ["default"], "properties": {"default": {"not": {"type": "null"}}}},
    ],
    "if": {"anyOf": [{"required": [bound]} for bound in _BOUNDS]},
    "then": {
        "properties": {
            "default": {"type": ["number", "null"]},
            "type": {"enum": ["integer", "number"]},
        }
    },
}

SCHEMA: Schema = {
    "$schema": DRAFT,
    "title": "A pipeline of Towpath",
    "description": "flows/<name>/pipeline.yaml; the folder is the pipeline's name.",
    "type": "object",
    "required": ["steps"],
    "additionalProperties": False,
    "properties": {
        "description": a("string", "What the pipeline is for."),
        "params": named(ref("param"), "Parameters: a default alone, or the long form."),
        "formats": a(
            "object",
            "Formats of the project's own, by name: a class with `read` and `write`.",
            propertyNames=OWN_FORMAT,
            additionalProperties=ref("function"),
        ),
        "inputs": named(ref("input"), "Files, folders and models that the pipeline takes."),
        "steps": named(
            ref("step"),
            "The steps: their order is that of their references, not that of this file.",
        ),
    },
    "definitions": {
        **VALUES,
        "param": either({"type": ["string", "number", "boolean", "array"]}, ref("long_param")),
        "long_param": _PARAM,
        "step": STEP,
        **KINDS,
    },
}
