"""A plain function as a Prefect flow: those that any registry shares, which are no pipelines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from towpath.engine.flow import build

if TYPE_CHECKING:
    from prefect import Flow

_Answer = TypeVar("_Answer")


def flow(function: Callable[..., _Answer], name: str) -> Flow[..., _Answer]:
    """The flow of a function. Its annotations and its docstring become Prefect's form of it."""
    build.load()
    from prefect import Flow

    return Flow(function, name=name, persist_result=False)


def say(text: str) -> None:
    """A line in the log of the flow run that this is called in."""
    from prefect import get_run_logger

    get_run_logger().info("%s", text)


def show(key: str, markdown: str, description: str) -> None:
    """A page beside the flow run that this is called in."""
    from prefect.artifacts import create_markdown_artifact

    create_markdown_artifact(markdown, key=key, description=description)
