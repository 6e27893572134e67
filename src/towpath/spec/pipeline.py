"""A pipeline as it is declared: parameters, inputs and steps, each kind of step a type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Bindings: TypeAlias = tuple[str, ...] | Mapping[str, str]
"""References: a list takes each item's last name, a mapping renames."""


class Declaration(BaseModel):
    """The border: frozen, and an unknown key is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class Param(Declaration):
    """A parameter of a pipeline; without a default it must be given for each run."""

    default: Any = None
    type: Literal["string", "integer", "number", "boolean", "list"] | None = None
    choices: tuple[Any, ...] | None = None
    above: float | None = None
    below: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    description: str | None = None


class Output(Declaration):
    """A file, or with a trailing slash a folder, that a step writes."""

    path: str
    plot: bool | Mapping[str, Any] = False
    format: str | None = None


class Retry(Declaration):
    """How often, and after what pause, a failed step is tried again; delay in seconds."""

    attempts: int = Field(ge=1)
    delay: float = Field(default=0, ge=0)
    backoff: float = Field(default=1, ge=1)
    jitter: float = Field(default=0, ge=0)
    errors: tuple[str, ...] = ()


class Expiry(Declaration):
    """How long a result may be reused, in seconds."""

    expires: float = Field(gt=0)


class Step(Declaration):
    """What every kind of step may say."""

    kind: str
    description: str | None = None
    after: tuple[str, ...] = ()
    retry: Retry | None = None
    timeout: float | None = Field(default=None, gt=0)
    cache: bool | Expiry = True
    code: tuple[str, ...] = ()


class FunctionStep(Step):
    """A step that calls a function of the project: ``run`` names it, ``with`` holds literals."""

    run: str
    inputs: Bindings = ()
    params: Bindings = ()
    literals: Mapping[str, Any] = Field(default_factory=dict, alias="with")
    outputs: tuple[str | Output, ...] | Mapping[str, str | Output] = ()


class Processing(FunctionStep):
    """Reads, cleans, splits, joins: any function."""

    kind: Literal["processing"] = "processing"


class Training(FunctionStep):
    """Fits a model; a model of a known library leaves its signature."""

    kind: Literal["training"]


class Evaluation(FunctionStep):
    """Measures a model; its JSON outputs are metrics."""

    kind: Literal["evaluation"]


class QualityCheck(Step):
    """Holds data against a suite of expectations, and hands on the same bytes as ``data``."""

    kind: Literal["quality_check"]
    inputs: Mapping[str, str]
    expectations: str
    must_pass: bool = True


class Condition(Step):
    """Chooses between two branches by a small expression."""

    kind: Literal["condition"]
    expression: str = Field(alias="if")
    then: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = Field(default=(), alias="else")


class RegisterModel(Step):
    """Registers a model as the next version of a name in the registry."""

    kind: Literal["register_model"]
    model: str = Field(alias="as")
    inputs: Bindings
    labels: Mapping[str, str] = Field(default_factory=dict)
    bump: Literal["major", "minor", "patch"] | None = None


class BatchTransform(Step):
    """Applies a model to a table: the table's rows with the prediction beside them."""

    kind: Literal["batch_transform"]
    inputs: Mapping[str, str]
    outputs: tuple[str | Output, ...] | Mapping[str, str | Output]
    method: Literal["predict", "predict_proba"] = "predict"
    batch_size: int | None = Field(default=None, ge=1)


class Fail(Step):
    """Ends the run as failed, with a message."""

    kind: Literal["fail"]
    message: str


AnyStep: TypeAlias = Annotated[
    Processing
    | Training
    | Evaluation
    | QualityCheck
    | Condition
    | RegisterModel
    | BatchTransform
    | Fail,
    Field(discriminator="kind"),
]


class Pipeline(Declaration):
    """A pipeline as it is declared, before its names are resolved."""

    name: str
    description: str | None = None
    params: Mapping[str, Param] = Field(default_factory=dict)
    inputs: Mapping[str, str] = Field(default_factory=dict)
    steps: Mapping[str, AnyStep] = Field(default_factory=dict)
