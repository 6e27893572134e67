"""`towpath register`, `claim`, `restore`, `push`, `pull`, `fetch`: registry and store changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from towpath.cli.render import terminal
from towpath.cli.render.json_document import print_json
from towpath.cli.session import Session, json_option, pass_session
from towpath.errors import UsageError

if TYPE_CHECKING:
    from towpath.registry.restore_tags import RestoredTag
    from towpath.versions.push_and_pull import TransferResult


@click.command()
@click.argument("run")
@json_option
@pass_session
def register(session: Session, run: str, as_json: bool) -> None:
    """Register what RUN made (`last`, its name, or a part of it), without running anything.

    It must have ended well, of what was committed when it began.
    """
    from towpath.execution.register_ended_run import register_ended_run

    registered = register_ended_run(session.workspace, run)
    if as_json:
        return print_json("registered", registered)
    for version in registered.versions:
        reason = f": {version.reason}" if version.reason else ""
        session.say(
            f"registered {version} of run {registered.run}{reason}   (towpath show {version})"
        )
    return None


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@pass_session
def claim(session: Session, models: tuple[str, ...]) -> None:
    """Write down that MODEL is of this project, where a repository holds several.

    The file counts once it is on the main branch: commit it, and have that merged.
    """
    from towpath.registry import ownership

    for model in models:
        path = ownership.claim_model(
            session.workspace.repository, session.workspace.claimant_folder, model
        )
        session.say(f"wrote {path}: commit it, and merge that into main")


@click.command()
@click.argument("tags", nargs=-1, required=True, metavar="TAG...")
@pass_session
def restore(session: Session, tags: tuple[str, ...]) -> None:
    """Put a tag right: make a promoted version's lost one again, or set a false one aside.

    A version's tag (abalone@v1.1.0) is made as main has decided it; a stage tag (abalone#dev#3)
    is set aside. What a name held before is kept under refs/towpath/set-aside.
    """
    from towpath.registry import restore_tags

    for name in tags:
        _refuse_honest(session, name)
        _say_restored(session, restore_tags.restore_tag(session.workspace.registry, name))


def _refuse_honest(session: Session, name: str) -> None:
    from towpath.audit.verification import doubted_tags
    from towpath.registry.version_reference import parse_tag

    tag = parse_tag(name)
    if tag and tag.stage and name not in doubted_tags(session.workspace, tag.model):
        what = f"nothing is wrong with `{name}`, as far as towpath verify can tell"
        raise UsageError(what, hint="it is proof of what the stage ran, and stays")


def _say_restored(session: Session, restored: RestoredTag) -> None:
    from towpath.backends.git import remotes

    if not restored.new:
        return session.say(f"{restored.name} is as it should be")
    what = f"set {restored.name} aside"
    if restored.commit:
        what = f"restored {restored.name} on {restored.commit[:7]}"
    session.say(what + (f"; what it was is kept as {restored.aside}" if restored.aside else ""))
    remote = remotes.choose_remote(session.workspace.registry)
    # Where the remote has the false tag, no ordinary push moves or removes it.
    if remote and restored.aside:
        spec = f"+refs/tags/{restored.name}" if restored.commit else f":refs/tags/{restored.name}"
        session.say(f"next    where it was pushed: git push {remote} '{spec}'")
    elif remote:
        session.say("next    towpath push")
    return None


remote_option = click.option("-r", "--remote", help="The store's remote (default: DVC's default).")


@click.command()
@remote_option
@json_option
@pass_session
def push(session: Session, remote: str | None, as_json: bool) -> None:
    """Push data, models, and what a run need not do again; then number and push new versions."""
    from towpath.versions.push_and_pull import push_project

    with _transfer_counter(session, "pushed") as progress:
        moved = push_project(session.workspace, remote, progress)
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

    moved = push_and_pull.fetch_registry_tags(session.workspace)
    return _say_moved(session, moved, "fetched", as_json)


@contextmanager
def _transfer_counter(session: Session, verb: str) -> Iterator[Callable[[int, int], None] | None]:
    if session.quiet or not terminal.is_interactive():
        yield None
        return

    def show(done: int, total: int) -> None:
        terminal.echo_counter(f"{verb} {done} of {total} objects")

    yield show
    terminal.echo_counter("")


def _say_moved(session: Session, moved: TransferResult, verb: str, as_json: bool) -> None:
    if as_json and not moved.failure:  # a failure is a document of its own, which `complete` raises
        fields = ("store", "origin", "objects", "entries", "versions", "left")
        return print_json("transfer", {name: getattr(moved, name) for name in fields})
    # Where something did not go, a line that counts nothing would say that there was nothing.
    if moved.store and (moved.objects or moved.entries or not moved.failure):
        counted = f"{moved.objects} objects, {moved.entries} results for reuse"
        session.say(f"store {moved.store}: {verb} {counted}")
    if moved.origin and (moved.versions or not moved.failure):
        named = ", ".join(moved.versions) or "nothing new"
        session.say(f"registry {moved.origin}: {verb} {named}")
    return moved.complete()
