"""Digests of files and folders where they lie, reading only what was not read before."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import StoreError
from towpath.spec.artifact import Artifact
from towpath.store.copying import md5_of
from towpath.store.digest import Found, files_under, manifest, manifest_digest
from towpath.store.ignore import Ignore
from towpath.store.many import each
from towpath.store.statcache import Stamp, StatCache, now

_PATIENCE = 3
"""How often a file that changes while it is read is read again."""


@dataclass(frozen=True)
class Reader:
    """Reads digests; ``home`` is the folder whose `.dvcignore` files count."""

    home: Path
    known: StatCache

    def file(self, path: Path) -> Artifact:
        """The digest of a file."""
        found = Found(os.fspath(path), path.name, Stamp.of(path.stat()))
        digest = self.digests([found])[found.relative]
        return Artifact(digest, found.stamp.size, path.name)

    def folder(self, path: Path) -> Artifact:
        """The digest of a folder."""
        files = self.files(path)
        digest = manifest_digest(manifest(self.digests(files)))
        return Artifact(digest, sum(file.stamp.size for file in files), path.name, len(files))

    def files(self, folder: Path) -> list[Found]:
        """The files that a folder is made of."""
        return list(files_under(folder, Ignore.at(self.home, folder)))

    def digests(self, files: Sequence[Found]) -> dict[str, str]:
        """Digests by relative path."""
        known = self.recall(files)
        unread = [file for file in files if file.relative not in known]
        began = now()
        fresh = each(read, unread)
        self.known.save(((file.path, stamp, digest) for file, stamp, digest in fresh), began)
        return known | {file.relative: digest for file, _, digest in fresh}

    def recall(self, files: Iterable[Found]) -> dict[str, str]:
        """The digests that are known without reading, by relative path."""
        by_path = {file.path: file for file in files}
        known = self.known.get_many({path: file.stamp for path, file in by_path.items()})
        return {by_path[path].relative: digest for path, digest in known.items()}


def read(file: Found) -> tuple[Found, Stamp, str]:
    """Hash a file, and the stamp that it had before and after.

    Raises StoreError when it does not stop changing.
    """
    for _ in range(_PATIENCE):
        descriptor = os.open(file.path, os.O_RDONLY)
        try:
            stamp = Stamp.of(os.fstat(descriptor))
            digest = md5_of(descriptor)
            if Stamp.of(os.fstat(descriptor)) == stamp:
                return file, stamp, digest
        finally:
            os.close(descriptor)
    raise StoreError(
        f"{file.path} changes while it is read", hint="wait until it is written, then run again"
    )
