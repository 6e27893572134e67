"""Which branch is main.

What was decided stands on main, so nothing is taken for it by a guess. With a remote it is that
one's HEAD, asked at each fetch and kept where Git itself keeps it (``refs/remotes/<remote>/HEAD``);
``main: <branch>`` in the ``towpath.yaml`` there names another. Without a remote it is the one
branch that is called as main branches are, or that says of itself that it is main.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from towpath.backends.git import commit_history, refs, remotes
from towpath.backends.git.git_command import split_lines
from towpath.backends.git.repository import Repository
from towpath.errors import RegistryError

USUAL = ("main", "master")
DECLARATION = "towpath.yaml"
_HEADS = "refs/heads/"
_PROPOSALS = "promote/"  # branches of promotions are no main branch, whatever they are called


class MainBranch(Struct, frozen=True):
    """The main branch by its name, and where it is: on the remote, and here. ``named_at`` is the
    commit of another branch whose declaration says that this one is main."""

    name: str
    far: str | None = None
    near: str | None = None
    named_at: str | None = None


def main_branch_name(repository: Repository) -> str:
    """What the main branch is called. Raises ``RegistryError`` where that is not known."""
    branch = find_main_branch(repository)
    return branch.name if branch else _unborn_branch(repository)


def main_commit(repository: Repository) -> str | None:
    """The commit of the main branch; None before the first commit. Of the branch here and the
    remote's, the one that holds the other; where they parted, the remote's. A remote that never
    said which branch is main is asked. Raises ``RegistryError`` where nobody says it."""
    branch = find_main_branch(repository)
    return newest_commit(repository, branch) if branch else None


def remote_main(repository: Repository) -> str | None:
    """The remote's main branch, as it was when it was last fetched; None without one."""
    branch = find_main_branch(repository)
    return branch.far if branch else None


def seen_main_commit(repository: Repository) -> str | None:
    """The commit of main as far as this clone knows it, for reads that ask no network."""
    try:
        branch = find_main_branch(repository, ask=False)
    except RegistryError:  # a read goes on without main; who decides says what is wrong
        return None
    return newest_commit(repository, branch) if branch else None


def find_main_branch(repository: Repository, ask: bool = True) -> MainBranch | None:
    """The main branch; None before the first commit. ``ask``: a remote that never said it, too."""
    remote = remotes.choose_remote(repository)
    if remote is None:
        return _local_branch(repository)
    kept, usual = _read_remote_main(repository, remote)
    if kept is None and ask and repository.asks_remotes:
        kept = _learn_head(repository, remote)
        usual = {}  # a branch may have come here meanwhile
    if kept is not None:
        branch = usual.get(kept) or _branch_at(repository, remote, kept)
        return _followed_branch(repository, remote, branch)
    if _tracked_branches(repository, remote):
        return _agreed_branch(repository, remote)
    return _local_branch(repository)


def redirecting_commit(repository: Repository) -> str | None:
    """The commit of the branch that would be main, did the declaration there not name another."""
    # Whoever may push there can write that, so that it counts once it was agreed to there
    # (``delivery.promotion.main_line_approvals``).
    branch = find_main_branch(repository)
    return branch.named_at if branch else None


def kept_head(repository: Repository, remote: str) -> str | None:
    """Which branch the remote said to be its main one, when it was last asked."""
    ref = repository.attempt_git("symbolic-ref", "-q", f"refs/remotes/{remote}/HEAD").text
    return ref.removeprefix(f"refs/remotes/{remote}/") or None


def _read_remote_main(
    repository: Repository, remote: str
) -> tuple[str | None, dict[str, MainBranch]]:
    """``kept_head``, and the branches that it is as a rule, by their names."""
    # One call of Git in place of two: a promotion asks dozens of times which branch is main.
    far, head = f"refs/remotes/{remote}/", f"refs/remotes/{remote}/HEAD"
    refs_of_usual = {name: (f"{far}{name}", f"{_HEADS}{name}") for name in USUAL}
    patterns = (head, *itertools.chain.from_iterable(refs_of_usual.values()))
    listed = repository.call(
        "for-each-ref", "--format=%(refname) %(objectname) %(symref)", *patterns
    )
    rows = [line.split(" ") for line in split_lines(listed)]
    commits = {name: commit for name, commit, _ in rows}
    usual = {
        name: MainBranch(name, commits.get(there), commits.get(near))
        for name, (there, near) in refs_of_usual.items()
    }
    followed = next((symref for name, _, symref in rows if name == head), "")
    # One that names a branch which is not here is not listed.
    return followed.removeprefix(far) or kept_head(repository, remote), usual


def follow_remote_head(repository: Repository, remote: str) -> str | None:
    """Ask the remote which branch is its main one now, if any, and keep that."""
    # A remote whose HEAD names no branch leaves what was kept, be it by ``git remote set-head``.
    head = remotes.remote_head_branch(repository, remote)
    if head is not None and head != kept_head(repository, remote):
        ref = f"refs/remotes/{remote}/"
        repository.call("symbolic-ref", f"{ref}HEAD", f"{ref}{head}")
    return head


def newest_commit(repository: Repository, branch: MainBranch) -> str | None:
    """Of the branch here and the remote's, the one that holds the other; else the remote's."""
    near, far = branch.near, branch.far
    if near is None or far is None or near == far:
        return far or near
    return near if commit_history.is_ancestor(repository, far, near) else far


def _learn_head(repository: Repository, remote: str) -> str | None:
    """Ask a remote that never said it."""
    # A remote that is out of reach, and of which nothing was ever fetched or pushed, has not
    # decided anything yet: then it is as if there were none.
    try:
        return follow_remote_head(repository, remote)
    except RegistryError as silent:
        tracked = _tracked_branches(repository, remote)
        if tracked and _declared_by(repository, tracked.values()):
            return None
        if not tracked and refs.list_ref_names(repository, _HEADS.rstrip("/")):
            return None
        what = f"which branch is main is not known: {silent.faults[0].what}"
        hint = f"towpath fetch, or git remote set-head {remote} <branch>"
        raise RegistryError(what, hint=hint) from silent


def _followed_branch(repository: Repository, remote: str, branch: MainBranch) -> MainBranch:
    """The branch that the remote's HEAD is, or that the declaration there names instead."""
    head = branch.name
    tip = branch.far or branch.near
    named = _declared_branch(repository, tip) if tip else None
    if named and named != head:
        branch = replace(_branch_at(repository, remote, named), named_at=tip)
    if branch.far or branch.near:
        return branch
    branch_words = f"`{named}`, by its {DECLARATION}" if named else f"`{head}`"
    what = f"the main branch of {remote} is {branch_words}, and it is not here"
    raise RegistryError(what, hint="towpath fetch")


def _branch_at(repository: Repository, remote: str, name: str) -> MainBranch:
    far, near = f"refs/remotes/{remote}/{name}", f"{_HEADS}{name}"
    commits = refs.list_ref_objects(repository, far, near)
    return MainBranch(name, commits.get(far), commits.get(near))


def _tracked_branches(repository: Repository, remote: str) -> dict[str, str]:
    prefix = f"refs/remotes/{remote}/"
    commits_by_ref = refs.list_ref_objects(repository, prefix.rstrip("/"))
    return {ref.removeprefix(prefix): commit for ref, commit in commits_by_ref.items()}


def _agreed_branch(repository: Repository, remote: str) -> MainBranch:
    """The branch that every one of a silent remote's branches declares to be main."""
    # One that says otherwise, or nothing, may be the true one: then nobody can tell.
    tracked = _tracked_branches(repository, remote)
    named = _declared_by(repository, tracked.values())
    if named in tracked:
        return _branch_at(repository, remote, str(named))
    what = f"which branch is main is not known: {remote} does not say it"
    hint = f"git remote set-head {remote} <branch>, or there: git symbolic-ref HEAD refs/heads/..."
    raise RegistryError(what, hint=hint)


def _declared_by(repository: Repository, commits: Iterable[str]) -> str | None:
    names = {_declared_branch(repository, commit) for commit in dict.fromkeys(commits)}
    return names.pop() if len(names) == 1 else None


def _local_branch(repository: Repository) -> MainBranch | None:
    commits_by_name = {
        ref.removeprefix(_HEADS): commit
        for ref, commit in refs.list_ref_objects(repository, _HEADS.rstrip("/")).items()
        if not ref.startswith(f"{_HEADS}{_PROPOSALS}")
    }
    if not commits_by_name:
        if repository.head() is not None:
            what = "a commit is checked out, and no branch is here"
            hint = "git fetch the main branch, or git switch -c main"
            raise RegistryError(f"which branch is main is not known: {what}", hint=hint)
        return None
    chosen = _usual_branch(repository, commits_by_name)
    if chosen is None:
        pairs = commits_by_name.items()
        mine = [name for name, tip in pairs if _declared_branch(repository, tip) == name]
        chosen = mine[0] if len(mine) == 1 else None
    if chosen is None:
        named = ", ".join(f"`{branch_name}`" for branch_name in sorted(commits_by_name)[:5])
        what = f"which branch is main is not known: there is {named}"
        raise RegistryError(what, hint=f"write `main: <branch>` into {DECLARATION} on that branch")
    usual = _usual_name(repository, commits_by_name)
    named_at = commits_by_name[usual] if usual not in (None, chosen) else None
    return MainBranch(chosen, near=commits_by_name[chosen], named_at=named_at)


def _usual_branch(repository: Repository, known: Mapping[str, str]) -> str | None:
    usual = _usual_name(repository, known)
    if usual is None or len(known) == 1 or repository.bare:
        return usual
    named = _declared_branch(repository, known[usual])
    return named if named in known else usual


def _usual_name(repository: Repository, known: Mapping[str, str]) -> str | None:
    """The only branch, a bare repository's HEAD, or the only one with a usual name."""
    if len(known) == 1:
        return next(iter(known))
    if repository.bare and (head := _unborn_branch(repository)) in known:
        return head
    usual = {*USUAL, repository.read_setting("init.defaultBranch") or USUAL[0]} & {*known}
    return usual.pop() if len(usual) == 1 else None


def _unborn_branch(repository: Repository) -> str:
    # Not its short form, which is another where a tag has the branch's name.
    full = repository.attempt_git("symbolic-ref", "-q", "HEAD").text
    return full.removeprefix(_HEADS) or USUAL[0]


def find_declarations(repository: Repository, commit: str) -> dict[str, str]:
    """What a commit's declarations say to be main, by path: the root's alone, or all projects'."""
    # The one in the root speaks for all: a project below must not take main from it.
    names = [f"{commit}:{DECLARATION}"]
    texts = refs.read_contents(repository, names)
    if not texts:
        paths = commit_history.list_paths(repository, commit)
        names = [f"{commit}:{path}" for path in paths if path.endswith(f"/{DECLARATION}")]
        texts = refs.read_contents(repository, names) if names else {}
    names_by_path = {
        name.partition(":")[2]: read_declared_name(text) for name, text in texts.items()
    }
    return {path: branch for path, branch in names_by_path.items() if branch}


def _declared_branch(repository: Repository, commit: str) -> str | None:
    """The name of the main branch that a commit's declarations say; None where they say none. In a
    repository of several projects any may say it. Raises ``RegistryError`` where two differ."""
    declarations = find_declarations(repository, commit)
    if len(set(declarations.values())) > 1:
        named = sorted(declarations.items())
        listed = " and ".join(f"`{branch}` ({path})" for path, branch in named)
        what = f"the projects at {commit[:7]} declare {listed} to be main"
        raise RegistryError(what, hint="let them say the same")
    return next(iter(declarations.values()), None)


def read_declared_name(content: bytes) -> str | None:
    """What a declaration calls main. Every command asks, and most declarations do not say."""
    if b"main" not in content:
        return None
    from towpath import documents

    named = documents.find_entry(content.decode("utf-8", "replace"), "main")
    return named if isinstance(named, str) else None
