"""`towpath push`, `towpath pull` and `towpath fetch`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, is_interactive, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.versions.push_and_pull import TransferResult

remote_option = click.option("-r", "--remote", help="The store's remote (default: DVC's default).")


@click.command()
@remote_option
@json_option
@pass_session
def push(session: Session, remote: str | None, as_json: bool) -> None:
    """Push data, models, and what a run need not do again; then number and push new versions."""
    from towpath.versions import push_and_pull

    with _transfer_counter(session, "pushed") as progress:
        moved = push_and_pull.push_project(session.workspace, remote, progress)
    return _say_moved(session, moved, "pushed", as_json)


@click.command()
@remote_option
@json_option
@pass_session
def pull(session: Session, remote: str | None, as_json: bool) -> None:
    """Bring versions, data, models, and what a run need not do again."""
    from towpath.versions import push_and_pull

    with _transfer_counter(session, "pulled") as progress:
        moved = push_and_pull.pull_project(session.workspace, remote, progress)
    return _say_moved(session, moved, "pulled", as_json)


@click.command()
@json_option
@pass_session
def fetch(session: Session, as_json: bool) -> None:
    """Bring the registry's tags, which a plain `git pull` leaves behind."""
    from towpath.versions import push_and_pull

    return _say_moved(
        session, push_and_pull.fetch_registry_tags(session.workspace), "fetched", as_json
    )


@contextmanager
def _transfer_counter(session: Session, verb: str) -> Iterator[Callable[[int, int], None] | None]:
    """A counter on the last line of a terminal, gone when it is done."""
    if session.quiet or not is_interactive():
        yield None
        return

    def show(done: int, total: int) -> None:
        terminal.echo_counter(f"{verb} {done} of {total} objects")

    yield show
    terminal.echo_counter("")


def _say_moved(session: Session, moved: TransferResult, verb: str, as_json: bool) -> None:
    if as_json and not moved.failure:
        return print_json("transfer", _moved_document(moved))
    if moved.store:
        counted = f"{moved.objects} objects, {moved.entries} results for reuse"
        session.say(f"store {moved.store}: {verb} {counted}")
    if moved.origin:
        named = ", ".join(moved.versions) or "nothing new"
        session.say(f"registry {moved.origin}: {verb} {named}")
    return moved.complete()


def _moved_document(moved: TransferResult) -> dict[str, Any]:
    """What moved, as a document: a fault is a document of its own."""
    fields = ("store", "origin", "objects", "entries", "versions", "left")
    return {name: getattr(moved, name) for name in fields}
