"""Makes a skops file depend on the model alone: no addresses, no times, no stray bytes."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any

_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can tell
_BYTES = ("BytesNode", "BytearrayNode")


def normalise_archive(data: bytes) -> bytes:
    """The same model in a file that is the same for every dump of it.

    skops numbers objects and names arrays by their address in memory, and names bytes by chance;
    here they are numbered as they come, and the members of a set come in one order. Zip members
    get one time, and padding inside records is zeroed, which holds whatever was in memory before
    (the nodes of a decision tree have seven such bytes each).
    """
    output = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(output, "w") as new:
        numbering = _Numbering(old)
        schema = json.dumps(numbering.renumber_node(json.loads(old.read(_SCHEMA))))
        for name, source in numbering.members.items():
            new.writestr(_member_info(name), _member_content(old, source))
        new.writestr(_member_info(_SCHEMA, zipfile.ZIP_DEFLATED), schema, compresslevel=1)
    return output.getvalue()


@dataclass
class _Numbering:
    """The new numbers of a file's objects, in the order of its schema, and the members that
    belong to them: the new name of each, and the one that it has in the archive."""

    archive: zipfile.ZipFile
    numbers: dict[object, int] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)

    def renumber_node(self, node: Any) -> Any:
        """A part of the schema with the new numbers and names."""
        if isinstance(node, list):
            return [self.renumber_node(part) for part in node]
        if not isinstance(node, dict):
            return node
        loader = node.get("__loader__")
        if loader in _BYTES:
            return self._renumber_bytes(node)
        if (members := _members_of_set(node)) is not None:
            members.sort(key=self._node_fingerprint)
        return {key: self._renumber_value(key, value) for key, value in node.items()}

    def _renumber_value(self, key: str, value: Any) -> Any:
        # In a mapping's content the same words are keys, and what they lead to is no number.
        if key == "__id__" and isinstance(value, int):
            return self._number_of(value)
        if key == "file" and isinstance(value, str):
            stem, dot, extension = value.partition(".")
            return self._rename_member(value, f"{self._number_of(int(stem))}{dot}{extension}")
        return self.renumber_node(value)

    def _renumber_bytes(self, node: dict[str, Any]) -> dict[str, Any]:
        """A node of bytes, whose member skops names anew for each place where they stand.

        Equal bytes are one object, as far as anybody can tell. Of a `bytearray` it matters
        whether two places hold the same.
        """
        content = self.archive.read(node["file"])
        is_fixed = node["__loader__"] == "BytesNode"
        number = self._number_of((node["__class__"], content) if is_fixed else node["__id__"])
        return {
            **node,
            "file": self._rename_member(node["file"], f"{number}.bin"),
            "__id__": number,
        }

    def _number_of(self, known_as: object) -> int:
        return self.numbers.setdefault(known_as, len(self.numbers) + 1)

    def _rename_member(self, old: str, new: str) -> str:
        self.members.setdefault(new, old)
        return new

    def _node_fingerprint(self, node: Any) -> str:
        """What tells the members of a set apart: all of a node but its numbers."""
        return json.dumps(self._without_numbers(node), sort_keys=True)

    def _without_numbers(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._without_numbers(part) for part in node]
        if not isinstance(node, dict):
            return node
        return {
            key: self._member_digest(value) if key == "file" and isinstance(value, str)
            else self._without_numbers(value)
            for key, value in node.items() if key != "__id__" or not isinstance(value, int)
        }  # fmt: skip

    def _member_digest(self, member: str) -> str:
        return hashlib.sha256(_member_content(self.archive, member)).hexdigest()


def _members_of_set(node: dict[str, Any]) -> list[Any] | None:
    """The nodes of a set's members, which stand there as Python's hashes have them."""
    if node.get("__loader__") == "SetNode":
        members: list[Any] = node["content"]
        return members
    if node.get("__loader__") == "ConstructorFromReduceNode" and node["__class__"] == "frozenset":
        frozen: list[Any] = node["content"]["content"][0]["content"]
        return frozen
    return None


def _member_info(name: str, compression: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = compression
    info.external_attr = 0o644 << 16
    return info


def _member_content(archive: zipfile.ZipFile, name: str) -> bytes:
    data = archive.read(name)
    return _without_padding(data) if name.endswith(".npy") and _has_padding(data) else data


def _has_padding(data: bytes) -> bool:
    return b"'|V" in data[:1024]  # how numpy's header spells the gap between two fields


def _without_padding(data: bytes) -> bytes:
    import numpy

    records: Any = numpy.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    clean = numpy.zeros(records.shape, records.dtype)
    for column in records.dtype.names or ():
        clean[column] = records[column]
    output = io.BytesIO()
    numpy.lib.format.write_array(
        output, clean if records.dtype.names else records, allow_pickle=False
    )
    return output.getvalue()
