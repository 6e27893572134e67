"""Options that take a number: what is none, or too small or large, is answered in our words."""

from __future__ import annotations

import math
from typing import Any

import click


class WholeNumber(click.IntRange):
    """A whole number from ``least`` to ``most``; ``example`` is what a hint names."""

    def __init__(self, least: int, most: int | None = None, *, example: str) -> None:
        super().__init__(least, most)
        self._example = example
        upwards = "on" if most is None else f"to {most}"
        self._kind = f"a whole number from {least} {upwards}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            return _refuse_number(value, param, self._kind, self._example)


class PositiveNumber(click.FloatRange):
    """A number that is not below zero; ``example`` is what a hint names."""

    def __init__(self, *, example: str) -> None:
        super().__init__(min=0)
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = super().convert(value, param, ctx)
        except click.BadParameter:
            number = math.nan
        # `nan` is a number to Python, and click finds it below nothing.
        return number if math.isfinite(number) else self._refuse(value, param)

    def _refuse(self, value: object, param: click.Parameter | None) -> None:
        return _refuse_number(value, param, "a number from 0 on", self._example)


def _refuse_number(value: object, param: click.Parameter | None, kind: str, example: str) -> None:
    from towpath.errors import UsageError

    name = max(param.opts, key=len) if param else "it"
    raise UsageError(f"{name} takes {kind}, not `{value}`", hint=f"for example {name} {example}")
