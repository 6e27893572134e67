"""Who agreed to a commit: by signing it, or by a review of the pull request that brought it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from msgspec import Struct

from towpath.backends.git import Repository, main_branch, refs, remotes
from towpath.backends.git.git_command import split_lines
from towpath.backends.git.signatures import IN_UTC, Signer, signers_file
from towpath.errors import RegistryError
from towpath.forge import Forge, PullRequest, Review

CONFIGURE = "git config gpg.format ssh; git config user.signingkey ~/.ssh/id_ed25519.pub"
_SSH = "-----BEGIN SSH SIGNATURE-----"
_FACTS = "%H%x00%G?%x00%GS%x00%GF"


class CommitSignature(Struct, frozen=True):
    """Who signed a commit: the line of the file of signers, and the key's fingerprint."""

    signer: Signer
    key: str

    @property
    def name(self) -> str:
        return self.signer.name

    @property
    def names(self) -> frozenset[str]:
        """Every name that the line gives the key, lower case; a pattern is none."""
        return frozenset(name.lower() for name in self.signer.names)

    def is_same_person(self, other: CommitSignature) -> bool:
        """Whether one may have made both: they share a name or a key, or a pattern fits."""
        mine, theirs = self.signer, other.signer
        if self.key == other.key or mine.person & theirs.person:
            return True
        if mine.patterns and theirs.patterns:
            return True
        return mine.may_be(theirs.person) or theirs.may_be(mine.person)


def read_signatures(
    repository: Repository, commits: Iterable[str], signers: bytes | None
) -> dict[str, CommitSignature]:
    """Who of an allowed_signers file signed each commit; none for who is not in it."""
    # Only SSH signatures count: what a PGP key may say depends on the machine that looks. Git
    # honours the file's `valid-after` and `valid-before` at the commit's own date.
    if not signers:
        return {}
    names, verdicts = tuple(commits), repository.signatures.setdefault(signers, {})
    contents = refs.read_contents(repository, [name for name in names if name not in verdicts])
    # What is not here may be fetched meanwhile: nothing is remembered of it.
    verdicts |= dict.fromkeys(contents)
    if signed := [name for name, content in contents.items() if _carries_ssh_signature(content)]:
        verdicts |= _verify_signatures(repository, signed, signers)
    return {name: signature for name in names if (signature := verdicts.get(name))}


def _verify_signatures(
    repository: Repository, signed: Iterable[str], signers: bytes
) -> dict[str, CommitSignature]:
    with signers_file(signers) as file:
        listed = repository.call(
            *file.git_settings, "log", "--no-walk=unsorted", "--stdin", f"--format={_FACTS}",
            stdin="".join(f"{commit}\n" for commit in signed).encode(), env=IN_UTC,
        )  # fmt: skip
        signatures_by_commit: dict[str, CommitSignature] = {}
        for line in split_lines(listed):
            commit, verdict, name, key = line.split("\0")
            # `U` is a good signature of a key that the file does not know.
            signer = file.find_signer(name.strip()) if verdict == "G" else None
            if signer and key.strip():
                signatures_by_commit[commit] = CommitSignature(signer, key.strip())
        return signatures_by_commit


def is_signed(repository: Repository, commit: str) -> bool:
    return _carries_ssh_signature(refs.read_contents(repository, [commit]).get(commit, b""))


def _carries_ssh_signature(content: bytes) -> bool:
    """Whether the bytes of a commit hold an SSH signature, and no other beside it."""
    # A commit may carry several, and Git checks one of them: two machines might read two signers.
    head = content.decode("utf-8", "replace").partition("\n\n")[0]
    first = [line.partition(" ")[2] for line in split_lines(head) if line.startswith("gpgsig")]
    return bool(first) and all(line == _SSH for line in first)


def is_configured(repository: Repository) -> bool:
    return repository.read_setting("gpg.format") == "ssh" and bool(
        repository.read_setting("user.signingkey")
        or repository.read_setting("gpg.ssh.defaultKeyCommand")
    )


def find_pull(
    repository: Repository, forge: Forge, commit: str, head: str | None
) -> PullRequest | None:
    """The pull request that was merged into main and brought a commit; of a merge, the one whose
    head it merged. ``head`` is None where it came by a squash or a rebase. Raises
    ``ForgeError``."""
    # One that was merged into another branch was reviewed for that branch, whoever put it on main
    # afterwards. A forge leaves the old name in what was merged before main was renamed; a branch
    # that is there still is not main under its old name.
    remote = remotes.choose_remote(repository)
    usual = {f"refs/remotes/{remote}/{name}": name for name in main_branch.USUAL}
    refs_here = set(refs.list_ref_names(repository, *usual))
    bases = {name for ref, name in usual.items() if ref not in refs_here}
    bases.add(main_branch.main_branch_name(repository))
    pulls = forge.of_commit(commit)
    merged = (pull for pull in pulls if pull.state == "merged" and pull.base in bases)
    mine = next((pull for pull in merged if head in (None, pull.head)), None)
    # Asked for again by its number, for a list does not say who merged it.
    return forge.pull(mine.number) if mine else None


def bring_head(repository: Repository, pull: PullRequest) -> bool:
    """Have the head of a pull request here, be its branch gone or a fork's; whether it is."""
    remote = remotes.choose_remote(repository)
    if repository.commit(pull.head) is None and remote:
        ref = f"refs/pull/{pull.number}/head"
        # The forge may keep no such ref, or be out of reach: what could not be had is asked below.
        with suppress(RegistryError):
            remotes.fetch_refs(repository, remote, f"+{ref}:refs/towpath/pulls/{pull.number}")
    return repository.commit(pull.head) is not None


def find_standing_reviews(reviews: Sequence[Review], head: str) -> dict[str, Review]:
    """The reviews that approve a head, by login: of each person the last word counts."""
    # A comment after an approval takes nothing back, as at the forge itself.
    verdicts = ("approved", "changes_requested", "dismissed")
    last = {review.user.lower(): review for review in reviews if review.state in verdicts}
    approving = {user: review for user, review in last.items() if review.state == "approved"}
    return {user: review for user, review in approving.items() if review.commit == head}
