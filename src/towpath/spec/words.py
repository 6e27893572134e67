"""The small grammars inside the declarations: names, paths, durations, models, functions."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, NoReturn, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from towpath.errors import did_you_mean

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_PIPELINE = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?")
_BRANCH = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)*", re.ASCII)
_PROJECT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")
_ENVIRONMENT = re.compile(r"[A-Z_][A-Z0-9_]*")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_WRITER = re.compile(r"admin|maintain|write|app/\d+|@[\w.-]+/[\w.-]+")
_VERSION = re.compile(r"[a-z0-9-]+(@(v\d+\.\d+\.\d+|latest)|#[a-z0-9]([a-z0-9-]*[a-z0-9])?)")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)? ?(?:ms|s|m|h|d|w) ?)+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h|d|w)")
_FORMAT = re.compile(r"[a-z0-9][a-z0-9_-]*")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_PATTERN = re.compile(r"[*?]|\[[^\]]*\]")
_PREFECTS = frozenset({"self", "wait_for", "return_state", "model_config"})
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def refuse(what: str, hint: str | None = None) -> NoReturn:
    """Raise what pydantic turns into one fault with these words."""
    raise PydanticCustomError("towpath", "{what}", {"what": what, "hint": hint})


def name(text: str) -> str:
    """A name of a parameter, an input, a step or an output: usable as an argument in Python."""
    if not _NAME.fullmatch(text):
        near = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
        hint = f"write `{near}`" if _NAME.fullmatch(near) else None
        refuse(f"`{text}` is no name: letters, digits and `_` only, no digit first", hint)
    if keyword.iskeyword(text):
        refuse(f"`{text}` is a word of Python and cannot be a name", f"write `{text}_`")
    return text


def parameter(text: str) -> str:
    """A name that Prefect takes for a flow's parameter: none of its own, nor of its model's."""
    if text in _PREFECTS or text.startswith("_"):
        near = f"{text.strip('_')}_value"
        refuse(f"`{text}` cannot be a parameter: Prefect keeps it", f"write `{near}`")
    return text


def pipeline(text: str) -> str:
    """A pipeline's name, which is that of its folder."""
    if not _PIPELINE.fullmatch(text):
        hint = "letters, digits, `_` and `-` only"
        refuse(f"the folder `{text}` names no pipeline", hint)
    return text


def model(text: str) -> str:
    """A model's name in the registry: lower case, digits and hyphens, as a Git tag may hold."""
    if not _MODEL.fullmatch(text):
        near = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        hint = f"write `{near}`" if near else None
        refuse(f"`{text}` is no model's name: lower case, digits and `-` only", hint)
    return text


def is_model_reference(text: str) -> bool:
    """Whether an input names a model of the registry: ``abalone@v1.0.0``, ``abalone#prod``."""
    return bool(_VERSION.fullmatch(text))


def path(text: str) -> str:
    """A path below a folder, with ``/`` between its parts; a slash behind it means a folder."""
    pure = PurePosixPath(text)
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:[\\/]", text):
        refuse(f"`{text}` is an absolute path", "write a relative one")
    if "\\" in text:
        refuse(f"`{text}` has a backslash", f"write `{text.replace(chr(92), '/')}`")
    if ".." in pure.parts:
        refuse(f"`{text}` leaves its folder", "remove `..`")
    if not pure.parts or not text.strip() or not text.isprintable():
        refuse("the path is empty" if text.isprintable() else "the path holds a control character")
    return text


def source(text: str) -> str:
    """What a pipeline's input names: a path from the project's root, or a model."""
    if ("@" in text or "#" in text) and "/" not in text and "." not in text.split("@")[0]:
        if not is_model_reference(text):
            hint = "write `model@v1.0.0`, `model@latest` or `model#stage`"
            refuse(f"`{text}` names no version of a model", hint)
        return text
    if how := remote_hint(text):
        refuse(f"`{text}` is no path of the project", how)
    return path(text)


def remote_hint(text: str) -> str | None:
    """How data that is not one path of the project is brought there; None for what is one."""
    if _ADDRESS.match(text):
        name = text.rstrip("/").rpartition("/")[2].partition("?")[0] or "name"
        return f"`dvc import-url {text} data/{name}` brings it under DVC: then write `data/{name}`"
    if _PATTERN.search(text):
        folder = text[: _PATTERN.search(text).start()].rpartition("/")[0]  # type: ignore[union-attr]
        return f"a pattern is none: name the folder, `{folder}/`" if folder else "name a folder"
    return None


def function(text: str) -> str:
    """``train`` in ``steps.py`` beside the pipeline, or ``package.module:function``."""
    module, colon, attribute = text.rpartition(":")
    parts = [*module.split("."), attribute] if colon else [text]
    if not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
        hint = "write `function`, or `module:function` from the project's root"
        refuse(f"`{text}` names no function", hint)
    return text


def duration(value: Any) -> Any:
    """Seconds out of ``90``, ``10s``, ``1h30m``, ``30d``; units are ms, s, m, h, d and w."""
    if not isinstance(value, str):
        return value
    if not _DURATION.fullmatch(value):
        refuse(f"`{value}` is no duration", "write `10s`, `30m`, `1h30m` or `30d`")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))


def stem(file: str) -> str:
    """The name of an output by its file: ``reports/metrics.json`` is ``metrics``."""
    return PurePosixPath(file).name.split(".")[0]


def stage(text: str) -> str:
    """A stage's or a store's name: lower case, as it stands in a tag, a folder and a branch."""
    if not _MODEL.fullmatch(text):
        refuse(f"`{text}` is no name of a stage: lower case, digits and `-` only")
    return text


def project(text: str) -> str:
    """A project's name: what a folder, a package and a Prefect work pool can be called."""
    if not _PROJECT.fullmatch(text):
        refuse(f"`{text}` is no name of a project: letters, digits, `-` and `_` only")
    return text


def branch(text: str) -> str:
    """The name of a branch, as Git takes it."""
    if not _BRANCH.fullmatch(text) or ".." in text or text.endswith((".lock", ".")):
        refuse(f"`{text}` is no name of a branch", "write `main`")
    return text


def environment(text: str) -> str:
    """The name of an environment variable: a value written by mistake is not repeated."""
    if not _ENVIRONMENT.fullmatch(text):
        hint = "write the name of an environment variable, such as `PROD_ACCESS_KEY`"
        refuse(
            "this is no name of an environment variable: credentials are never written down", hint
        )
    return text


def repository(text: str) -> str:
    """A repository at a forge: ``owner/name``."""
    if not _REPOSITORY.fullmatch(text):
        refuse(f"`{text}` names no repository", "write `owner/name`")
    return text


def tag_writer(text: str) -> str:
    """Who may make tags at a forge: a role, a team, or an app by its number."""
    if not _WRITER.fullmatch(text):
        hint = "write `admin`, `maintain`, `write`, `@owner/team` or `app/<id>`"
        refuse(f"`{text}` cannot be a writer of tags", hint)
    return text


def type_name(text: str) -> str:
    """The full name of a type: ``package.module.Type``."""
    if "." not in text or not all(part.isidentifier() for part in text.split(".")):
        refuse(f"`{text}` names no type", "write `package.module.Type`")
    return text


def format_name(text: str) -> str:
    """The name of a format: Towpath's, or one of the project's, which is an extension too."""
    if not _FORMAT.fullmatch(text):
        near = re.sub(r"[^a-z0-9_-]", "", text.lower().lstrip("."))
        hint = f"write `{near}`" if _FORMAT.fullmatch(near) else None
        refuse(f"`{text}` is no name of a format: lower case, digits, `-` and `_` only", hint)
    return text


def known_format(text: str, info: ValidationInfo) -> str:
    """The name of a format that is known where a declaration is read; anywhere else any name."""
    format_name(text)
    if info.context is not None and text not in (known := info.context["formats"]):
        refuse(unknown_format(text, known), did_you_mean(text, known) or OWN_FORMATS)
    return text


OWN_FORMATS = "`formats:` declares one of your own"


def unknown_format(text: str, known: Sequence[str]) -> str:
    """What is wrong with a format that nothing knows."""
    listed = f"{', '.join(f'`{name}`' for name in known[:-1])} or `{known[-1]}`"
    return f"`format` must be {listed}, not `{text}`"


def own_format_name(text: str) -> str:
    """The name of a format of the project's own, which none of Towpath's has."""
    from towpath.spec.pipeline import FORMAT_NAMES

    if text in FORMAT_NAMES:
        hint = "give yours another name, and say `format:` where it is meant"
        refuse(f"`{text}` is a format of Towpath's", hint)
    return format_name(text)


def class_path(text: str) -> str:
    """``shared.formats:Shapefile``, from the project's root."""
    if ":" not in text:
        refuse(f"`{text}` names no class", "write `module:Class`, from the project's root")
    return function(text)


def is_folder(file: str) -> bool:
    """Whether a path was written as a folder's."""
    return file.endswith("/")


Name: TypeAlias = Annotated[str, AfterValidator(name)]
PipelineName: TypeAlias = Annotated[str, AfterValidator(pipeline)]
ModelName: TypeAlias = Annotated[str, AfterValidator(model)]
StageName: TypeAlias = Annotated[str, AfterValidator(stage)]
ProjectName: TypeAlias = Annotated[str, AfterValidator(project)]
BranchName: TypeAlias = Annotated[str, AfterValidator(branch)]
Environment: TypeAlias = Annotated[str, AfterValidator(environment)]
Repository: TypeAlias = Annotated[str, AfterValidator(repository)]
TagWriter: TypeAlias = Annotated[str, AfterValidator(tag_writer)]
TypeName: TypeAlias = Annotated[str, AfterValidator(type_name)]
File: TypeAlias = Annotated[str, AfterValidator(path)]
InputSource: TypeAlias = Annotated[str, AfterValidator(source)]
Function: TypeAlias = Annotated[str, AfterValidator(function)]
FormatName: TypeAlias = Annotated[str, AfterValidator(known_format)]
OwnFormatName: TypeAlias = Annotated[str, AfterValidator(own_format_name)]
ClassPath: TypeAlias = Annotated[str, AfterValidator(class_path)]
Duration: TypeAlias = Annotated[float, BeforeValidator(duration), Field(gt=0, allow_inf_nan=False)]
Pause: TypeAlias = Annotated[float, BeforeValidator(duration), Field(ge=0, allow_inf_nan=False)]
