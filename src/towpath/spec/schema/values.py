"""The definitions that several parts of a pipeline share: names, references, paths, outputs."""

from __future__ import annotations

import keyword

from towpath.spec.pipeline import FORMAT_NAMES
from towpath.spec.schema.terms import Schema, a, either, fields, listed, named, one_of, ref
from towpath.spec.table_options import COLUMN_TYPES

_REFERENCE = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*|\[(-?\d+|\"[^\"]*\"|'[^']*')\])*"
_RELATIVE = r"(?![/~])(?![A-Za-z]:[\\/])(?!.*\\)(?!(.*/)?\.\.(/|$))(?!(\./*)*\.?$)(?!\s*$)"
FORMAT_NAME = "^[a-z0-9][a-z0-9_-]*$"
OWN_FORMAT: Schema = {"pattern": FORMAT_NAME, "not": {"enum": list(FORMAT_NAMES)}}
_DURATION = r"(\d+(\.\d+)? ?(ms|s|m|h|d|w) ?)+"

_READABLE: Schema = {
    "format": either(
        one_of(*FORMAT_NAMES),
        a("string", "One of the project's own, of `formats`.", pattern=FORMAT_NAME),
        about="The format, where the extension does not tell it.",
    ),
    "separator": a(
        "string", "What stands between the fields of a .csv or .tsv.", minLength=1, maxLength=1
    ),
    "decimal": one_of(".", ",", about="The mark before the fraction of a number."),
    "encoding": a("string", "The encoding of a .csv or .tsv, such as `latin-1`.", minLength=1),
    "types": a(
        "object",
        "Types of columns that are not to be guessed.",
        additionalProperties=one_of(*COLUMN_TYPES),
    ),
    "missing": either(
        a("string"),
        listed(a("string")),
        about='The texts that stand for no value, such as `[""]`.',
    ),
}

VALUES: Schema = {
    "name": {
        "type": "string",
        "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
        "not": {"enum": keyword.kwlist},
    },
    "names": either(ref("name"), listed(ref("name"))),
    "reference": a(
        "string",
        "`param`, `input` or `step.output[.key]`; `a.x or b.x` takes the one that was made.",
        pattern=rf"^\s*{_REFERENCE}( or {_REFERENCE})*\s*$",
    ),
    "bindings": either(listed(ref("reference")), named(ref("reference"))),
    "path": a("string", pattern=f"^{_RELATIVE}.+$"),
    "source": either(
        a(
            "string",
            pattern=r"^[a-z0-9-]+(@(v\d+\.\d+\.\d+|latest)|#[a-z0-9]([a-z0-9-]*[a-z0-9])?)$",
        ),
        a("string", pattern=rf"^{_RELATIVE}([^@#]*|.*/.*|[^@]*\.[^@]*(@.*)?)$"),
        about="A path from the project's root (`dir/` is a folder), or a model: "
        "`abalone@v1.0.0`, `abalone@latest`, `abalone#prod`.",
    ),
    "input": either(ref("source"), ref("long_input")),
    "long_input": fields(
        {"path": ref("source", "A path from the project's root."), **_READABLE}, required=("path",)
    ),
    "duration": either(
        a("number", exclusiveMinimum=0),
        a("string", pattern=f"^(?=.*[1-9]){_DURATION}$"),
        about="Seconds, or `10s`, `30m`, `1h30m`, `30d`.",
    ),
    "pause": either(
        a("number", minimum=0),
        a("string", pattern=f"^{_DURATION}$"),
        about="Seconds, or `10s`, `30m`.",
    ),
    "function": a("string", pattern=r"^([A-Za-z_]\w*(\.[A-Za-z_]\w*)*:)?[A-Za-z_]\w*$"),
    "plot": fields(
        {
            "x": a("string", "The column along the x axis."),
            "y": a("string", "The column along the y axis."),
            "title": a("string", "The plot's title."),
            "x_label": a("string", "What the x axis is called."),
            "y_label": a("string", "What the y axis is called."),
            "template": a(
                "string", "One of DVC's templates: `linear`, `scatter`, `confusion`, ..."
            ),
        }
    ),
    "output": either(ref("path"), ref("long_output")),
    "long_output": fields(
        {
            "path": ref("path", "The file below the step's own folder; `dir/` is a folder."),
            "plot": either(
                a("boolean"), ref("plot"), about="Whether and how `dvc plots show` draws it."
            ),
            **_READABLE,
        },
        required=("path",),
    ),
    "outputs": either(listed(ref("output")), named(ref("output"))),
}
