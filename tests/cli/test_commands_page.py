"""docs/commands.md names every verb, every option and every exit code."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from towpath.cli import main
from towpath.errors import ExitCode

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
VERBS = [verb for verbs in main.VERBS.values() for verb in verbs]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_and_its_options(verb: str) -> None:
    command = main.towpath.get_command(click.Context(main.towpath), verb)
    assert command
    assert f"**`towpath {verb}" in PAGE
    for param in command.params:
        if isinstance(param, click.Option):
            for option in param.opts:
                assert f"`{option}" in PAGE or f"{option} " in PAGE, f"{verb} {option}"


def test_exit_codes() -> None:
    for code in ExitCode:
        assert f"\n| {int(code)} | " in PAGE
