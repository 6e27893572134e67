"""Unions by a key that says the kind: a command imports and builds only the kinds that it meets."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from towpath.errors import did_you_mean
from towpath.spec.declaration import Declaration


@dataclass(frozen=True)
class Kinds:
    """A validator of such a union. ``module`` has the types by kind, in ``KINDS``; ``noun`` is what
    messages call one."""

    module: str
    noun: str
    key: str = "kind"

    @property
    def types(self) -> Mapping[str, type[Declaration]]:
        """The types by kind."""
        known: Mapping[str, type[Declaration]] = importlib.import_module(self.module).KINDS
        return known

    def of(self, branch: str) -> type[Declaration] | None:
        """The type of a branch as pydantic's ``loc`` names it: ``[metric]``."""
        return self.types.get(branch.strip("[]"))

    def __call__(self, value: Any) -> Any:
        """The declaration that a mapping holds.

        :raises ValidationError: with the kind, in brackets, before the place of each error.
        """
        if isinstance(value, tuple(self.types.values())):
            return value
        if not isinstance(value, Mapping):
            raise _errors(InitErrorDetails(type="mapping_type", input=value, ctx={"error": ""}))
        kind = value.get(self.key)
        if not isinstance(kind, str) or kind not in self.types:
            raise _errors(self._unknown(value))
        try:
            return self.types[kind].model_validate(value, by_alias=True, by_name=False)
        except ValidationError as error:
            raise _errors(*(_below(f"[{kind}]", each) for each in error.errors())) from None

    def _unknown(self, value: Mapping[str, Any]) -> InitErrorDetails:
        hint = f"the kinds are {', '.join(self.types)}"
        if self.key in value:
            said = str(value[self.key])
            what = f"`{said}` is no kind of {self.noun}"
            hint = did_you_mean(said, self.types) or hint
        else:
            what = f"the {self.noun} does not say its `{self.key}`"
        error = PydanticCustomError("towpath", "{what}", {"what": what, "hint": hint})
        return InitErrorDetails(type=error, loc=(self.key,), input=value)


def _errors(*details: InitErrorDetails) -> ValidationError:
    return ValidationError.from_exception_data("declaration", list(details))


def _below(branch: str, error: Any) -> InitErrorDetails:
    kind = error["type"]
    if kind == "towpath":
        kind = PydanticCustomError("towpath", "{what}", error["ctx"])
    return InitErrorDetails(
        type=kind, loc=(branch, *error["loc"]), input=error["input"], ctx=error.get("ctx", {})
    )
