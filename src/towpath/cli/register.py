"""`towpath register`, `claim` and `restore`: a run's model becomes a version, whose a model is,
and a version's lost tag made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.registry.restore_tags import RestoredTag


@click.command()
@click.argument("run")
@json_option
@pass_session
def register(session: Session, run: str, as_json: bool) -> None:
    """Register what RUN made (`last`, its name, or a part of it), without running anything.

    It must have ended well, of what was committed when it began.
    """
    from towpath.execution.register_run import register_run

    registered = register_run(session.workspace, run)
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
    """A stage tag is proof of what a stage ran: one with which nothing is wrong stays."""
    from towpath.audit.verification import doubted_tags
    from towpath.errors import UsageError
    from towpath.registry.version_reference import parse_tag

    tag = parse_tag(name)
    if tag and tag.stage and name not in doubted_tags(session.workspace, tag.model):
        what = f"nothing is wrong with `{name}`, as far as towpath verify can tell"
        raise UsageError(what, hint="it is proof of what the stage ran, and stays")


def _say_restored(session: Session, restored: RestoredTag) -> None:
    from towpath.backends.git import remotes

    if not restored.new:
        return session.say(f"{restored.name} is as it should be")
    what = (
        f"restored {restored.name} on {restored.commit[:7]}"
        if restored.commit
        else f"set {restored.name} aside"
    )
    session.say(what + (f"; what it was is kept as {restored.aside}" if restored.aside else ""))
    remote = remotes.choose_remote(session.workspace.registry)
    if remote and restored.aside:
        spec = f"+refs/tags/{restored.name}" if restored.commit else f":refs/tags/{restored.name}"
        session.say(f"next    where it was pushed: git push {remote} '{spec}'")
    elif remote:
        session.say("next    towpath push")
    return None
