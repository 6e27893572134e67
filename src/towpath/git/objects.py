"""Objects made beside every branch: no work tree, index or branch of the user's is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import RegistryError
from towpath.git.repository import Identity, Repository
from towpath.scratch import scratch_folder


@dataclass(frozen=True)
class Stamp:
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
    stamp: Stamp,
    without: tuple[str, ...] = (),
    merging: tuple[str, ...] = (),
    sign: bool = False,
) -> str:
    """A commit upon ``base`` which adds or replaces ``files`` by their path.

    ``without`` takes paths away; ``merging`` names further parents, whose files are not looked
    at; ``sign`` signs as Git is configured to. Nothing points at the commit yet: its name is
    returned.
    """
    try:
        with scratch_folder() as scratch:
            blobs = _blobs(repository, Path(scratch), files)
            tree = _tree(repository, Path(scratch) / "index", base, blobs, without)
    except OSError as full:
        raise RegistryError(f"no temporary file can be written: {full.strerror}") from full
    parents = [word for parent in (base, *merging) for word in ("-p", parent)]
    words = ["commit-tree", *(["-S"] if sign else []), tree, *parents, "-F", "-"]
    return repository.call(*words, stdin=message.encode(), env=stamp.environment())


def tag(repository: Repository, name: str, target: str, message: str, stamp: Stamp) -> str:
    """An annotated tag's object, which no ref holds yet: it can be pushed before it is kept."""
    head = f"object {target}\ntype commit\ntag {name}\n"
    tagger = f"tagger {stamp.who} {stamp.time} +0000\n"
    return repository.call("mktag", stdin=f"{head}{tagger}\n{message.rstrip()}\n".encode())


def _blobs(repository: Repository, scratch: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    """Store every file in one call, which reads them from paths of its own."""
    paths = [scratch / str(number) for number in range(len(files))]
    for path, content in zip(paths, files.values(), strict=True):
        path.write_bytes(content)
    asked = "".join(f"{path}\n" for path in paths).encode()
    hashed = repository.call("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=asked)
    return dict(zip(files, hashed.split(), strict=True))


def _tree(
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
