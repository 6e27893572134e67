"""The first rows or lines of a file, whoever wrote it."""

from __future__ import annotations

import functools
import gzip
import json
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from towpath.config.foreign_values import parse_json
from towpath.config.table_options import NO_OPTIONS, TableOptions
from towpath.credentials import hide_credentials
from towpath.errors import Malformed
from towpath.steps import formats
from towpath.studio.previews.binary_tables import read_binary_table
from towpath.studio.previews.preview_parts import (
    HEAD,
    FileHead,
    NoPreview,
    TablePreview,
    count_lines,
)
from towpath.studio.previews.text_tables import list_rows, read_delimited, read_jsonl_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MOST_TEXT = 64 << 10  # characters of a text

PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
            ".gif": "image/gif", ".webp": "image/webp", ".svg": "image/svg+xml"}  # fmt: skip
PAGES_OF_STEPS = {".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8"}


class FilePreview(Struct, frozen=True):
    """What can be shown of a file: a table or a text, else neither; and words about it."""

    table: TablePreview | None = None
    text: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)


def preview_file(
    path: Path, name: str, format_name: str | None = None, options: TableOptions = NO_OPTIONS
) -> FilePreview:
    """What a page shows of the file at ``path``, which is called ``name``. Of one that is damaged,
    or not what its name says, words; it raises nothing for what stands in it."""
    try:
        stamp = path.stat()
    except OSError:
        return FilePreview(notes=("It is not there.",))
    text_options = options.separator, options.encoding, tuple(options.types.items())
    return _preview_stamped(path, stamp.st_mtime_ns, stamp.st_size, name, format_name, text_options)


@functools.lru_cache(maxsize=8)
def preview_content(content: bytes, name: str) -> FilePreview:
    """The same of bytes that are no file yet, such as those of a commit: a MB at most, as they are
    kept in memory."""
    with tempfile.TemporaryDirectory(prefix="towpath-") as folder:
        path = Path(folder, "content")  # its name is a stranger's
        path.write_bytes(content)
        # Past the memory of files: nobody asks for this path again.
        return _preview_stamped.__wrapped__(path, 0, len(content), name, None, (None, None, ()))


@functools.lru_cache(maxsize=32)
def _preview_stamped(
    path: Path, _mtime: int, size: int, name: str, format_name: str | None,
    text_options: TextOptions,
) -> FilePreview:  # fmt: skip
    file_format = formats.find_format(name, format_name)
    known_name = file_format.name if file_format else ""
    if size == 0:
        return FilePreview(notes=("It is empty.",))
    try:
        if known_name in ("parquet", "feather"):
            return FilePreview(read_binary_table(path, known_name))
        head = _read_head(path, name, size)
        if known_name in _TEXT_READERS:
            return _TEXT_READERS[known_name](head, text_options)
        return _preview_text(head)
    except NoPreview as unreadable:
        return FilePreview(notes=(str(unreadable),))
    except OSError as refused:
        return FilePreview(notes=(f"It cannot be read: {refused.strerror or refused}.",))


def _read_head(path: Path, name: str, size: int) -> FileHead:
    is_packed = name.lower().endswith(".gz")
    try:
        with path.open("rb") as file:  # of a packed one no more is unpacked than is read
            content = (gzip.GzipFile(fileobj=file) if is_packed else file).read(HEAD + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as damaged:
        raise NoPreview(f"It is damaged: {damaged}.") from None
    is_whole = len(content) <= HEAD
    if not is_whole:
        content = content[:HEAD]
        content = content[: content.rfind(b"\n") + 1] or content
    return FileHead(path, content, is_whole, 0 if is_packed else size)


def _preview_csv(head: FileHead, text_options: TextOptions) -> FilePreview:
    separator, encoding, types = text_options
    return FilePreview(read_delimited(head, separator, encoding, dict(types), count_lines(head)))


def _preview_json(head: FileHead, _: TextOptions) -> FilePreview:
    if not head.is_whole:
        return _preview_text(head)
    try:
        document = parse_json(head.content)
        table = list_rows(document) if isinstance(document, list) else None
        text = "" if table else json.dumps(document, indent=2, ensure_ascii=False)
    except Malformed as wrong:
        shown = _preview_text(head)
        return FilePreview(None, shown.text, (f"{wrong.faults[0].what}.", *shown.notes))
    except RecursionError:
        raise NoPreview("It nests too deep to be shown.") from None
    return FilePreview(table) if table else FilePreview(None, *_cut_text(text))


def _preview_text(head: FileHead) -> FilePreview:
    if b"\0" in head.content[:4096]:
        raise NoPreview("It is no text: download it, or fetch it.")
    text, notes = _cut_text(head.decode_text())
    if not head.is_whole:
        notes = ("These are its first lines.",)
    return FilePreview(None, text, notes)


def _cut_text(text: str) -> tuple[str, tuple[str, ...]]:
    notes = ("These are its first lines.",) if len(text) > _MOST_TEXT else ()
    return hide_credentials(text[:_MOST_TEXT]), notes


TextOptions = tuple[str | None, str | None, tuple[tuple[str, str], ...]]
_TEXT_READERS: Mapping[str, Callable[[FileHead, TextOptions], FilePreview]] = {
    "csv": _preview_csv,
    "tsv": lambda head, options: _preview_csv(head, (options[0] or "\t", *options[1:])),
    "jsonl": lambda head, _: FilePreview(read_jsonl_rows(head, count_lines(head))),
    "json": _preview_json,
}
