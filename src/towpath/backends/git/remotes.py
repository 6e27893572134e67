"""What passes between a repository and its remotes: tags and branches in, single refs out."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from towpath.backends.git import git_command, refs
from towpath.backends.git.git_command import Outcome, lines
from towpath.backends.git.repository import Repository
from towpath.errors import RegistryError, UsageError, did_you_mean

# Pruning, which a user may have set, would delete versions that were not pushed yet; and refspecs
# that a user has beside ours (a mirror's) would move branches here.
TAKE_ONLY = (
    "--no-tags",
    "--no-prune",
    "--no-prune-tags",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--refmap=",
)
SEND_ONLY = (
    "--porcelain",
    "--no-follow-tags",
    "--no-recurse-submodules",
    "--no-force-if-includes",
)
_IN_THE_WAY = re.compile(r"cannot lock ref '[^']+': '(refs/[^']+)' exists")
_SYMBOLIC = "ref: refs/heads/"  # how ls-remote begins the line of a HEAD that is a branch
NOT_PUSHED = "failed to push some refs"
# A connection that broke off ends in the words of a hook that refused, and in these.
BROKEN = ("hung up", "disconnect", "RPC failed", "unable to access", "Could not read from remote")
ABSENT = (
    *BROKEN,
    "Could not resolve",
    "unable to connect",
    "unable to look up",
    "Connection ",
    "timed out",
    "no answer for",
    "early EOF",
    "does not appear to be a git repository",
    "not found",
    "does not exist",
    "could not read Username",
    "could not read Password",
    "Authentication failed",
)
# Who is known and may not: over http, over ssh, and in the words of GitHub and GitLab.
_FORBIDDEN = re.compile(
    r"returned error: 403|Permission to \S+ denied|[Ww]rite access to \S+ (?:is )?not granted|"
    r"not allowed to (?:push|upload|access)|insufficient permission|unable to create temporary"
)
MOST_SAID = 5


class NotReached(RegistryError):
    """The remote does not answer."""


class NotAllowed(RegistryError):
    """The remote answers, and does not let this person do it."""


def remotes(repository: Repository) -> tuple[str, ...]:
    """The names of the remotes."""
    return tuple(lines(repository.call("remote")))


def chosen(repository: Repository, name: str | None = None) -> str | None:
    """The remote that is meant: the one named, else the branch's, else ``origin``, else the first.

    None where there is none; ``UsageError`` where the one named is not there.
    """
    known = remotes(repository)
    if name is not None:
        if name not in known:
            raise UsageError(f"there is no remote `{name}`", hint=did_you_mean(name, known))
        return name
    if len(known) < 2:
        return known[0] if known else None
    branch = repository.attempt("symbolic-ref", "-q", "HEAD").text.removeprefix("refs/heads/")
    usual = (repository.setting(f"branch.{branch}.remote") if branch else None, "origin")
    return next((remote for remote in usual if remote in known), known[0])


def push(repository: Repository, remote: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Push objects, by the names that they get on the remote and that must not be there yet.

    Returns the refused names with the remote's words; raises ``RegistryError`` where the remote
    cannot be reached, ``NotAllowed`` where it lets nothing in from this person, or a hook here does
    not let anything go.
    """
    # An empty lease says: only if there is no such ref, also where Git would fast-forward it.
    leases = [f"--force-with-lease={ref}:" for ref in tags]
    specs = [f"{object_}:{ref}" for ref, object_ in tags.items()]
    done = _send(repository, remote, leases, specs)
    if done.code == 0:
        return {}
    refused = {row[1].partition(":")[2]: _because(done, row[2]) for row in _refusals(done)}
    if not refused:
        raise _not_pushed(remote, done)
    return refused


def push_branch(
    repository: Repository, remote: str, branch: str, commit: str, over: str | None
) -> str | None:
    """Push a branch if the remote's is still at ``over`` (None: not there); why it was refused.

    Raises as ``push`` does.
    """
    ref = f"refs/heads/{branch}"
    lease = f"--force-with-lease={ref}:{over or ''}"
    done = _send(repository, remote, [lease], [f"{commit}:{ref}"])
    if done.code == 0:
        return None
    refused = next((row[2] for row in _refusals(done)), None)
    if refused is None:
        raise _not_pushed(remote, done)
    return _because(done, refused)


def delete_branch(repository: Repository, remote: str, branch: str, at: str) -> bool:
    """Delete a remote's branch if it is still at a commit; whether that was done."""
    ref = f"refs/heads/{branch}"
    return _send(repository, remote, [f"--force-with-lease={ref}:{at}"], [f":{ref}"]).code == 0


def _send(
    repository: Repository, remote: str, leases: Sequence[str], specs: Sequence[str]
) -> Outcome:
    """Push these refs and nothing else, however a person's own pushes are configured.

    A mirror takes no single refs; options are meant for a person's pushes (``merge_request.create``
    with every tag), and a server that knows none refuses all. A push is signed where a person
    signs theirs, if the server wants to know.
    """
    settings = ("-c", f"remote.{remote}.mirror=false", "-c", "push.pushOption=")
    asked = (repository.setting("push.gpgSign") or "false").lower()
    signed = "--no-signed" if asked in ("false", "no", "off", "0") else "--signed=if-asked"
    words = ("push", *SEND_ONLY, signed, *leases, remote, *specs)
    return repository.attempt(*settings, *words, alone=True)


def fetch(repository: Repository, remote: str, *specs: str) -> bool:
    """Fetch by refspecs; False where a ref here differs from the remote's and was left alone.

    Raises ``RegistryError`` where the remote cannot be reached, or a ref here leaves no room for
    one of the remote's (``abalone@v1.0.0/x`` for ``abalone@v1.0.0``).
    """
    done = _heard(repository, "fetch", "--progress", *TAKE_ONLY, remote, *specs)
    if done.code == 0:
        return True
    if crossed := [line for line in done.said if "cannot lock ref" in line]:
        raise _no_room(repository, remote, crossed[0])
    if "[rejected]" in done.err or "would clobber existing tag" in done.err:
        return False
    raise unreachable(remote, done)


def _no_room(repository: Repository, remote: str, line: str) -> RegistryError:
    """A ref here that is in the way of one of the remote's, by Git's own line about it; what it
    holds may be somebody's only copy, so that it is set aside and not deleted."""
    what = f"not all of {remote} can be kept here: {line.removeprefix('error: ')}"
    named = _IN_THE_WAY.search(line)
    object_ = refs.objects(repository, named[1]).get(named[1]) if named else None
    if named is None or object_ is None:
        return RegistryError(what, hint="run it again once no other command of Git works here")
    ref = named[1]
    aside = f"refs/towpath/set-aside/{ref.removeprefix('refs/tags/')}/{object_[:12]}"
    hint = (
        f"git update-ref '{aside}' '{ref}' && git update-ref -d '{ref}' sets the one here aside; "
        "then run it again"
    )
    return RegistryError(what, hint=hint)


def deepen(repository: Repository, remote: str) -> None:
    """Bring the history that a shallow clone lacks; nothing where it lacks none."""
    if repository.is_shallow():
        branches = f"+refs/heads/*:refs/remotes/{remote}/*"
        words = ("fetch", "--unshallow", "--progress", *TAKE_ONLY, remote, branches)
        done = _heard(repository, *words)
        if done.code:
            raise unreachable(remote, done)


def there(repository: Repository, remote: str, *patterns: str) -> dict[str, str]:
    """The refs of a remote and the objects they hold, without what tags point at."""
    done = _heard(repository, "ls-remote", "--refs", remote, *patterns)
    if done.code:
        raise unreachable(remote, done)
    rows = (line.split("\t") for line in lines(done.text))
    return {name: object_ for object_, name in rows}


def head(repository: Repository, remote: str) -> str | None:
    """The branch that a remote's HEAD is; None where it names none that is there."""
    done = _heard(repository, "ls-remote", "--symref", remote, "HEAD")
    if done.code:
        raise unreachable(remote, done)
    said = (line.partition("\t") for line in lines(done.text))
    heads = (ref for ref, _, what in said if what == "HEAD" and ref.startswith(_SYMBOLIC))
    return next((ref.removeprefix(_SYMBOLIC) for ref in heads), None)


def unreachable(remote: str, outcome: Outcome) -> RegistryError:
    """Git's own words about a remote that did not answer as it should, or not at all."""
    wait = "what was not pushed waits here"
    if _FORBIDDEN.search(outcome.err):
        words = [line.removeprefix("remote: ") for line in outcome.said if "unable to" not in line]
        because = "; ".join(words[-MOST_SAID:]) or "it answers 403"
        what = f"{remote} does not let you do this: {because}"
        return NotAllowed(what, hint=f"ask who may, or use another account; {wait}")
    if any(word in outcome.err for word in ABSENT):
        what = f"{remote} cannot be reached: {outcome.complaint}"
        return NotReached(what, hint=f"try: git ls-remote {remote}; {wait}")
    what = f"Git did not do this with {remote}: {outcome.complaint}"
    return RegistryError(what, hint=f"git config --get-regexp 'push|fetch|remote'; {wait}")


def mark_fetched(repository: Repository) -> None:
    """Remember that all tags were fetched now: a plain ``git pull`` does not bring them."""
    stamp = _stamp(repository)
    stamp.parent.mkdir(exist_ok=True)
    stamp.touch()


def last_fetched(repository: Repository) -> float | None:
    """When all tags were last brought here (seconds since 1970): by a fetch, or by the clone."""
    try:
        return _stamp(repository).stat().st_mtime
    except FileNotFoundError:
        return _cloned(repository.common / "logs" / "HEAD")


def age(repository: Repository) -> float | None:
    """Seconds since all tags were last brought here; None where that never happened."""
    last = last_fetched(repository)
    return None if last is None else max(0.0, time.time() - last)


def is_tagless(repository: Repository) -> bool:
    """Whether the clone was told to leave tags out (``--no-tags``), or all that is beside one
    branch (``--single-branch``), and none were fetched by Towpath since."""
    rows = lines(repository.attempt("config", "--get-regexp", r"^remote\..*\.(tagopt|fetch)$").text)
    specs = [row for row in rows if not row.endswith(" --no-tags")]
    is_one_branch = bool(specs) and all("*" not in row for row in specs)
    # A shallow clone follows one branch too, and is told by that.
    is_narrow = len(specs) < len(rows) or (is_one_branch and not repository.is_shallow())
    return is_narrow and not _stamp(repository).exists() and not refs.names(repository, "refs/tags")


def view(repository: Repository) -> str | None:
    """Why versions of the registry may be missing here, in words; None where none should be."""
    if repository.is_shallow() and not _stamp(repository).exists():
        return "this clone is shallow"
    if is_tagless(repository):
        return "this clone was made without tags"
    if remotes(repository) and last_fetched(repository) is None:
        return "this repository never fetched all tags"
    return None


def _heard(repository: Repository, *words: str) -> Outcome:
    """Ask a remote that must go on speaking.

    A push is not asked so, since a hook, here or there, may work for minutes without a word;
    before each push a remote is listed or fetched from.
    """
    return repository.attempt(*words, alone=True, silence=git_command.SILENCE)


def _refusals(done: Outcome) -> list[list[str]]:
    """The rows of ``push --porcelain`` that say no: the flag, the names, the reason."""
    rows = [line.split("\t") for line in lines(done.text) if line.count("\t") == 2]
    return [row for row in rows if row[0] == "!"]


def _not_pushed(remote: str, done: Outcome) -> RegistryError:
    """Why a push came to nothing without a word about any name.

    Git says nothing but ``failed to push some refs`` where a hook here ended it: the words are
    then the hook's own.
    """
    broken = any(word in done.err for word in BROKEN)
    if NOT_PUSHED not in done.err or broken or _FORBIDDEN.search(done.err):
        return unreachable(remote, done)
    told = [*(line.strip() for line in lines(done.text)), *done.said]
    words = [line for line in told if NOT_PUSHED not in line] or ["it said nothing"]
    what = f"the push to {remote} was refused here, by a pre-push hook perhaps"
    hint = f"what was not pushed waits here; git push {remote} shows all that is said"
    return RegistryError(f"{what}: {'; '.join(words[-MOST_SAID:])}", hint=hint)


def _because(done: Outcome, summary: str) -> str:
    remote = [line.removeprefix("remote: ").strip() for line in done.said]
    said = [line for line in remote if line.startswith(("error:", "GH"))]
    return "; ".join([summary, *said])


def _stamp(repository: Repository) -> Path:
    return repository.common / "towpath" / "fetched"


def _cloned(log: Path) -> float | None:
    """When the repository was cloned, from the first line of its head's log."""
    if not log.exists():
        return None
    with log.open(encoding="utf-8", errors="replace") as lines:
        who, _, what = lines.readline().partition("\t")
    return float(who.split()[-2]) if what.startswith("clone:") else None
