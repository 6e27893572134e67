"""Objects made beside every branch: no work tree, index or branch of the user's is touched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from towpath.backends.git import signatures
from towpath.backends.git.repository import Identity, Repository
from towpath.errors import RegistryError
from towpath.scratch import folder_beside, scratch_folder

# `git tag` alone knows how to sign a tag, and it makes the ref at once, where a number must be
# free on the remote first. This hook lets it make the object, notes its name, and ends there.
_HOOK = """\
#!/bin/sh
[ "$1" = prepared ] || exit 0
cat > "$TOWPATH_TAG_MADE"
exit 1
"""


class CommitStamp(Struct, frozen=True):
    """Who makes an object, and when (seconds since 1970; Git keeps it as UTC)."""

    who: Identity
    time: int

    def environment(self) -> dict[str, str]:
        """The same for author and committer, so that a commit needs no configuration."""
        roles = ("GIT_AUTHOR", "GIT_COMMITTER")
        facts = {"NAME": self.who.name, "EMAIL": self.who.email, "DATE": f"@{self.time} +0000"}
        return {f"{role}_{key}": value for role in roles for key, value in facts.items()}


def commit_beside(
    repository: Repository,
    base: str,
    files: Mapping[str, bytes],
    message: str,
    stamp: CommitStamp,
    without: tuple[str, ...] = (),
    merging: tuple[str, ...] = (),
    sign: bool | None = None,
) -> str:
    """A commit upon ``base`` which adds or replaces ``files`` by their path. ``without`` takes
    paths away; ``merging`` names further parents, whose files are not looked at; ``sign`` says
    whether to sign it (default: as ``commit.gpgSign`` does). Nothing points at the commit yet: its
    name is returned. Raises ``RegistryError`` where it cannot be signed."""
    signs = signatures.read_signing_settings(repository).commits if sign is None else sign
    try:
        with scratch_folder() as scratch:
            blobs = _store_blobs(repository, Path(scratch), files)
            tree = _write_tree(repository, Path(scratch) / "index", base, blobs, without)
    except OSError as full:
        raise RegistryError(f"no temporary file can be written: {full.strerror}") from full
    parents = [word for parent in (base, *merging) for word in ("-p", parent)]
    words = ["commit-tree", *(["-S"] if signs else []), tree, *parents, "-F", "-"]
    env = stamp.environment()
    if not signs:  # `commit-tree` itself does not look at commit.gpgSign
        return repository.call(*words, stdin=message.encode(), env=env)
    signed = repository.attempt_git(*words, stdin=message.encode(), env=env)
    if signed.code:
        raise signatures.signing_refusal("a commit", signed)
    return signed.text


def make_tag_object(
    repository: Repository,
    name: str,
    target: str,
    message: str,
    stamp: CommitStamp,
    sign: bool | None = None,
) -> str:
    """An annotated tag's object, which no ref holds yet: it can be pushed before it is kept.
    ``sign`` says whether it is signed (default: as configured); ``RegistryError`` if that fails."""
    text = f"{signatures.plain_tag_message(message).rstrip()}\n"
    if signatures.read_signing_settings(repository).tags if sign is None else sign:
        return _signed_tag(repository, name, target, text, stamp)
    head = f"object {target}\ntype commit\ntag {name}\n"
    tagger = f"tagger {stamp.who} {stamp.time} +0000\n"
    return repository.call("mktag", stdin=f"{head}{tagger}\n{text}".encode())


def _signed_tag(
    repository: Repository, name: str, target: str, message: str, stamp: CommitStamp
) -> str:
    """The tag's object as ``git tag --sign`` makes it, whatever program and key it signs with."""
    home = repository.common / "towpath"  # a temporary folder may not let a hook be executed
    try:
        home.mkdir(exist_ok=True)
        with folder_beside(home / "signing") as scratch:
            hook, name_file = Path(scratch, "reference-transaction"), Path(scratch, "made")
            hook.write_text(_HOOK)
            hook.chmod(0o755)
            if not os.access(hook, os.X_OK):
                raise RegistryError(f"no hook can be executed in {home}, so no tag is signed")
            words = ("-c", f"core.hooksPath={scratch}", "tag", "--sign", "--force")
            tagging = repository.attempt_git(
                *words, "--cleanup=verbatim", "-F", "-", "--", name, target,
                stdin=message.encode(),
                env=stamp.environment() | {"TOWPATH_TAG_MADE": str(name_file)},
            )  # fmt: skip
            object_ = name_file.read_text().split(" ")[1] if name_file.exists() else None
    except OSError as refused:
        raise RegistryError(f"{home} cannot be written: {refused.strerror}") from refused
    # Where the key of ssh cannot be read, Git (2.39) complains and makes the tag all the same.
    if object_ is None or not signatures.of_tag(repository.call("cat-file", "tag", object_)):
        raise signatures.signing_refusal(f"the tag {name}", tagging)
    return object_


def _store_blobs(
    repository: Repository, scratch: Path, files: Mapping[str, bytes]
) -> dict[str, str]:
    """Store every file in one call, which reads them from paths of its own."""
    paths = [scratch / str(number) for number in range(len(files))]
    for path, content in zip(paths, files.values(), strict=True):
        path.write_bytes(content)
    path_lines = "".join(f"{path}\n" for path in paths).encode()
    hashed = repository.call("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=path_lines)
    return dict(zip(files, hashed.split(), strict=True))


def _write_tree(
    repository: Repository,
    index: Path,
    base: str,
    blobs: Mapping[str, str],
    without: tuple[str, ...],
) -> str:
    env = {"GIT_INDEX_FILE": str(index)}
    nothing = "0" * len(next(iter(blobs.values()), "0" * 40))
    lines = [f"0 {nothing}\t{path}\0" for path in without]
    lines += [f"100644 {blob}\t{path}\0" for path, blob in blobs.items()]
    repository.call("read-tree", base, env=env)
    repository.call("update-index", "-z", "--index-info", stdin="".join(lines).encode(), env=env)
    return repository.call("write-tree", env=env)
