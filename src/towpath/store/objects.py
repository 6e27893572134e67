"""Objects: bytes under the name of their digest, written whole or not at all."""

# Strings and bare calls, not Paths: this runs for each of ten thousand files.
# ruff: noqa: PTH105, PTH108, PTH116

from __future__ import annotations

import itertools
import os
import secrets
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from towpath.store.copying import clone, copy_hashing, md5, md5_of, write_all
from towpath.store.digest import FOLDER, is_folder, manifest_digest, read_manifest
from towpath.store.layout import Layout
from towpath.store.statcache import Row, Stamp, StatCache, now

_READ_ONLY = 0o444
"""The mode by which DVC knows an object that need not be read again."""
_AGED = 4_000_000_000
"""Nanoseconds that an object's time is set back, so that a later write is sure to change it."""
_STALE = 86_400
"""Seconds after which bytes on their way in are nobody's any more."""
_SMALL = 1 << 20
"""Bytes below which a file is read before it is known whether it must be written."""
_TOKEN = secrets.token_hex(4)
_COUNT = itertools.count()


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
        return f"{self._home}/{digest[:2]}/{digest[2:]}"

    @cached_property
    def _home(self) -> str:
        return os.fspath(self.layout.objects)

    @cached_property
    def _incoming(self) -> str:
        return os.fspath(self.layout.scratch)

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
            descriptor, scratch = self._create()
        except OSError:  # a store that may only be read has no need to be written
            if self.is_whole(digest := md5_of(source)):
                return digest, None
            raise
        with _Scratch(descriptor, scratch):
            shared = clone(source, descriptor)
            digest = md5_of(descriptor) if shared else copy_hashing(source, descriptor)
            if self._is_verified(digest):
                os.unlink(scratch)
                return digest, None
            return digest, self._settle(descriptor, scratch, digest)

    def _write(self, content: bytes, digest: str) -> Row:
        descriptor, scratch = self._create()
        with _Scratch(descriptor, scratch):
            write_all(descriptor, content)
            return self._settle(descriptor, scratch, digest)

    def incoming(self) -> Path:
        """A new path beside the objects, for bytes that come from elsewhere."""
        self._make_folder(self.layout.scratch)
        return Path(self._new_path())

    def adopt(self, scratch: Path, digest: str) -> bool:
        """Make an object of bytes that came from elsewhere; wrong ones are removed instead."""
        descriptor = os.open(scratch, os.O_RDONLY)
        try:
            if md5_of(descriptor) != digest.removesuffix(FOLDER):
                os.unlink(scratch)
                return False
            row = self._settle(descriptor, os.fspath(scratch), digest)
        finally:
            os.close(descriptor)
        self.verified.save([row], now())
        return True

    def _is_verified(self, digest: str) -> bool:
        """Whether the object was read and has not changed; one that was not is written over."""
        path = self._path(digest)
        try:
            stamp = Stamp.of(os.stat(path))
        except OSError:
            return False
        return self.verified.get(path, stamp) == digest

    def _create(self) -> tuple[int, str]:
        """A new file beside the objects, open for writing."""
        path = self._new_path()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        try:
            return os.open(path, flags, _READ_ONLY), path
        except FileNotFoundError:
            self._make_folder(self.layout.scratch)
            return os.open(path, flags, _READ_ONLY), path

    def _new_path(self) -> str:
        return f"{self._incoming}/{os.getpid()}-{_TOKEN}-{next(_COUNT)}"

    def _settle(self, descriptor: int, scratch: str, digest: str) -> Row:
        """Give the bytes their name; the object is read-only against writes by mistake."""
        path = self._path(digest)
        past = time.time_ns() - _AGED
        os.utime(descriptor, ns=(past, past))
        try:
            os.replace(scratch, path)
        except FileNotFoundError:
            self._make_folder(Path(path).parent)
            os.replace(scratch, path)
        status = os.fstat(descriptor)
        if stat.S_IMODE(status.st_mode) != _READ_ONLY:  # a strict umask
            os.fchmod(descriptor, _READ_ONLY)
            status = os.fstat(descriptor)
        return path, Stamp.of(status), digest

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


class _Scratch:
    """Closes a scratch file at the end, and removes it where that end is an error."""

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor, self._path = descriptor, path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, *_: object) -> None:
        os.close(self._descriptor)
        if kind is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._path)


def _say(message: str, *words: object) -> None:
    import logging

    logging.getLogger("towpath.store").warning(message, *words)
