"""Objects: bytes under the name of their digest, written whole or not at all."""

# Strings and bare calls, not Paths: this runs for each of ten thousand files.
# ruff: noqa: PTH105, PTH116

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from towpath.errors import Malformed
from towpath.spec.digests import require_md5
from towpath.store.copying import clone, copy_hashing, md5, md5_of, write_all
from towpath.store.digest import FOLDER, is_folder, manifest_digest, read_manifest
from towpath.store.incoming import Incoming, Scratch
from towpath.store.layout import Layout
from towpath.store.statcache import Row, Stamp, StatCache, now

_SMALL = 1 << 20
"""Bytes below which a file is read before it is known whether it must be written."""


@dataclass(frozen=True)
class Objects:
    """The objects of one cache.

    Nothing is flushed to the disk with `fsync`, which would cost more than all the rest: what a
    power cut tears is found, since nothing counts as verified that was hashed in another boot.
    """

    layout: Layout
    verified: StatCache

    def path(self, digest: str) -> Path:
        """Where an object stands, or would."""
        return Path(self._path(digest))

    def _path(self, digest: str) -> str:
        require_md5(digest)  # anything else is a path of its writer's choice
        return f"{self._home}/{digest[:2]}/{digest[2:]}"

    @cached_property
    def _home(self) -> str:
        return os.fspath(self.layout.objects)

    @cached_property
    def incoming(self) -> Incoming:
        """Where bytes arrive."""
        return Incoming(self.layout)

    def is_whole(self, digest: str) -> bool:
        """Whether an object is there and its bytes are right; wrong ones are moved aside."""
        return self.unverified([digest]) == []

    def unverified(self, digests: Iterable[str], aside: bool = True) -> list[str]:
        """Those that are not there or whose bytes are wrong; reads what was not read before.

        Wrong ones are moved ``aside``, unless who asks only looks.
        """
        missing: list[str] = []
        stamps: dict[str, Stamp] = {}
        named = {self._path(digest): digest for digest in digests}
        for path, digest in named.items():
            try:
                stamps[path] = Stamp.of(os.stat(path))
            except OSError:
                missing.append(digest)
        known = self.verified.get_many(stamps)
        unread = [path for path in stamps if known.get(path) != named[path]]
        wrong = (named[path] for path in unread if not self._reread(path, named[path], aside))
        return [*missing, *wrong]

    def _reread(self, path: str, digest: str, aside: bool) -> bool:
        began = now()
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            return False
        try:
            stamp = Stamp.of(os.fstat(descriptor))
            found = md5_of(descriptor) + (FOLDER if is_folder(digest) else "")
        finally:
            os.close(descriptor)
        if found != digest:
            if aside:
                self._move_aside(path, digest)
            return False
        self.verified.save([(path, stamp, digest)], began)
        return True

    def _move_aside(self, path: str, digest: str) -> None:
        aside = self.layout.corrupt / f"{digest}-{os.urandom(4).hex()}"
        with suppress(OSError):  # where the store is read-only it stays, and stays a miss
            aside.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, aside)
            _say(
                "the bytes of %s in the store were not what its name says: moved aside to %s, "
                "to be made or fetched again",
                digest,
                aside,
            )

    def read(self, digest: str) -> bytes | None:
        """The bytes of a small object, hashed as they are read; None where missing or wrong."""
        try:
            content = self.path(digest).read_bytes()
        except OSError:
            return None
        if md5(content) + (FOLDER if is_folder(digest) else "") != digest:
            self._move_aside(self._path(digest), digest)
            return None
        return content

    def members(self, digest: str) -> dict[str, str] | None:
        """A folder's digests by relative path; None where its manifest is missing or wrong."""
        content = self.read(digest)
        try:
            return None if content is None else read_manifest(content)
        except Malformed:
            return None

    def add_bytes(self, content: bytes, digest: str | None = None) -> str:
        """Store bytes; a manifest is given its folder's digest."""
        digest = digest or md5(content)
        if not self.is_whole(digest):
            self.verified.save([self._write(content, digest)], now())
        return digest

    def add_manifest(self, content: bytes) -> str:
        """Store a folder's manifest, after its members."""
        return self.add_bytes(content, manifest_digest(content))

    def add_file(self, source: str, size: int) -> tuple[str, Row | None]:
        """Store a file's bytes as they are now, in one pass; ``size`` is how large it was.

        Answers the digest, and what to remember as verified when something was written.
        """
        descriptor = os.open(source, os.O_RDONLY)
        try:
            content = os.read(descriptor, min(size, _SMALL) + 1)
            if len(content) > min(size, _SMALL):  # large, or grown since
                os.lseek(descriptor, 0, os.SEEK_SET)
                return self._add_large(descriptor)
        finally:
            os.close(descriptor)
        digest = md5(content)
        if os.access(self._path(digest), os.F_OK) and self.is_whole(digest):
            return digest, None
        return digest, self._write(content, digest)

    def _add_large(self, source: int) -> tuple[str, Row | None]:
        try:
            scratch = self.incoming.new()
        except OSError:  # a store that may only be read has no need to be written
            if self.is_whole(digest := md5_of(source)):
                return digest, None
            raise
        with scratch:
            shared = clone(source, scratch.descriptor)
            digest = (
                md5_of(scratch.descriptor) if shared else copy_hashing(source, scratch.descriptor)
            )
            return digest, None if self._is_verified(digest) else self._settle(scratch, digest)

    def _write(self, content: bytes, digest: str) -> Row:
        with self.incoming.new() as scratch:
            write_all(scratch.descriptor, content)
            return self._settle(scratch, digest)

    def adopt(self, path: Path, digest: str) -> bool:
        """Make an object of bytes that came from elsewhere; wrong ones are removed instead."""
        with self.incoming.arrived(path) as scratch:
            if md5_of(scratch.descriptor) != digest.removesuffix(FOLDER):
                return False
            self.verified.save([self._settle(scratch, digest)], now())
            return True

    def _settle(self, scratch: Scratch, digest: str) -> Row:
        path = self._path(digest)
        return path, scratch.settle(path), digest

    def _is_verified(self, digest: str) -> bool:
        """Whether the object was read and has not changed; one that was not is written over."""
        path = self._path(digest)
        try:
            stamp = Stamp.of(os.stat(path))
        except OSError:
            return False
        return self.verified.get(path, stamp) == digest


def _say(message: str, *words: object) -> None:
    import logging

    logging.getLogger("towpath.store").warning(message, *words)
