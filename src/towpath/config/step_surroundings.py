"""What a step may say of what is around it: variables, secrets, and steps that it watches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from towpath.config import names_and_paths as grammar
from towpath.config.declaration import Declaration, Names, show_value


class SecretSource(Declaration):
    """Where a secret is taken from, when the step runs."""

    variable: grammar.Environment | None = None
    """A variable of the environment."""
    block: str | None = Field(default=None, min_length=1)
    """A block of Prefect's of the kind Secret."""

    @model_validator(mode="after")
    def _require_one_source(self) -> Self:
        if (self.variable is None) == (self.block is None):
            grammar.refuse_value("a secret has one source", "write `variable:` or `block:`")
        return self


def secrets_by_variable(value: Any) -> Any:
    """``[API_TOKEN]`` is ``{API_TOKEN: {variable: API_TOKEN}}``, ``API_TOKEN: CI_TOKEN`` is
    ``API_TOKEN: {variable: CI_TOKEN}``."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple):
        if not all(isinstance(name, str) for name in value):
            grammar.refuse_value("`secrets` must be names of variables", "write `[API_TOKEN]`")
        value = {name: name for name in value}
    if isinstance(value, Mapping):
        return {k: {"variable": v} if isinstance(v, str) else v for k, v in value.items()}
    return value


Secrets: TypeAlias = Annotated[
    Mapping[grammar.Environment, SecretSource], BeforeValidator(secrets_by_variable)
]


def variable_text(value: Any) -> str:
    """The text of a variable: numbers, true and false as a file has them."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        grammar.refuse_value(f"a variable must be text, not {show_value(value)}")
    if "\0" in str(value):
        grammar.refuse_value("a variable's text holds a NUL")
    return str(value)


VariableText: TypeAlias = Annotated[str, PlainValidator(variable_text)]


class FailureWatch(Declaration):
    """What must have become of other steps for a step to run."""

    steps: Names
    """The steps; one of them is enough."""
    when: Literal["failed", "skipped", "either"] = "failed"
    """Whether they failed, were skipped, or either."""


def watched_steps(value: Any) -> Any:
    """``on_failure: [train, score]`` is ``on_failure: {steps: [train, score]}``."""
    return {"steps": value} if isinstance(value, str | list | tuple) else value
