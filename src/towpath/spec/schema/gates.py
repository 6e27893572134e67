"""The definitions of gates, one for each kind."""

from __future__ import annotations

from towpath.spec.schema.terms import Schema, a, either, fields, listed, one_of, ref
from towpath.spec.schema.values import VALUES

_NOT_NEGATIVE = a("number", minimum=0)
_SHARE = either(_NOT_NEGATIVE, a("string", pattern=r"^\d+(\.\d+)? ?%$"), about="`5%` or 0.05.")
_ERRORS = ("mae", "mse", "rmse", "bias", "accuracy", "error_rate")
_WHEN = {"enum": ["review", "deploy"]}
_AFTER_THE_MERGE = {"enum": ["deploy"]}
_TIMEOUT: Schema = {"timeout": ref("duration", "After so long it has failed; by default 10m.")}
_NOT_BOTH: Schema = {
    "not": {"required": ["when", "data"], "properties": {"when": {"const": "review"}}}
}


def _kind(
    kind: str, about: str, required: tuple[str, ...], own: Schema, when: Schema | None = None
) -> Schema:
    properties = {
        "kind": {"const": kind},
        "when": {"description": "On the pull request, or after the merge.", **(when or _WHEN)},
        "description": a("string", "What the gate is for."),
        **own,
    }
    gate = fields(properties, about, required)
    return {key: value for key, value in gate.items() if key != "type"}


def _any_of(*keys: str) -> Schema:
    return {"anyOf": [{"required": [key]} for key in keys]}


def _one_of(*keys: str) -> Schema:
    return {"oneOf": [{"required": [key]} for key in keys]}


GATES: Schema = {
    "metric": {
        **_kind(
            "metric",
            "A metric within bounds.",
            ("metric",),
            {
                "metric": a("string", "Its name, dotted where it is nested.", minLength=1),
                "above": a("number", "It must be greater."),
                "below": a("number", "It must be less."),
                "at_least": a("number", "It must be this or greater."),
                "at_most": a("number", "It must be this or less."),
            },
        ),
        **_any_of("above", "below", "at_least", "at_most"),
    },
    "no_worse": {
        **_kind(
            "no_worse",
            "A metric no worse than the incumbent's.",
            ("metric", "better"),
            {
                "metric": a("string", "Its name, dotted where it is nested.", minLength=1),
                "better": one_of("lower", "higher", about="Which is better."),
                "by": a("number", "How much worse it may be.", minimum=0),
                "relative": {**_SHARE, "description": "How much worse, as a share: `5%`, 0.05."},
            },
        ),
        "not": {"required": ["by", "relative"]},
    },
    "signature": _kind("signature", "Callers of the incumbent can call the candidate.", (), {}),
    "soak": _kind(
        "soak",
        "Time spent in the stage below.",
        ("at_least",),
        {"at_least": ref("duration", "Such as `24h`.")},
    ),
    "expectations": _kind(
        "expectations",
        "The stage's data holds against a suite.",
        ("expectations", "data"),
        {
            "expectations": ref("path", "The suite, from the project's root."),
            "data": ref("path", "A file of the stage's data."),
            **_TIMEOUT,
        },
        _AFTER_THE_MERGE,
    ),
    "golden": _kind(
        "golden",
        "Inputs with the outputs that the model must give.",
        ("samples",),
        {
            "samples": ref("path", "A table or JSON, from the project's root."),
            "expected": a(
                "string", "The column with the outputs; by default `expected`.", minLength=1
            ),
            "absolute": a("number", "How far off an output may be.", minimum=0),
            "relative": {**_SHARE, "description": "How far off, as a share: `1%`, 0.01."},
            **_TIMEOUT,
        },
    ),
    "safe": _kind("safe", "Bytes as recorded, with nothing unsafe in them.", (), _TIMEOUT),
    "fairness": {
        **_kind(
            "fairness",
            "The error by group.",
            ("data", "target", "group", "metric"),
            {
                "data": ref("path", "A file of the stage's data."),
                "target": a("string", "The column with what was true.", minLength=1),
                "group": a("string", "The column whose values are the groups.", minLength=1),
                "metric": one_of(*_ERRORS, about="The error."),
                "difference": a("number", "How far groups may lie apart.", minimum=0),
                "ratio": a("number", "How many times another's one may be.", minimum=1),
                "least_rows": a("integer", "A smaller group is not judged.", minimum=1),
                **_TIMEOUT,
            },
            _AFTER_THE_MERGE,
        ),
        **_any_of("difference", "ratio"),
    },
    "latency": {
        **_kind(
            "latency",
            "How long predicting takes.",
            ("at_most",),
            {
                "at_most": ref("duration", "Such as `50ms`."),
                "percentile": one_of("p50", "p95", "p99", about="By default p95."),
                "samples": ref("path", "Rows from a file, from the project's root."),
                "data": ref("path", "Rows from a file of the stage's data."),
                "rows": a("integer", "Rows in a call; by default 1.", minimum=1, maximum=1_000_000),
                "calls": a("integer", "By default 200.", minimum=1, maximum=100_000),
                "warm_up": a("integer", "Calls before those.", minimum=0, maximum=100_000),
                **_TIMEOUT,
            },
        ),
        **_one_of("samples", "data"),
        **_NOT_BOTH,
    },
    "function": {
        **_kind(
            "function",
            "The project's own.",
            ("run",),
            {
                "run": a(
                    "string",
                    "`module:function`, from the project's root.",
                    pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
                ),
                "model": a("boolean", "false: it does not need the version's bytes."),
                "data": listed(ref("path"), "Files of the stage's data that it needs."),
                "environment": listed(a("string"), "Variables that it gets; else only bare ones."),
                "network": a("boolean", "true: it may connect."),
                **_TIMEOUT,
            },
        ),
        "not": {
            "required": ["when", "data"],
            "properties": {"when": {"const": "review"}, "data": {"minItems": 1}},
        },
    },
}

GATE: Schema = {
    "type": "object",
    "required": ["kind"],
    "properties": {"kind": one_of(*GATES, about="What is checked.")},
    "allOf": [
        {
            "if": {"required": ["kind"], "properties": {"kind": {"const": kind}}},
            "then": ref(f"gate_{kind}"),
        }
        for kind in GATES
    ],
}

DEFINITIONS: Schema = {
    **{name: VALUES[name] for name in ("path", "duration")},
    "gate": GATE,
    **{f"gate_{kind}": schema for kind, schema in GATES.items()},
}
