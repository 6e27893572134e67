"""A pipeline as it is declared: parameters, inputs and steps, each kind of step a type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, Tag

from towpath.spec import table_options, words
from towpath.spec.declaration import (
    Bindings,
    ConditionText,
    Declaration,
    MessageText,
    by_shape,
    one_or_more,
)
from towpath.spec.param import AnyParam, Param
from towpath.spec.table_options import TableOptions
from towpath.spec.words import (
    Duration,
    File,
    Function,
    InputSource,
    ModelName,
    Name,
    Pause,
    PipelineName,
    refuse,
)

Names: TypeAlias = Annotated[tuple[Name, ...], BeforeValidator(one_or_more), Field(strict=False)]


FORMAT_NAMES = (
    *("parquet", "csv", "tsv", "xlsx", "feather", "jsonl", "json", "skops", "text", "html"),
    *("image", "npy", "npz", "joblib", "pickle"),
)
"""The names of ``towpath.steps.formats``, which a test keeps equal."""


class Readable(Declaration):
    """A file with what is declared of its format, and of the text of a table in it."""

    format: words.FormatName | None = None
    separator: Annotated[str, AfterValidator(table_options.separator)] | None = None
    decimal: Annotated[str, AfterValidator(table_options.decimal)] | None = None
    encoding: Annotated[str, AfterValidator(table_options.encoding)] | None = None
    types: Mapping[str, Annotated[str, AfterValidator(table_options.column_type)]] = Field(
        default_factory=dict
    )
    missing: (
        Annotated[tuple[str, ...], BeforeValidator(one_or_more), Field(strict=False)] | None
    ) = None

    @property
    def options(self) -> TableOptions:
        """What is declared of a table's text."""
        return TableOptions.of(self)


class Input(Readable):
    """A file, a folder or a model that a pipeline takes."""

    path: InputSource


class Plot(Declaration):
    """How ``dvc plots show`` draws an output: columns, labels and one of DVC's templates."""

    x: str | None = None
    y: str | None = None
    title: str | None = None
    x_label: str | None = None
    y_label: str | None = None
    template: str | None = None


class Output(Readable):
    """A file, or with a slash behind its path a folder, that a step writes."""

    path: File
    plot: Annotated[Annotated[bool, Tag("switch")] | Annotated[Plot, Tag("mapping")], by_shape] = (
        False
    )


def _long_output(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


AnyInput: TypeAlias = Annotated[Input, BeforeValidator(_long_output)]
AnyOutput: TypeAlias = Annotated[Output, BeforeValidator(_long_output)]
Outputs: TypeAlias = Annotated[
    Annotated[tuple[AnyOutput, ...], Field(strict=False), Tag("list")]
    | Annotated[Mapping[Name, AnyOutput], Tag("mapping")],
    by_shape,
]
"""What a step writes: a list names by file stem, a mapping gives the names."""


class Retry(Declaration):
    """How a failed step is tried again: ``attempts`` in all, the first included.

    ``delay`` seconds pass before the second attempt, ``backoff`` times as many before each
    further one; up to ``jitter`` of the pause is added at random. ``errors`` names the
    exceptions worth another attempt; empty means any.
    """

    attempts: int = Field(ge=1, le=100)
    delay: Pause = 0
    backoff: float = Field(default=1, ge=1, le=100)
    jitter: float = Field(default=0, ge=0, le=1)
    errors: Annotated[tuple[str, ...], Field(strict=False)] = ()


def _attempts(value: Any) -> Any:
    return {"attempts": value} if isinstance(value, int) and not isinstance(value, bool) else value


class Expiry(Declaration):
    """How long a result may be reused, in seconds."""

    expires: Duration


class Step(Declaration):
    """What every kind of step may say."""

    kind: str
    description: str | None = None
    after: Names = ()
    retry: Annotated[Retry, BeforeValidator(_attempts)] | None = None
    timeout: Duration | None = None
    cache: Annotated[
        Annotated[bool, Tag("switch")] | Annotated[Expiry, Tag("mapping")], by_shape
    ] = True
    code: Annotated[tuple[File, ...], Field(strict=False)] = ()


class FunctionStep(Step):
    """A step that calls a function of the project: ``run`` names it, ``with`` holds literals."""

    run: Function
    inputs: Bindings = ()
    params: Bindings = ()
    literals: Mapping[Name, Any] = Field(default_factory=dict, alias="with")
    outputs: Outputs = ()


class Processing(FunctionStep):
    """Reads, cleans, splits, joins: any function."""

    kind: Literal["processing"] = "processing"


class Training(FunctionStep):
    """Fits a model; a model of a known library leaves its signature."""

    kind: Literal["training"] = "training"


class Evaluation(FunctionStep):
    """Measures a model; its JSON outputs are metrics."""

    kind: Literal["evaluation"] = "evaluation"


class QualityCheck(Step):
    """Holds ``data`` against a suite of expectations, and hands on the same bytes as ``data``."""

    kind: Literal["quality_check"] = "quality_check"
    inputs: Bindings
    expectations: File
    must_pass: bool = True


class Condition(Step):
    """Chooses between two branches by a small expression."""

    kind: Literal["condition"] = "condition"
    expression: ConditionText = Field(alias="if")
    then: Names = ()
    otherwise: Names = Field(default=(), alias="else")


class RegisterModel(Step):
    """Registers ``model`` as the next version of a name in the registry.

    ``trials`` says whether a run with other values than the declared ones registers too.
    """

    kind: Literal["register_model"] = "register_model"
    model: ModelName = Field(alias="as")
    inputs: Bindings
    labels: Mapping[str, MessageText] = Field(default_factory=dict)
    bump: Literal["major", "minor", "patch"] | None = None
    trials: Literal["skip", "register"] = "skip"


class BatchTransform(Step):
    """Applies ``model`` to the table ``data``: its rows with the prediction beside them."""

    kind: Literal["batch_transform"] = "batch_transform"
    inputs: Bindings
    outputs: Outputs
    method: Literal["predict", "predict_proba"] = "predict"
    batch_size: int | None = Field(default=None, ge=1)


def _command_words(value: Any) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return value
    words = tuple(value) if isinstance(value, list | tuple) else ()
    if not words or not all(isinstance(word, str) for word in words):
        hint = "write numbers in quotes" if words else None
        refuse("`command` must be text, or a list of words that are text", hint)
    return words


class CommandStep(Step):
    """Runs a program of any language on files.

    ``command`` names inputs, parameters and outputs as ``{name}``. ``places`` says where the
    program has a file that the command does not name, and ``settings`` which keys of a file of
    parameters it reads: it then runs in a folder of its own. ``metrics`` are JSON outputs.
    """

    kind: Literal["command"] = "command"
    command: Annotated[str | tuple[str, ...], PlainValidator(_command_words)]
    inputs: Bindings = ()
    params: Bindings = ()
    outputs: Outputs = ()
    shell: bool = False
    metrics: Names = ()
    places: Mapping[Name, File] = Field(default_factory=dict)
    settings: Mapping[File, Mapping[str, Name]] = Field(default_factory=dict)
    workdir: File | None = None


class Fail(Step):
    """Ends the run as failed, with a message."""

    kind: Literal["fail"] = "fail"
    message: MessageText


AnyStep: TypeAlias = Annotated[
    Processing
    | Training
    | Evaluation
    | QualityCheck
    | Condition
    | RegisterModel
    | BatchTransform
    | CommandStep
    | Fail,
    Field(discriminator="kind"),
]

KINDS: Mapping[str, type[Step]] = {
    "processing": Processing,
    "training": Training,
    "evaluation": Evaluation,
    "quality_check": QualityCheck,
    "condition": Condition,
    "register_model": RegisterModel,
    "batch_transform": BatchTransform,
    "command": CommandStep,
    "fail": Fail,
}


class Pipeline(Declaration):
    """A pipeline as it is declared, before its names are resolved."""

    name: PipelineName
    description: str | None = None
    params: Mapping[Name, AnyParam] = Field(default_factory=dict)
    inputs: Mapping[Name, AnyInput] = Field(default_factory=dict)
    formats: Mapping[words.OwnFormatName, Function] = Field(default_factory=dict)
    steps: Mapping[Name, AnyStep] = Field(default_factory=dict)


__all__ = [
    "KINDS",
    "AnyStep",
    "BatchTransform",
    "CommandStep",
    "Condition",
    "Evaluation",
    "Expiry",
    "Fail",
    "FunctionStep",
    "Input",
    "Output",
    "Param",
    "Pipeline",
    "Plot",
    "Processing",
    "QualityCheck",
    "RegisterModel",
    "Retry",
    "Step",
    "Training",
]
