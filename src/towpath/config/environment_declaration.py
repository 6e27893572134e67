"""What a pipeline declares for an environment, such as `prod`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field

from towpath.config import names_and_paths as grammar
from towpath.config.declaration import Declaration
from towpath.config.parameter_declaration import ParamPath
from towpath.config.parameter_groups import flatten_values


class EnvironmentDeclaration(Declaration):
    """What a run for an environment takes in place of what the pipeline declares."""

    description: str | None = None
    """What the environment is."""
    params: Annotated[Mapping[ParamPath, Any], BeforeValidator(flatten_values)] = Field(
        default_factory=dict
    )
    """Values of parameters, nested as they are declared."""
    inputs: Mapping[grammar.Name, grammar.InputSource] = Field(default_factory=dict)
    """Paths and models in place of those of inputs."""


def empty_mapping(value: Any) -> Any:
    """``dev:`` alone is an environment too, for which nothing differs."""
    return {} if value is None else value


AnyEnvironment: TypeAlias = Annotated[EnvironmentDeclaration, BeforeValidator(empty_mapping)]
