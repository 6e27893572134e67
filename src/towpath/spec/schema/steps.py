"""The definitions of steps, one for each kind."""

from __future__ import annotations

from towpath.spec.schema.terms import Schema, a, either, fields, listed, named, one_of, ref

_ATTEMPTS = a("integer", "Attempts in all, the first included.", minimum=1, maximum=100)
_FILLED = "`{evaluate.metrics.mse:.2f}` is filled in."

_COMMON: Schema = {
    "description": a("string", "What the step is for."),
    "after": ref("names", "Steps to wait for without taking anything from them."),
    "retry": either(
        _ATTEMPTS,
        fields(
            {
                "attempts": _ATTEMPTS,
                "delay": ref("pause", "The pause before the second attempt."),
                "backoff": a(
                    "number",
                    "How many times as long each further pause is.",
                    minimum=1,
                    maximum=100,
                ),
                "jitter": a(
                    "number", "The part of a pause added at random, at most.", minimum=0, maximum=1
                ),
                "errors": listed(a("string"), "The exceptions worth another attempt; empty: any."),
            },
            required=("attempts",),
        ),
        about="How often, and after what pause, the step is tried again when it fails.",
    ),
    "timeout": ref("duration", "After so long the step is stopped and has failed."),
    "cache": either(
        a("boolean"),
        fields({"expires": ref("duration")}, required=("expires",)),
        about="`false`: what the step made is never reused; `{expires: 30d}`: for so long.",
    ),
    "code": listed(ref("path"), "Further files that its result depends on, beside this file."),
}

_FUNCTION: Schema = {
    "run": ref(
        "function",
        "`train` is the function in steps.py beside this file; "
        "`shared.publish:to_folder` starts at the project's root.",
    ),
    "inputs": ref(
        "bindings",
        "What it takes from inputs and other steps: a list takes each item's last name, "
        "a mapping renames.",
    ),
    "params": ref("bindings", "The parameters that it takes."),
    "with": named(None, "Values of arguments that are written here."),
    "outputs": ref("outputs", "What it writes: a list names by file stem, a mapping gives names."),
}


def _kind(kind: str, about: str, required: tuple[str, ...], own: Schema) -> Schema:
    step = fields({"kind": {"const": kind}, **own, **_COMMON}, about, required)
    return {key: value for key, value in step.items() if key != "type"}


KINDS: Schema = {
    "processing": _kind("processing", "Any function of the project.", ("run",), _FUNCTION),
    "training": _kind("training", "A function that fits a model.", ("run",), _FUNCTION),
    "evaluation": _kind(
        "evaluation", "A function that measures; its JSON outputs are metrics.", ("run",), _FUNCTION
    ),
    "quality_check": _kind(
        "quality_check",
        "Holds data against expectations; makes `data` (the same bytes), `result` and `page`.",
        ("inputs", "expectations"),
        {
            "inputs": ref("bindings", "`data`: the table to check."),
            "expectations": ref("path", "The suite, beside this file."),
            "must_pass": a("boolean", "false: only report what does not pass."),
        },
    ),
    "condition": _kind(
        "condition",
        "Chooses between two branches.",
        ("if",),
        {
            "if": a("string", "Such as `evaluate.metrics.mse <= max_mse`.", minLength=1),
            "then": ref("names", "The steps that run where it is true."),
            "else": ref("names", "The steps that run where it is false."),
        },
    ),
    "register_model": _kind(
        "register_model",
        "Registers a model as the next version of a name.",
        ("as", "inputs"),
        {
            "as": a("string", "The model's name.", pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"),
            "inputs": ref("bindings", "`model`, and what is recorded with it, such as `metrics`."),
            "labels": a(
                "object", f"Labels of the version; {_FILLED}", additionalProperties=a("string")
            ),
            "bump": one_of("major", "minor", "patch", about="The part of the number that goes up."),
            "trials": one_of(
                "skip",
                "register",
                about="Whether a run with other values than the declared ones registers too.",
            ),
        },
    ),
    "batch_transform": _kind(
        "batch_transform",
        "Applies a model to a table: its rows with the prediction beside them.",
        ("inputs", "outputs"),
        {
            "inputs": ref("bindings", "`model` and `data`."),
            "outputs": ref("outputs", "The table that it writes."),
            "method": one_of("predict", "predict_proba", about="What the model is asked for."),
            "batch_size": a("integer", "Rows at a time; by default all.", minimum=1),
        },
    ),
    "command": _kind(
        "command",
        "Runs a program of any language.",
        ("command",),
        {
            "command": either(
                a("string", minLength=1),
                listed(a("string"), minItems=1),
                about="The program and its arguments, in which `{name}` is an input's or output's "
                "path or a parameter's value; `{{` is a brace.",
            ),
            "inputs": _FUNCTION["inputs"],
            "params": _FUNCTION["params"],
            "outputs": _FUNCTION["outputs"],
            "shell": a("boolean", "Whether bash reads the command, as a script."),
            "metrics": ref("names", "The JSON outputs that are metrics."),
            "places": named(
                ref("path"), "Where the program has a file that the command does not name."
            ),
            "settings": {
                **a("object", "Files of parameters that it reads: key in the file, parameter."),
                "propertyNames": ref("path"),
                "additionalProperties": {"type": "object", "additionalProperties": ref("name")},
            },
            "workdir": ref("path", "The folder that it runs in; by default the project's root."),
        },
    ),
    "fail": _kind(
        "fail",
        "Ends the run as failed.",
        ("message",),
        {"message": a("string", f"Why; {_FILLED}")},
    ),
}

_SAYS_NO_KIND: Schema = {
    "anyOf": [
        {"not": {"required": ["kind"]}},
        {"properties": {"kind": {"const": "processing"}}},
    ]
}

STEP: Schema = {
    "type": "object",
    "properties": {
        "kind": one_of(*KINDS, about="What the step does; by default it calls a function.")
    },
    "allOf": [
        {
            "if": _SAYS_NO_KIND
            if kind == "processing"
            else {"required": ["kind"], "properties": {"kind": {"const": kind}}},
            "then": ref(kind),
        }
        for kind in KINDS
    ],
}
