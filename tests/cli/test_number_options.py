"""Numbers on the command line: each option that takes one refuses what is none in our words."""

from __future__ import annotations

import click
import pytest

from towpath.cli.main import towpath
from towpath.cli.session import PositiveNumber, WholeNumber
from towpath.errors import UsageError


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        ("studio --port abc", "--port takes a whole number from 0 to 65535, not `abc`", "8080"),
        ("studio --port 70000", "--port takes a whole number from 0 to 65535, not `70000`", "8080"),
        ("run -j 0", "--jobs takes a whole number from 1 on, not `0`", "4"),
        ("runs -n 1.5", "--number takes a whole number from 1 on, not `1.5`", "20"),
        ("search x -n -1", "--limit takes a whole number from 1 on, not `-1`", "20"),
        ("reproduce a --tolerance nan", "--tolerance takes a number from 0 on, not `nan`", "0.01"),
        ("reproduce a --tolerance -1", "--tolerance takes a number from 0 on, not `-1`", "0.01"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_said_with_one_that_is(words: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        towpath.main(words.split(), standalone_mode=False)
    (fault,) = refused.value.faults
    assert fault.what == what
    assert fault.hint == f"for example {what.partition(' ')[0]} {hint}"


def list_options(command: click.Command) -> list[click.Parameter]:
    options = list(command.params)
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            names = command.list_commands(context)
            inner = [command.get_command(context, name) for name in names]
        options += [option for part in inner if part for option in list_options(part)]
    return options


def test_no_option_leaves_a_number_to_click() -> None:
    numbers = (click.IntRange, click.FloatRange, type(click.INT), type(click.FLOAT))
    left = [
        option.name
        for option in list_options(towpath)
        if isinstance(option.type, numbers)
        and not isinstance(option.type, WholeNumber | PositiveNumber)
        and not getattr(option, "count", False)
    ]
    assert left == []
