"""The schema of a stage's `deploy`: a target by its kind."""

from __future__ import annotations

from towpath.spec.schema.terms import Schema, a, fields, listed, one_of, ref

_SAMPLE = {"sample": ref("path", "Rows for the smoke test, from a file of the project.")}


def _target(to: str, required: tuple[str, ...], more: Schema) -> Schema:
    properties = {"to": {"const": to}, **more, **_SAMPLE}
    return fields(properties, required=("to", *required))


TARGETS: Schema = {
    "files": _target(
        "files",
        ("path",),
        {"path": a("string", "The folder that a server watches.", minLength=1)},
    ),
    "prefect": _target(
        "prefect",
        (),
        {
            "flow": a("string", "The entrypoint of a flow, by default Towpath's own.", minLength=1),
            "parameters": a("object", "What the flow is given beside the version."),
            "schedule": a("string", "When it runs, in cron's words.", minLength=1),
            "path": a("string", "The project's folder where the worker runs.", minLength=1),
        },
    ),
    "command": _target(
        "command",
        ("run",),
        {
            "run": ref("argv", "Deploys a version."),
            "check": ref("argv", "Prints the version that runs."),
            "remove": ref("argv", "Takes the model out."),
            "timeout": ref("duration", "By default 10m."),
        },
    ),
}

_KIND: Schema = {"to": one_of(*TARGETS, about="What runs a version in the stage.")}

DEPLOYMENT: Schema = {
    "type": "object",
    "required": ["to"],
    "properties": _KIND,
    "allOf": [
        {
            "if": {"required": ["to"], "properties": {"to": {"const": kind}}},
            "then": ref(f"deploy_{kind}"),
        }
        for kind in TARGETS
    ],
}

DEFINITIONS: Schema = {
    "argv": listed(a("string"), minItems=1),
    "deploy": DEPLOYMENT,
    **{f"deploy_{kind}": schema for kind, schema in TARGETS.items()},
}
