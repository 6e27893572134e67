"""Objects: bytes under the name of their digest, written whole or not at all."""

# Strings and bare calls, not Paths: this runs for each of ten thousand files.
# ruff: noqa: PTH105, PTH108, PTH116

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from towpath.store.copying import clone, copy_hashing, md5, md5_of, write_all
from towpath.store.digest import FOLDER, is_folder, manifest_digest, read_manifest
from towpath.store.layout import Layout
from towpath.store.statcache import Stamp, StatCache, now

_AGED = 4_000_000_000
"""Nanoseconds that an object's time is set back, so that a later write is sure to change it."""
_STALE = 86_400
"""Seconds after which bytes on their way in are nobody's any more."""
_SMALL = 1 << 20
"""Bytes up to which a file is read before it is known whether it must be written."""


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
        return f"{self.layout.objects}/{digest[:2]}/{digest[2:]}"

    def is_whole(self, digest: str) -> bool:
        """Whether an object is there and its bytes are right; wrong ones are moved aside."""
        return self.unverified([digest]) == []

    def unverified(self, digests: Iterable[str]) -> list[str]:
        """Those that are not there or whose bytes are wrong; reads what was not read before."""
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
        return missing + [named[path] for path in unread if not self._reread(path, named[path])]

    def _reread(self, path: str, digest: str) -> bool:
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
            self._move_aside(path, digest)
            return False
        self.verified.save([(path, stamp, digest)], began)
        return True

    def _move_aside(self, path: str, digest: str) -> None:
        aside = self.layout.corrupt / f"{digest}-{secrets.token_hex(4)}"
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
        except (ValueError, KeyError, TypeError):
            return None

    def add_bytes(self, content: bytes, digest: str | None = None) -> str:
        """Store bytes; a manifest is given its folder's digest."""
        digest = digest or md5(content)
        if not self.is_whole(digest):
            with self._scratch() as (descriptor, scratch):
                write_all(descriptor, content)
                row = self._settle(descriptor, scratch, digest)
            self.verified.save([row], now())
        return digest

    def add_manifest(self, content: bytes) -> str:
        """Store a folder's manifest, after its members."""
        return self.add_bytes(content, manifest_digest(content))

    def add_file(self, source: str) -> tuple[str, tuple[str, Stamp, str] | None]:
        """Store a file's bytes as they are now, in one pass.

        Answers the digest, and what to remember as verified when something was written.
        """
        descriptor = os.open(source, os.O_RDONLY)
        try:
            if os.fstat(descriptor).st_size <= _SMALL:
                return self._add_small(descriptor)
            return self._add_large(descriptor)
        finally:
            os.close(descriptor)

    def _add_small(self, source: int) -> tuple[str, tuple[str, Stamp, str] | None]:
        content = b"".join(iter(lambda: os.read(source, _SMALL), b""))
        digest = md5(content)
        if self._stands(digest):
            return digest, None
        with self._scratch() as (descriptor, scratch):
            write_all(descriptor, content)
            return digest, self._settle(descriptor, scratch, digest)

    def _add_large(self, source: int) -> tuple[str, tuple[str, Stamp, str] | None]:
        with self._scratch() as (descriptor, scratch):
            if clone(source, descriptor):
                digest = md5_of(descriptor)
            else:
                digest = copy_hashing(source, descriptor)
            if self._stands(digest):
                return digest, None
            return digest, self._settle(descriptor, scratch, digest)

    def _stands(self, digest: str) -> bool:
        """Whether the object is there and was verified; one that was not is written over."""
        path = self._path(digest)
        try:
            stamp = Stamp.of(os.stat(path))
        except OSError:
            return False
        return self.verified.get(path, stamp) == digest

    @contextmanager
    def _scratch(self) -> Iterator[tuple[int, str]]:
        """A new file beside the objects, gone at the end unless it was settled."""
        path = f"{self.layout.scratch}/{os.getpid()}-{secrets.token_hex(8)}"
        descriptor = self._create(path)
        try:
            yield descriptor, path
        finally:
            os.close(descriptor)
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _create(self, path: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        try:
            return os.open(path, flags, 0o644)
        except FileNotFoundError:
            self._make_folder(self.layout.scratch)
            return os.open(path, flags, 0o644)

    def _settle(self, descriptor: int, scratch: str, digest: str) -> tuple[str, Stamp, str]:
        """Give the bytes their name; the object is read-only against writes by mistake."""
        path = self._path(digest)
        past = time.time_ns() - _AGED
        os.utime(descriptor, ns=(past, past))
        os.fchmod(descriptor, 0o444)
        try:
            os.replace(scratch, path)
        except FileNotFoundError:
            self._make_folder(Path(path).parent)
            os.replace(scratch, path)
        return path, Stamp.of(os.fstat(descriptor)), digest

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self.layout.shared:
            with suppress(PermissionError):
                folder.chmod(0o2775)

    def sweep(self) -> None:
        """Remove bytes on their way in that a killed process left behind."""
        limit = time.time() - _STALE
        with suppress(OSError), os.scandir(self.layout.scratch) as rows:
            for row in rows:
                with suppress(OSError):
                    if row.stat().st_mtime < limit:
                        os.unlink(row.path)


def _say(message: str, *words: object) -> None:
    import logging

    logging.getLogger("towpath.store").warning(message, *words)
