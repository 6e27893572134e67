"""Bytes by name: what passes between steps is digests and small values."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from towpath.config import foreign_values as foreign
from towpath.config.foreign_paths import require_name
from towpath.config.foreign_values import Json as Json  # what values are, for who reads artifacts
from towpath.config.foreign_values import require_md5


class Artifact(Struct, frozen=True):
    """A file or a folder in a store, named by DVC's digest of it.

    ``digest`` is 32 hexadecimal digits of MD5, with ``.dir`` behind them for a folder; ``size``
    is in bytes; ``name`` is the file's name (``train.parquet``), whose extension picks a reader;
    ``files`` counts a folder's files. Anything else is ``Malformed``: a digest and a name become
    paths, and who holds an artifact need not look at them again.
    """

    digest: str
    size: int
    name: str
    files: int | None = None

    def __post_init__(self) -> None:
        require_md5(self.digest)
        require_name(self.name)
        for count in (self.size, self.files or 0):
            foreign.read_count(count)


class Made(Struct, frozen=True):
    """What a step made: artifacts by output name, the contents of small JSON outputs, and facts.

    ``values`` holds the parsed content of each ``.json`` output of at most 64 KiB, so that
    conditions and messages need no store. ``facts`` are small notes that a kind leaves for
    later steps and for the record (a model's ``signature``, a check's ``result``, ...).
    """

    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    values: Mapping[str, Json] = field(default_factory=dict)
    facts: Mapping[str, Json] = field(default_factory=dict)


class CacheEntry(Struct, frozen=True):
    """One remembered execution: a step's key, what went into the key, and what came out.

    ``ingredients`` maps a label that a person understands (``parameter test_size``,
    ``code steps.clean``, ``input raw``, ``package pandas``) to a digest or a value; the key is
    their digest, and the first label that differs is the reason to run again. ``writer`` is
    ``ci`` or ``local``; ``made`` is UTC, ISO 8601; ``seconds`` is wall time.
    """

    key: str
    pipeline: str
    step: str
    made_by: str
    made: str
    seconds: float
    writer: str
    ingredients: Mapping[str, str]
    result: Made


def read_artifact(value: object) -> Artifact:
    """An artifact as ``list_fields`` writes it."""
    fields = foreign.Fields(value)
    fields.refuse_others("digest", "size", "name", "files")
    return Artifact(
        fields.get("digest", foreign.read_text),
        fields.get("size", foreign.read_count),
        fields.get("name", foreign.read_text),
        fields.find_optional("files", foreign.read_count),
    )


def read_made(value: object) -> Made:
    """What a step made, as entries and runs hold it."""
    fields = foreign.Fields(value)
    fields.refuse_others("outputs", "values", "facts")
    return Made(
        fields.get_table("outputs", read_artifact),
        fields.get_table("values", foreign.read_json),
        fields.get_table("facts", foreign.read_json),
    )
