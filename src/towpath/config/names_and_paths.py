"""The small grammars inside the declarations: names, paths, durations, models, functions."""

from __future__ import annotations

import codecs
import keyword
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, NoReturn, TypeAlias

from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from towpath.config.format_names import COLUMN_TYPES, FORMAT_NAMES
from towpath.credentials import hide_credentials, is_secret_name
from towpath.errors import did_you_mean

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)? ?(?:ms|s|m|h|d|w) ?)+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h|d|w)")
_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(MB|GB|TB)")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WILDCARD = re.compile(r"[*?]|\[[^\]]*\]")
# Arguments of a flow's own call in Prefect, and what pydantic keeps for itself in the model that
# Prefect makes of its parameters.
_PREFECTS = frozenset({"self", "wait_for", "return_state", "model_config"})
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_LEAST_MEMORY = 64 << 20
OUTPUT_REFERENCE = r"[A-Za-z0-9_-]+:[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"
MODEL_REFERENCE = r"[a-z0-9-]+(@(v\d+\.\d+\.\d+|latest)|#[a-z0-9]([a-z0-9-]*[a-z0-9])?)"
_ENCODINGS = ("utf-8", "utf-16", "latin-1", "cp1252", "cp1250", "cp437", "ascii", "shift_jis")
_USUAL_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("str", "text", "object", "utf8", "varchar"), "write `string`"),
    **dict.fromkeys(("int", "int64", "int32", "long", "bigint"), "write `integer`"),
    **dict.fromkeys(("float", "float64", "float32", "double", "decimal"), "write `number`"),
    **dict.fromkeys(("date", "time", "timestamp", "datetime64"), "write `datetime`"),
    **dict.fromkeys(("bool", "flag"), "write `boolean`"),
}


def refuse_value(what: str, hint: str | None = None) -> NoReturn:
    """Raise what pydantic turns into one fault with these words."""
    # Its words stand in the context, for pydantic fills braces in a message, as of `{raw}`.
    raise PydanticCustomError("towpath", "{what}", {"what": what, "hint": hint})


class Grammar(Struct, frozen=True):
    """Text of one shape. ``what`` is said of other text, which ``{}`` in it stands for; ``replace``
    is what spoils a text, and what to write in its place: for the hint."""

    pattern: str
    what: str
    hint: str | None = None
    replace: tuple[str, str] | None = None

    def __call__(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text, re.ASCII):
            refuse_value(self.what.format(f"`{text}`"), self._spelling_hint(text))
        return text

    def _spelling_hint(self, text: str) -> str | None:
        if self.replace is None:
            return self.hint
        cased = text if "A-Z" in self.pattern else text.lower()
        # A hint that this very grammar refuses would send a person round in a circle.
        near = re.sub(*self.replace, cased, flags=re.ASCII).strip("_-.")
        return f"write `{near}`" if re.fullmatch(self.pattern, near) else None


FREE_NAME = Grammar(
    "[A-Za-z_][A-Za-z0-9_]*",
    "{} is no name: letters, digits and `_` only, no digit first",
    replace=(r"\W+", "_"),
)
FREE_NAME_SHAPE = re.compile(FREE_NAME.pattern, re.ASCII)
pipeline = Grammar(
    "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?",
    "the folder {} names no pipeline",
    "letters, digits, `_` and `-` only",
)
model = Grammar(
    # The registry takes no longer name, and would only say so after the training.
    "[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?",
    "{} is no model's name: lower case, digits and `-` only, 100 at most",
    replace=("[^a-z0-9]+", "-"),
)
stage = Grammar(model.pattern, "{} is no name of a stage: lower case, digits and `-` only")
run_environment = Grammar(
    model.pattern,
    "{} is no name of an environment: lower case, digits and `-` only",
    replace=("[^a-z0-9]+", "-"),
)
project = Grammar(
    "[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?",
    "{} is no name of a project: letters, digits, `-` and `_` only",
)
branch = Grammar(
    r"(?!.*\.\.)(?!.*(\.lock|\.)$)[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)*",
    "{} is no name of a branch",
    "write `main`",
)
environment = Grammar(  # a value that was written by mistake is not repeated
    "[A-Z_][A-Z0-9_]*",
    "this is no name of an environment variable: credentials are never written down",
    "write the name of an environment variable, such as `PROD_ACCESS_KEY`",
)
repository = Grammar(r"[\w.-]+/[\w.-]+", "{} names no repository", "write `owner/name`")
tag_writer = Grammar(
    r"admin|maintain|write|app/\d+|@[\w.-]+/[\w.-]+",
    "{} cannot be a writer of tags",
    "write `admin`, `maintain`, `write`, `@owner/team` or `app/<id>`",
)
notification_block = Grammar(
    "[a-z0-9-]+/[a-z0-9_-]+",
    "{} names no block",
    "write its kind and its name, as `slack-webhook/alerts`",
)
step_output = Grammar(
    r"[A-Za-z_]\w*\.[A-Za-z_]\w*", "{} names no output of a step", "write `step.output`"
)
model_source = Grammar(
    MODEL_REFERENCE,
    "{} names no version of a model",
    "write `model@v1.0.0`, `model@latest` or `model#stage`",
)
requirements_file = Grammar(
    r".*\.(txt|in)", "{} is no file of requirements", "write `requirements.txt`"
)
notebook_file = Grammar(r".*\.ipynb", "{} is no notebook", "a notebook of Jupyter's ends in .ipynb")
scheduler_address = Grammar(
    r"(tcp|tls|ws|wss|ucx)://[^\s/@]+:\d+",
    "{} is no address of a scheduler",
    "write `tcp://host:8786`",
)
decimal_mark = Grammar("[.,]", "{} is no decimal mark", 'write "," or "."')
format_name = Grammar(
    "[a-z0-9][a-z0-9_-]*",
    "{} is no name of a format: lower case, digits, `-` and `_` only",
    replace=(r"^\.|[^a-z0-9_-]", ""),
)


def check_argument_name(text: str) -> str:
    """A name of a parameter, an input, a step or an output: usable as an argument in Python."""
    if keyword.iskeyword(FREE_NAME(text)):
        refuse_value(f"`{text}` is a word of Python and cannot be a name", f"write `{text}_`")
    return text


def check_parameter(text: str) -> str:
    """A name that Prefect takes for a flow's parameter: none of its own, nor of its model's."""
    if text in _PREFECTS or text.startswith("_"):
        near = f"{text.strip('_')}_value"
        refuse_value(f"`{text}` cannot be a parameter: Prefect keeps it", f"write `{near}`")
    return text


def is_model_reference(text: str) -> bool:
    """Whether an input names a model of the registry: ``abalone@v1.0.0``, ``abalone#prod``."""
    return bool(re.fullmatch(MODEL_REFERENCE, text))


def is_output_reference(text: str) -> bool:
    """Whether an input names an output of another pipeline: ``data_processing:create.table``."""
    return bool(re.fullmatch(OUTPUT_REFERENCE, text, re.ASCII))


def check_path(text: str) -> str:
    """A path below a folder, with ``/`` between its parts; a slash behind it means a folder."""
    pure = PurePosixPath(text)
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:[\\/]", text):
        refuse_value(f"`{text}` is an absolute path", "write a relative one")
    if "\\" in text:
        refuse_value(f"`{text}` has a backslash", f"write `{text.replace(chr(92), '/')}`")
    if ".." in pure.parts:
        refuse_value(f"`{text}` leaves its folder", "remove `..`")
    if not text.isprintable():
        refuse_value("the path holds a control character")
    if not pure.parts or not text.strip():
        refuse_value("the path is empty")
    return text


def check_variable(text: str) -> str:
    """The name of a variable of the environment whose value may be written down."""
    FREE_NAME(text)
    if is_secret_name(text):
        hint = f"write `secrets: [{text}]`, which takes it from the environment"
        refuse_value(f"`{text}` is a secret by its name: secrets are never written down", hint)
    return text


_SQL_FILE = re.compile(r"\S+\.sql")


def find_sql_file(sql: str) -> str | None:
    """The file that ``sql:`` names; None where it is the SQL itself."""
    return sql.strip() if _SQL_FILE.fullmatch(sql.strip()) else None


def check_sql(text: str) -> str:
    """SQL, or the path of a file that holds it."""
    if not text.strip():
        refuse_value("there is no SQL", "write `sql: totals.sql`, or the SQL itself")
    if file := find_sql_file(text):
        return check_path(file)
    return text


def check_source(text: str) -> str:
    """What a pipeline's input names: a path from the project's root, a model, or an output of
    another pipeline."""
    if is_output_reference(text):
        return text
    if re.fullmatch(r"[A-Za-z0-9_-]+:[\w.]*", text, re.ASCII):
        hint = f"write `pipeline:step.output`; a file of that name is `./{text}`"
        refuse_value(f"`{text}` names no output of a pipeline", hint)
    if ("@" in text or "#" in text) and "/" not in text and "." not in text.split("@")[0]:
        return model_source(text)
    if how := remote_hint(text):
        refuse_value(f"`{text}` is no path of the project", how)
    return check_path(text)


def remote_hint(text: str) -> str | None:
    """How data that is not one path of the project is brought there; None for what is one."""
    if _ADDRESS.match(text):
        return f"write `{{from: {text}}}`: the run brings it to {data_place(text) or 'its `path`'}"
    if wildcard := _WILDCARD.search(text):
        folder = text[: wildcard.start()].rpartition("/")[0]
        return f"a pattern is none: name the folder, `{folder}/`" if folder else "name a folder"
    return None


SCHEMES = ("s3", "gs", "azure", "http", "https", "ssh", "hdfs", "webhdfs", "oss", "remote")


def check_address(text: str) -> str:
    """Where DVC brings data from: ``s3://bucket/trips/``, ``https://...``, or
    ``remote://name/path`` below a remote of the project's."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        refuse_value(f"`{text}` is no address", "write `s3://bucket/raw.csv` or `https://...`")
    if scheme not in SCHEMES:
        hint = did_you_mean(scheme, SCHEMES) or f"the schemes are {', '.join(SCHEMES)}"
        refuse_value(f"nothing is brought from `{scheme}://`", hint)
    if not rest.strip("/") or not text.isprintable():
        refuse_value(f"`{text}` names nothing to bring", "write `s3://bucket/raw.csv`")
    if hide_credentials(text) != text:  # the file is in Git, where others read it
        hint = (
            "write `remote://name/path`, and give that remote its credentials (`dvc remote modify`)"
        )
        refuse_value("the address holds a password or a key", hint)
    return text


def data_place(address: str) -> str:
    """Where data from an address lies when nothing else is said: ``data/trips/``, ``data/raw.csv``;
    empty where its last part is no name of a file."""
    name = address.partition("?")[0].rstrip("/").rpartition("/")[2]
    slash = "/" if is_folder_path(address) else ""
    return f"data/{name}{slash}" if re.fullmatch(r"[\w][\w.~-]*", name) else ""


def check_function(text: str) -> str:
    """``train`` in ``steps.py`` beside the pipeline, or ``package.module:function``."""
    module, colon, attribute = text.rpartition(":")
    parts = [*module.split("."), attribute] if colon else [text]
    if not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
        hint = "write `function`, or `module:function` from the project's root"
        refuse_value(f"`{text}` names no function", hint)
    return text


def parse_duration(value: Any) -> Any:
    """Seconds out of ``90``, ``10s``, ``1h30m``, ``30d``; units are ms, s, m, h, d and w."""
    if not isinstance(value, str):
        return value
    if not _DURATION.fullmatch(value):
        refuse_value(f"`{value}` is no duration", "write `10s`, `30m`, `1h30m` or `30d`")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))


def parse_memory(value: Any) -> int:
    """Bytes out of ``500MB``, ``2GB``, ``1.5TB``; a unit is 1,024 times the one before it."""
    amount = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    if amount is None:
        refuse_value(f"`{value}` is no amount of memory", "write `500MB` or `2GB`")
    size = round(float(amount[1]) * _BYTES[amount[2]])
    # Python with a table or a model in it takes more before the step's first line: no step of
    # anybody's could end well, and each would fail as if its own code had been too greedy.
    if size < _LEAST_MEMORY:
        refuse_value(f"`{value}` is less than a process takes by itself", "write `64MB` or more")
    return size


def output_stem(file: str) -> str:
    """The name of an output by its file: ``reports/metrics.json`` is ``metrics``."""
    return PurePosixPath(file).name.split(".")[0]


def type_name(text: str) -> str:
    """The full name of a type: ``package.module.Type``."""
    if "." not in text or not all(part.isidentifier() for part in text.split(".")):
        refuse_value(f"`{text}` names no type", "write `package.module.Type`")
    return text


def known_format(text: str, info: ValidationInfo) -> str:
    """The name of a format that is known where a declaration is read; anywhere else any name."""
    format_name(text)
    if info.context is not None and text not in (formats := info.context["formats"]):
        refuse_value(unknown_format(text, formats), did_you_mean(text, formats) or OWN_FORMATS)
    return text


OWN_FORMATS = "`formats:` declares one of your own"


def unknown_format(text: str, known: Sequence[str]) -> str:
    """What is wrong with a format that nothing knows."""
    listed = f"{', '.join(f'`{name}`' for name in known[:-1])} or `{known[-1]}`"
    return f"`format` must be {listed}, not `{text}`"


def own_format_name(text: str) -> str:
    """The name of a format of the project's own, which none of Towpath's has."""
    if text in FORMAT_NAMES:
        hint = "give yours another name, and say `format:` where it is meant"
        refuse_value(f"`{text}` is a format of Towpath's", hint)
    return format_name(text)


def class_path(text: str) -> str:
    """``shared.formats:Shapefile``, from the project's root."""
    if ":" not in text:
        refuse_value(f"`{text}` names no class", "write `module:Class`, from the project's root")
    return check_function(text)


def check_separator(text: str) -> str:
    """One character between fields."""
    if len(text) != 1 or text in '"\r\n\0':
        hint = 'write one character, such as ";" or "\\t"'
        refuse_value(f"{text!r} cannot stand between fields".replace("'", "`"), hint)
    return text


def check_encoding(text: str) -> str:
    """The name of an encoding that Python knows."""
    try:
        codec = codecs.lookup(text)
    except (LookupError, ValueError):
        hint = did_you_mean(text.lower(), _ENCODINGS) or f"such as {', '.join(_ENCODINGS[:4])}"
        refuse_value(f"there is no encoding `{text}`", hint)
    # By a private attribute, as `open` asks it: none that is public tells rot13, base64 and zip
    # from encodings of text.
    if not codec._is_text_encoding:
        refuse_value(f"`{text}` is no encoding of text", f"such as {', '.join(_ENCODINGS[:4])}")
    return text


def column_type(text: str) -> str:
    """A column's type."""
    if text not in COLUMN_TYPES:
        hint = did_you_mean(text, COLUMN_TYPES) or f"the types are {', '.join(COLUMN_TYPES)}"
        refuse_value(f"there is no type `{text}`", _USUAL_TYPES.get(text.lower(), hint))
    return text


def is_folder_path(file: str) -> bool:
    """Whether a path was written as a folder's."""
    return file.endswith("/")


Name: TypeAlias = Annotated[str, AfterValidator(check_argument_name)]
PipelineName: TypeAlias = Annotated[str, AfterValidator(pipeline)]
ModelName: TypeAlias = Annotated[str, AfterValidator(model)]
EnvironmentName: TypeAlias = Annotated[str, AfterValidator(run_environment)]
StageName: TypeAlias = Annotated[str, AfterValidator(stage)]
ProjectName: TypeAlias = Annotated[str, AfterValidator(project)]
BranchName: TypeAlias = Annotated[str, AfterValidator(branch)]
Environment: TypeAlias = Annotated[str, AfterValidator(environment)]
Repository: TypeAlias = Annotated[str, AfterValidator(repository)]
Variable: TypeAlias = Annotated[str, AfterValidator(check_variable)]
NotificationBlock: TypeAlias = Annotated[str, AfterValidator(notification_block)]
TagWriter: TypeAlias = Annotated[str, AfterValidator(tag_writer)]
TypeName: TypeAlias = Annotated[str, AfterValidator(type_name)]
File: TypeAlias = Annotated[str, AfterValidator(check_path)]
DataAddress: TypeAlias = Annotated[str, AfterValidator(check_address)]
ModelSource: TypeAlias = Annotated[str, AfterValidator(model_source)]
InputSource: TypeAlias = Annotated[str, AfterValidator(check_source)]
Function: TypeAlias = Annotated[str, AfterValidator(check_function)]
FormatName: TypeAlias = Annotated[str, AfterValidator(known_format)]
OwnFormatName: TypeAlias = Annotated[str, AfterValidator(own_format_name)]
ClassPath: TypeAlias = Annotated[str, AfterValidator(class_path)]
Duration: TypeAlias = Annotated[
    float, Field(gt=0, allow_inf_nan=False), BeforeValidator(parse_duration)
]
Memory: TypeAlias = Annotated[int, BeforeValidator(parse_memory)]
Pause: TypeAlias = Annotated[
    float, Field(ge=0, allow_inf_nan=False), BeforeValidator(parse_duration)
]
