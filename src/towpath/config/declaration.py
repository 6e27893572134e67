"""The border: what every declared type has in common, and what pydantic found in our words."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeAlias, get_args

from msgspec import Struct, field
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from towpath import documents
from towpath.config import expression, names_and_paths
from towpath.config.names_and_paths import refuse_value
from towpath.errors import Fault, Place, did_you_mean


class Declaration(BaseModel):
    """Frozen; an unknown key is a fault, and so is text where a number belongs."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        defer_build=True,  # a command pays for the kinds that it meets
    )


def value_shape(value: Any) -> str:
    """Which branch of a union a value means to be, by its look alone: one fault, not one each."""
    if isinstance(value, Mapping | BaseModel):
        return "mapping"
    return "switch" if isinstance(value, bool) else "list"


by_shape = Discriminator(value_shape)


def one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class ShortForm(Struct, frozen=True):
    """A value of one type stands for a mapping: ``retry: 3`` is ``retry: {attempts: 3}``."""

    kind: type
    key: str

    def __call__(self, value: Any) -> Any:
        is_short = isinstance(value, self.kind) and not isinstance(value, bool)
        return {self.key: value} if is_short else value


def kinds_of(union: Any, key: str = "kind") -> Mapping[str, Any]:
    """The types of a union by the word that ``key`` has in each."""
    return {get_args(model.model_fields[key].annotation)[0]: model for model in get_args(union)}


class Kinds(Struct, frozen=True):
    """A validator of a union by a key that says the kind: a command imports and builds only the
    kinds that it meets. ``module`` has the types by kind, in ``KINDS``; ``noun`` is what messages
    call one."""

    module: str
    noun: str
    key: str = "kind"

    @property
    def types_by_kind(self) -> Mapping[str, type[Declaration]]:
        types: Mapping[str, type[Declaration]] = importlib.import_module(self.module).KINDS
        return types

    def __call__(self, value: Any) -> Any:
        """The declaration that a mapping holds; a fault's place begins with its kind."""
        if isinstance(value, tuple(self.types_by_kind.values())):
            return value
        if not isinstance(value, Mapping):
            # pydantic asks for an `error` in the context of this one, which no message of ours has.
            details = [InitErrorDetails(type="mapping_type", input=value, ctx={"error": ""})]
        elif not isinstance(kind := value.get(self.key), str) or kind not in self.types_by_kind:
            details = [self._unknown_kind_error(value)]
        else:
            try:
                return self.types_by_kind[kind].model_validate(value, by_alias=True, by_name=False)
            except ValidationError as error:
                details = [_error_below(f"[{kind}]", detail) for detail in error.errors()]
        raise ValidationError.from_exception_data("declaration", details)

    def _unknown_kind_error(self, value: Mapping[str, Any]) -> InitErrorDetails:
        hint = f"the kinds are {', '.join(self.types_by_kind)}"
        if self.key in value:
            word = str(value[self.key])
            what = f"`{word}` is no kind of {self.noun}"
            hint = did_you_mean(word, self.types_by_kind) or hint
        else:
            what = f"the {self.noun} does not say its `{self.key}`"
        error = PydanticCustomError("towpath", "{what}", {"what": what, "hint": hint})
        return InitErrorDetails(type=error, loc=(self.key,), input=value)


def _error_below(branch: str, error: Any) -> InitErrorDetails:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "towpath":  # an error of our own is made anew: its type is no word of pydantic's
        kind = PydanticCustomError("towpath", "{what}", context)
    loc = (branch, *error["loc"])
    return InitErrorDetails(type=kind, loc=loc, input=error["input"], ctx=context)


class Parsed(Struct, frozen=True):
    """A validator of text that a parser of ours must be able to read, and which stays text."""

    parse: Callable[[str], object]
    hint: str | None = None

    def __call__(self, text: str) -> str:
        try:
            self.parse(text)
        except ValueError as error:
            refuse_value(str(error), _ALLOWED if "not allowed" in str(error) else self.hint)
        return text


_ALLOWED = "comparisons, `and`, `or`, `not`, `in` and arithmetic are"

REFERENCE = Parsed(expression.parse_alternatives)
CONDITION = Parsed(expression.parse_condition, "write it like `evaluate.metrics.mse <= max_mse`")
MESSAGE = Parsed(expression.parse_message, "write `{evaluate.metrics.mse:.2f}`")

Names: TypeAlias = Annotated[
    tuple[names_and_paths.Name, ...], BeforeValidator(one_or_more), Field(strict=False)
]
"""Names, one or a list."""
Ref: TypeAlias = Annotated[str, AfterValidator(REFERENCE)]
ConditionText: TypeAlias = Annotated[str, AfterValidator(CONDITION)]
MessageText: TypeAlias = Annotated[str, AfterValidator(MESSAGE)]
Bindings: TypeAlias = Annotated[
    Annotated[tuple[Ref, ...], Field(strict=False), Tag("list")]
    | Annotated[Mapping[names_and_paths.Name, Ref], Tag("mapping")],
    by_shape,
]
"""References: a list takes each item's last name, a mapping renames."""


_BRANCHES = ("list", "mapping", "switch")  # of a union, in pydantic's `loc`
Locate = Callable[..., Place | None]
_MUST: Mapping[str, str] = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "mapping_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "union_tag_invalid": "must be true, false or a mapping",
    "literal_error": "must be {expected}",
}

_HOW: Mapping[str, str] = {
    "run": "`run: prepare` calls the function `prepare` of steps.py",
    "command": "`command: python scripts/clean.py {raw} {clean}` runs that program",
    "notebook": "write `notebook: explore.ipynb`, beside this file or from the project's root",
    "sql": "write `sql: totals.sql`, a file beside this one, or the SQL itself",
    "if": "write `if: evaluate.metrics.mse <= max_mse`",
    "as": "write `as:` and the model's name",
    "expectations": "write `expectations: expectations/raw.yaml`",
    "outputs": "write `outputs: [scored.parquet]`",
    "inputs": "write `inputs:` and what the step takes",
    "group": "write `group:` and the column that names each row's group",
    "label": "write `label:` and the column with what was true",
    "pipeline": "write `pipeline: modelling`, the name of a folder in flows/",
    "answers": "write `answers: {approved: {type: boolean}}`",
    "message": "write `message:` and what to say",
    "ranges": "write `ranges: {rate: {at_least: 0.001, at_most: 1}}`",
    "trials": "write `trials: 20`",
}


class Places(Struct, frozen=True):
    """Where each part of a declaration stands; empty for what was made in Python.

    ``bodies`` are those of the pipelines that its steps carry out, by step: what is of one of them
    has the step's name before its own (``clean.create``).
    """

    node: documents.Node | None = None
    bodies: Mapping[str, Places] = field(default_factory=dict)

    def find_place(self, *loc: str | int) -> Place | None:
        """The place of ``steps, train, inputs, 0``: of the innermost part that is written.

        Parts that the document does not spell (the branch of a union) are passed over.
        """
        if self.node is None:
            return None
        if inner := self._inner_place(*loc[:2], *loc[2:]):
            return inner
        node, place = self.node, Place(self.node.place.file)
        for part in loc:
            if isinstance(node, documents.Mapping):
                entry = node.get(part) if isinstance(part, str) else None
                if entry:
                    node, place = entry.node, entry.place
            elif isinstance(node, documents.Sequence) and isinstance(part, int):
                node = node.items[part]
                place = node.place
        return place

    def _inner_place(
        self, section: str | int = "", name: str | int = "", *rest: str | int
    ) -> Place | None:
        first, dot, inner = str(name).partition(".")
        if first not in self.bodies:
            return None
        if dot:
            return self.bodies[first].find_place(section, inner, *rest)
        if section != "params" or not rest or not isinstance(self.node, documents.Mapping):
            return None
        own = self.node.get("params")  # which may have a group of the step's name
        is_own = own and isinstance(own.node, documents.Mapping) and own.node.get(first)
        return None if is_own else self.bodies[first].find_place("params", *rest)


NO_PLACES = Places()


def faults_of(
    error: ValidationError, model: type[BaseModel], owner: str, locate: Locate
) -> Iterator[Fault]:
    """Each thing that pydantic found as a fault.

    ``owner`` is what the model is called in messages (``step `train` (training)``); ``locate``
    gives the place of pydantic's ``loc``.
    """
    details = error.errors(include_url=False)
    errors = [_PydanticFault(detail, model, owner, locate) for detail in details]
    mistyped = [e for e in errors if e.type == "extra_forbidden"]
    meant_keys = {(e.path[:-1], e.nearest_key) for e in mistyped}
    for one_error in errors:
        # `rum: train` is one typo, not an unknown key and a missing one.
        if one_error.type != "missing" or (one_error.path[:-1], one_error.key) not in meant_keys:
            yield one_error.to_fault()


class _PydanticFault:
    """One of pydantic's errors, held against the declared type."""

    def __init__(self, error: Any, model: type[BaseModel], owner: str, locate: Locate) -> None:
        self.error = error
        self.type: str = error["type"]
        self.path = tuple(part for part in error["loc"] if not _is_branch(part))
        self.place = locate(*error["loc"])
        self.model = _model_at(model, error["loc"][:-1])
        self.owner = owner
        self.names = [part for part in self.path if isinstance(part, str)]

    @property
    def key(self) -> str:
        return self.names[-1] if self.names else ""

    @property
    def nearest_key(self) -> str | None:
        hint = did_you_mean(self.key, declared_keys(self.model))
        return next((key for key in declared_keys(self.model) if hint and f"`{key}`" in hint), None)

    def to_fault(self) -> Fault:
        inside = f"`{self.names[-2]}`" if len(self.names) > 1 else self.owner
        match self.type:
            case "towpath":
                what = self.error["ctx"]["what"]  # of the whole it does not say what it is about
                what = what if self.names else f"{self.owner}: {what}"
                return Fault(what, self.place, self.error["ctx"]["hint"])
            case "missing":
                how = {**_HOW, **getattr(self.model, "HOW", {})}.get(self.key)
                return Fault(f"`{self.key}` is missing in {inside}", self.place, how)
            case "extra_forbidden":
                known_keys = declared_keys(self.model)
                hint = did_you_mean(self.key, known_keys)
                if len(self.names) > 1:
                    hint = hint or f"it has {', '.join(known_keys)}"
                return Fault(f"{inside} has no key `{self.key}`", self.place, hint)
        subject = f"`{self.key}`" if self.names else self.owner
        if self.type == "string_too_short":
            return Fault(f"{subject} is empty", self.place)
        must: str = _MUST.get(self.type, self.error["msg"].lower())
        if self.type == "tuple_type" and "list" in self.error["loc"]:
            must = "must be a list or a mapping"  # a branch of a union, of which the other would do
        must = must.format(**self.error.get("ctx", {})).replace("'", "`")
        what = f"{subject} {must}, not {show_value(self.error['input'])}"
        return Fault(what, self.place, self._mending_hint())

    def _mending_hint(self) -> str | None:
        value = self.error["input"]
        if self.type == "string_type" and isinstance(value, int | float):
            return "write it in quotes"
        if self.type == "literal_error" and isinstance(value, str):
            return did_you_mean(value, re.findall(r"'([^']*)'", self.error["ctx"]["expected"]))
        return None


def declared_keys(model: type[BaseModel]) -> list[str]:
    """The keys of a declared type as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def show_value(value: Any) -> str:
    """A value of a document as a message says it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"`{value}`" if value else "empty text"
        case int() | float():
            return str(value)
        case Mapping():
            return "a mapping"
    return "a list"


def _is_branch(part: str | int) -> bool:
    # A part of pydantic's `loc` that the document does not spell: `list`, `[key]`.
    return part in _BRANCHES or (isinstance(part, str) and part.startswith("["))


def _model_at(model: type[BaseModel], path: tuple[str | int, ...]) -> type[BaseModel]:
    """The innermost declared type on the way to a place: whose keys are the near ones."""
    annotation: Any = None
    for part in path:
        fields = model.model_fields.items()
        field = next((field for name, field in fields if part in (field.alias, name)), None)
        if field:
            annotation = field.annotation
            model = _model_in(annotation) or model
        elif _is_branch(part):
            model = _branch_of(annotation, str(part)) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first declared type in an annotation: of ``Mapping[str, Output]`` it is ``Output``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _branch_of(annotation: Any, branch: str) -> type[BaseModel] | None:
    """The declared type of a branch of a union by kind inside an annotation."""
    # Such a union is `Any` to pydantic: only the validator in the annotation knows its branches.
    kinds = (getattr(note, "func", None) for note in getattr(annotation, "__metadata__", ()))
    name = branch.strip("[]")  # as pydantic's `loc` names it: `[metric]`
    branch_types = (kind.types_by_kind.get(name) for kind in kinds if isinstance(kind, Kinds))
    inner = (_branch_of(argument, branch) for argument in get_args(annotation))
    return next(filter(None, (*branch_types, *inner)), None)
