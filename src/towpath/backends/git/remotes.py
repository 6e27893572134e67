"""What passes between a repository and its remotes; their addresses, and clones of them."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from towpath.backends.git import git_command, refs
from towpath.backends.git.git_command import GitOutcome, split_lines
from towpath.backends.git.repository import Repository
from towpath.credentials import hide_credentials
from towpath.errors import RegistryError, UsageError, did_you_mean
from towpath.scratch import folder_beside

ORIGIN = "origin"
_SHORT = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]{2,}):(?P<path>(?!//).*)")  # ssh's short form


def begin_clone(folder: Path, address: str) -> Repository:
    """The clone of ``address`` in ``folder``, made where there is none; nothing is fetched. It
    appears whole or not at all. Raises ``RegistryError`` where the folder cannot be written."""
    if not (folder / "HEAD").is_file():
        try:
            _make_clone(folder, address)
        except OSError as refused:
            raise RegistryError(f"{folder} cannot be written: {refused.strerror}") from refused
    return Repository(folder, folder, bare=True)


def _make_clone(folder: Path, address: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(folder) as scratch:
        new = scratch / folder.name
        new.mkdir()
        git_command.call_git(new, "init", "-q", "--bare", "--initial-branch=main", "--template=")
        clone = Repository(new, new, bare=True)
        clone.call("config", f"remote.{ORIGIN}.url", address)
        clone.call("config", f"remote.{ORIGIN}.fetch", f"+refs/heads/*:refs/remotes/{ORIGIN}/*")
        with suppress(FileExistsError):
            try:
                new.rename(folder)
            except OSError:  # another run was quicker, or a torn clone is in the way
                if not (folder / "HEAD").is_file():
                    shutil.rmtree(folder, ignore_errors=True)
                    new.rename(folder)


def follow_settings(clone: Repository, model: Repository) -> None:
    """Who commits, and whether and how it is signed in one repository, holds in the other, too."""
    theirs, mine = _signing_settings(model), _signing_settings(clone)
    for key in mine.keys() - theirs.keys():
        clone.call("config", "--local", "--unset-all", key)
    for key, value in theirs.items():
        if mine.get(key) != value:
            clone.call("config", "--local", "--replace-all", key, value)


def _signing_settings(repository: Repository) -> dict[str, str]:
    keys = r"^(user|gpg)\.|^(commit\.gpgsign|tag\.gpgsign|tag\.forcesignannotated)$"
    listed = repository.attempt_git("config", "--local", "--null", "--get-regexp", keys).text
    pairs = (pair.partition("\n") for pair in listed.split("\0") if pair)
    # A key without `=` is true, and has no value to copy.
    return {key: value if equals else "true" for key, equals, value in pairs}


def remote_address(repository: Repository, remote: str) -> str | None:
    url = repository.read_setting(f"remote.{remote}.url")
    return hide_credentials(url) if url else None


def is_remote(address: str) -> bool:
    return "://" in address or bool(_SHORT.fullmatch(address))


def is_same_repository(one: str, other: str) -> bool:
    """Whether two addresses are of one repository, however it is spoken to."""
    return _host_and_path(one) == _host_and_path(other)


def repository_owner(address: str) -> str:
    """Who a repository at a forge belongs to; empty of an address that says no such thing."""
    return _owner_and_name(address)[0]


def is_fork(address: str, repository: str) -> bool:
    """Whether an address is of a repository ``owner/name`` in another's hands."""
    owner, name = (word.lower() for word in _owner_and_name(address))
    other_owner, _, called = repository.lower().partition("/")
    return bool(owner) and owner != other_owner and name == called


def _owner_and_name(address: str) -> tuple[str, str]:
    words = _host_and_path(address).split("/")[1:] if is_remote(address) else []
    return (words[-2], words[-1]) if len(words) > 1 else ("", "")


def _host_and_path(address: str) -> str:
    """Host and path: what is left of an address without scheme, user and ``.git``."""
    if short := _SHORT.fullmatch(address):
        host, path = short["host"], short["path"]
    else:
        parts = urlsplit(address)
        host, path = parts.hostname or "", parts.path if parts.scheme else address
    return f"{host.lower()}/{path.strip('/').removesuffix('.git').rstrip('/')}"


# Pruning, which a user may have set, would delete versions that were not pushed yet; and refspecs
# that a user has beside ours (a mirror's) would move branches here.
TAKE_ONLY = (
    "--no-tags", "--no-prune", "--no-prune-tags", "--no-recurse-submodules",
    "--no-write-fetch-head", "--refmap=",
)  # fmt: skip
SEND_ONLY = (
    "--porcelain", "--no-follow-tags", "--no-recurse-submodules", "--no-force-if-includes",
)  # fmt: skip
_IN_THE_WAY = re.compile(r"cannot lock ref '[^']+': '(refs/[^']+)' exists")
_SYMBOLIC = "ref: refs/heads/"  # how ls-remote begins the line of a HEAD that is a branch
NOT_PUSHED = "failed to push some refs"
# A connection that broke off ends in the words of a hook that refused, and in these.
BROKEN = ("hung up", "disconnect", "RPC failed", "unable to access", "Could not read from remote")
ABSENT = (
    *BROKEN, "Could not resolve", "unable to connect", "unable to look up", "Connection ",
    "timed out", "no answer for", "early EOF", "does not appear to be a git repository",
    "not found", "does not exist", "could not read Username", "could not read Password",
    "Authentication failed",
)  # fmt: skip
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


def list_remotes(repository: Repository) -> tuple[str, ...]:
    return tuple(split_lines(_recall_remotes(repository)))


def _recall_remotes(repository: Repository) -> str:
    # One command asks for them ten times: Git is asked again once its settings were written.
    try:
        written = (repository.common / "config").stat()
    except OSError:
        return repository.call("remote")
    words = ("remote", f"{written.st_ino} {written.st_mtime_ns} {written.st_size}")
    if words not in repository.answers:
        repository.answers[words] = repository.call("remote")
    return repository.answers[words]


def choose_remote(repository: Repository, name: str | None = None) -> str | None:
    """The remote that is meant: the one named, else the branch's, else ``origin``, else the first.
    None where there is none; ``UsageError`` where the one named is not there."""
    remote_names = list_remotes(repository)
    if name is not None:
        if name not in remote_names:
            raise UsageError(f"there is no remote `{name}`", hint=did_you_mean(name, remote_names))
        return name
    if len(remote_names) < 2:
        return remote_names[0] if remote_names else None
    branch = repository.attempt_git("symbolic-ref", "-q", "HEAD").text.removeprefix("refs/heads/")
    usual = (repository.read_setting(f"branch.{branch}.remote") if branch else None, "origin")
    return next((remote for remote in usual if remote in remote_names), remote_names[0])


def push_new_refs(repository: Repository, remote: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Push objects, by names that must not be there yet; the refused names, with the remote's
    words. ``RegistryError`` where it cannot be reached, ``NotAllowed`` where it lets nothing in
    from this person, or a hook here lets nothing go."""
    # An empty lease says: only if there is no such ref, also where Git would fast-forward it.
    return _push_refs(repository, remote, tags, dict.fromkeys(tags, ""))


def push_branch(
    repository: Repository, remote: str, branch: str, commit: str, over: str | None
) -> str | None:
    """Push a branch if the remote's is still at ``over`` (None: not there); why it was refused."""
    ref = f"refs/heads/{branch}"
    return _push_refs(repository, remote, {ref: commit}, {ref: over or ""}).get(ref)


def _push_refs(
    repository: Repository, remote: str, objects: Mapping[str, str], before: Mapping[str, str]
) -> dict[str, str]:
    """Push objects by their refs, if each of these holds what it held ``before``; why those were
    refused that were. Raises ``RegistryError`` where nothing is said of any."""
    pushed = _send_refs(
        repository,
        remote,
        [f"--force-with-lease={ref}:{old}" for ref, old in before.items()],
        [f"{object_}:{ref}" for ref, object_ in objects.items()],
    )
    if pushed.code == 0:
        return {}
    rows = [line.split("\t") for line in split_lines(pushed.text) if line.count("\t") == 2]
    complaints = [line.removeprefix("remote: ").strip() for line in pushed.said]
    reasons = [line for line in complaints if line.startswith(("error:", "GH"))]
    refused = {
        spec.partition(":")[2]: "; ".join([summary, *reasons])
        for flag, spec, summary in rows
        if flag == "!"
    }
    if not refused:
        raise _not_pushed(remote, pushed)
    return refused


def delete_branch(repository: Repository, remote: str, branch: str, commit: str) -> bool:
    """Delete a remote's branch if it is still at a commit; whether that was done."""
    ref = f"refs/heads/{branch}"
    lease = f"--force-with-lease={ref}:{commit}"
    return _send_refs(repository, remote, [lease], [f":{ref}"]).code == 0


def _send_refs(
    repository: Repository, remote: str, leases: Sequence[str], specs: Sequence[str]
) -> GitOutcome:
    """Push these refs and nothing else, however a person's own pushes are configured."""
    # A mirror takes no single refs; options are meant for a person's pushes
    # (``merge_request.create`` with every tag), and a server that knows none refuses all. A push is
    # signed where a person signs theirs, if the server wants to know.
    settings = ("-c", f"remote.{remote}.mirror=false", "-c", "push.pushOption=")
    sign_setting = (repository.read_setting("push.gpgSign") or "false").lower()
    signed = "--no-signed" if sign_setting in ("false", "no", "off", "0") else "--signed=if-asked"
    words = ("push", *SEND_ONLY, signed, *leases, remote, *specs)
    return repository.attempt_git(*settings, *words, alone=True)


def fetch_refs(repository: Repository, remote: str, *specs: str) -> bool:
    """Fetch by refspecs; False where a ref here differs from the remote's and was left alone.
    Raises ``RegistryError`` where the remote cannot be reached, or a ref here leaves no room for
    one of the remote's (``abalone@v1.0.0/x`` for ``abalone@v1.0.0``)."""
    fetched = _ask_remote(repository, "fetch", "--progress", *TAKE_ONLY, remote, *specs)
    if fetched.code == 0:
        return True
    if crossed := [line for line in fetched.said if "cannot lock ref" in line]:
        raise _no_room(repository, remote, crossed[0])
    if "[rejected]" in fetched.err or "would clobber existing tag" in fetched.err:
        return False
    raise unreachable_remote(remote, fetched)


def _no_room(repository: Repository, remote: str, line: str) -> RegistryError:
    """A ref here that is in the way of one of the remote's, by Git's own line about it; what it
    holds may be somebody's only copy, so that it is set aside and not deleted."""
    what = f"not all of {remote} can be kept here: {line.removeprefix('error: ')}"
    named = _IN_THE_WAY.search(line)
    object_ = refs.list_ref_objects(repository, named[1]).get(named[1]) if named else None
    if named is None or object_ is None:
        return RegistryError(what, hint="run it again once no other command of Git works here")
    ref = named[1]
    aside = f"refs/towpath/set-aside/{ref.removeprefix('refs/tags/')}/{object_[:12]}"
    way = f"git update-ref '{aside}' '{ref}' && git update-ref -d '{ref}'"
    return RegistryError(what, hint=f"{way} sets the one here aside; then run it again")


def deepen_clone(repository: Repository, remote: str) -> None:
    """Bring the history that a shallow clone lacks; nothing where it lacks none."""
    if repository.is_shallow():
        branches = f"+refs/heads/*:refs/remotes/{remote}/*"
        words = ("fetch", "--unshallow", "--progress", *TAKE_ONLY, remote, branches)
        fetched = _ask_remote(repository, *words)
        if fetched.code:
            raise unreachable_remote(remote, fetched)


def list_remote_refs(repository: Repository, remote: str, *patterns: str) -> dict[str, str]:
    listing = _ask_remote(repository, "ls-remote", "--refs", remote, *patterns)
    if listing.code:
        raise unreachable_remote(remote, listing)
    rows = (line.split("\t") for line in split_lines(listing.text))
    return {name: object_ for object_, name in rows}


def remote_head_branch(repository: Repository, remote: str) -> str | None:
    """The branch that a remote's HEAD is; None where it names none that is there."""
    listing = _ask_remote(repository, "ls-remote", "--symref", remote, "HEAD")
    if listing.code:
        raise unreachable_remote(remote, listing)
    listed_rows = (line.partition("\t") for line in split_lines(listing.text))
    heads = (ref for ref, _, what in listed_rows if what == "HEAD" and ref.startswith(_SYMBOLIC))
    return next((ref.removeprefix(_SYMBOLIC) for ref in heads), None)


def unreachable_remote(remote: str, outcome: GitOutcome) -> RegistryError:
    """Git's own words about a remote that did not answer as it should, or not at all."""
    wait = "what was not pushed waits here"
    if _FORBIDDEN.search(outcome.err):
        words = [line.removeprefix("remote: ") for line in outcome.said if "unable to" not in line]
        because = "; ".join(words[-MOST_SAID:]) or "it answers 403"
        what = f"{remote} does not let you do this: {because}"
        return NotAllowed(what, hint=f"ask who may, or use another account; {wait}")
    if any(word in outcome.err for word in ABSENT):
        what = f"{remote} cannot be reached: {outcome.last_complaint}"
        return NotReached(what, hint=f"try: git ls-remote {remote}; {wait}")
    what = f"Git did not do this with {remote}: {outcome.last_complaint}"
    return RegistryError(what, hint=f"git config --get-regexp 'push|fetch|remote'; {wait}")


def mark_fetched(repository: Repository) -> None:
    """Remember that all tags were fetched now: a plain ``git pull`` does not bring them."""
    stamp = _stamp_file(repository)
    stamp.parent.mkdir(exist_ok=True)
    stamp.touch()


def last_fetched(repository: Repository) -> float | None:
    """When all tags were last brought here (seconds since 1970): by a fetch, or by the clone."""
    try:
        return _stamp_file(repository).stat().st_mtime
    except FileNotFoundError:  # Towpath never fetched here
        log = repository.common / "logs" / "HEAD"
        if not log.exists():
            return None
        with log.open(encoding="utf-8", errors="replace") as lines:
            who, _, what = lines.readline().partition("\t")
        return float(who.split()[-2]) if what.startswith("clone:") else None


def tags_age(repository: Repository) -> float | None:
    """Seconds since all tags were last brought here; None where that never happened."""
    last = last_fetched(repository)
    return None if last is None else max(0.0, time.time() - last)


def is_tagless(repository: Repository) -> bool:
    """Whether the clone was told to leave tags out (``--no-tags``), or all that is beside one
    branch (``--single-branch``), and none were fetched by Towpath since."""
    keys = r"^remote\..*\.(tagopt|fetch)$"
    rows = split_lines(repository.attempt_git("config", "--get-regexp", keys).text)
    specs = [row for row in rows if not row.endswith(" --no-tags")]
    is_one_branch = bool(specs) and all("*" not in row for row in specs)
    # A shallow clone follows one branch too, and is told by that.
    is_narrow = len(specs) < len(rows) or (is_one_branch and not repository.is_shallow())
    return (
        is_narrow
        and not _stamp_file(repository).exists()
        and not refs.list_ref_names(repository, "refs/tags")
    )


def explain_missing_tags(repository: Repository) -> str | None:
    """Why versions of the registry may be missing here, in words; None where none should be."""
    if repository.is_shallow() and not _stamp_file(repository).exists():
        return "this clone is shallow"
    if is_tagless(repository):
        return "this clone was made without tags"
    if list_remotes(repository) and last_fetched(repository) is None:
        return "this repository never fetched all tags"
    return None


def _ask_remote(repository: Repository, *words: str) -> GitOutcome:
    """Ask a remote that must go on speaking."""
    # A push is not asked so, since a hook, here or there, may work for minutes without a word;
    # before each push a remote is listed or fetched from.
    return repository.attempt_git(*words, alone=True, silence=git_command.SILENCE)


def _not_pushed(remote: str, outcome: GitOutcome) -> RegistryError:
    """Why a push came to nothing without a word about any name."""
    # Git says nothing but ``failed to push some refs`` where a hook here ended it: the words are
    # then the hook's own.
    broken = any(word in outcome.err for word in BROKEN)
    if NOT_PUSHED not in outcome.err or broken or _FORBIDDEN.search(outcome.err):
        return unreachable_remote(remote, outcome)
    all_lines = [*(line.strip() for line in split_lines(outcome.text)), *outcome.said]
    words = [line for line in all_lines if NOT_PUSHED not in line] or ["it said nothing"]
    what = f"the push to {remote} was refused here, by a pre-push hook perhaps"
    hint = f"what was not pushed waits here; git push {remote} shows all that is said"
    return RegistryError(f"{what}: {'; '.join(words[-MOST_SAID:])}", hint=hint)


def _stamp_file(repository: Repository) -> Path:
    return repository.common / "towpath" / "fetched"
