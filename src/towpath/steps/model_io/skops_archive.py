"""A model's file as the archive that it is: looked through before skops opens it.

skops is handed the same file afterwards. So what is said here must hold for how *it* reads: the
last member of a name wins there, an object that was met before is taken by its number alone, and
an array's member may be any file that NumPy can open.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from msgspec import Struct, field

from towpath.errors import Refused, StepFailed
from towpath.steps.model_io.allowed_types import Held

_SCHEMA = "schema.json"
_MEMBER = re.compile(r"[\w-]+(\.[\w-]+)*")

_ROOM = 64 << 20  # So many bytes may any file unpack to; beyond that, so many times its own size.
_RATIO = 100
_DEEPEST = 250  # Levels of nesting in the schema: each object of a model takes three or four.

# The loaders whose content is a member of the archive.
_FILED = ("BytesNode", "BytearrayNode", "NdArrayNode", "SparseMatrixNode")


# The fourth also for a compression that this Python does not know.
_NO_ARCHIVE = (zipfile.BadZipFile, KeyError, ValueError, RuntimeError, TypeError, OSError)

_ARRAY = b"\x93NUMPY"
_PACKED = b"PK\x03\x04"


def read_held(file: BinaryIO, name: str) -> frozenset[Held]:
    """All that a model's file, called ``name``, would have skops make. ``StepFailed`` where it is
    no skops file, ``Refused`` where it is made to mislead or exhaust whoever opens it."""
    try:
        with zipfile.ZipFile(file) as archive:
            _check_members(archive, name)
            schema = json.loads(archive.read(_SCHEMA))
            nodes = list(_schema_nodes(schema, name))
            _check_repeated(nodes, name)
            _check_contents(archive, nodes, name)
            return frozenset(held for node in nodes for held in _held_parts(node))
    except (Refused, StepFailed):
        raise
    except RecursionError:
        raise _refused_file(name, "its schema is nested too deeply") from None
    except _NO_ARCHIVE as error:
        raise StepFailed(f"{name} is no skops file: {error}") from error


def _refused_file(name: str, why: str) -> Refused:
    return Refused(f"{name} is not safe to load: {why}")


def _check_members(archive: zipfile.ZipFile, name: str) -> None:
    """Plain names, each once, and no more bytes than a file of this size would hold."""
    members = archive.infolist()
    names = [member.filename for member in members]
    if twice := [member_name for member_name, count in Counter(names).items() if count > 1]:
        raise _refused_file(name, f"it holds {min(twice)} more than once")
    if strange := [member_name for member_name in names if not _MEMBER.fullmatch(member_name)]:
        raise _refused_file(name, f"a member of it is called {strange[0]!r}")
    packed = sum(member.compress_size for member in members)
    _check_size(name, packed, sum(member.file_size for member in members))


def _check_size(name: str, packed: int, unpacked: int) -> None:
    if unpacked > max(_ROOM, _RATIO * packed):
        raise _refused_file(name, f"{packed:,} bytes of it unpack to {unpacked:,}")


def _schema_nodes(schema: Any, name: str) -> Iterator[Mapping[str, Any]]:
    """Every object of the schema, wherever it stands: all that skops makes has a loader."""
    waiting: list[tuple[Any, int]] = [(schema, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise _refused_file(name, "its schema is nested too deeply")
        if isinstance(value, dict):
            if isinstance(value.get("__loader__"), str):
                yield value
            waiting += [(part, depth + 1) for part in value.values()]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]


def _held_parts(node: Mapping[str, Any]) -> Iterator[Held]:
    """What a node makes; of a bound method, also which."""
    loader = node["__loader__"]
    whole = f"{node['__module__']}.{node['__class__']}"
    content = node.get("content")
    if loader == "FunctionNode" and content is not None:  # as protocol 0 wrote them
        yield loader, f"{content['module_path']}.{content['function']}"
    else:
        yield loader, whole
    if loader == "MethodNode":
        yield loader, f"{whole}.{node['content']['func']}"
    if loader == "DictNode":
        types = node["key_types"]
        # skops calls the type of each key: what stands there must be a plain list of types.
        if types["__loader__"] != "ListNode":
            raise ValueError("the types of a mapping's keys are no list")
        for kind in types["content"]:
            if kind["__loader__"] != "TypeNode":
                yield "key", f"{kind['__module__']}.{kind['__class__']}"


def _check_repeated(nodes: list[Mapping[str, Any]], name: str) -> None:
    """Objects with one number are one object to skops, whichever comes first: they must be of one
    kind, or what was looked at in one place would be made in another."""
    keys = {id(node["key_types"]) for node in nodes if node["__loader__"] == "DictNode"}
    kinds: dict[int, tuple[object, ...]] = {}
    for node in nodes:
        number = node.get("__id__")
        if number is None:
            continue
        if not isinstance(number, int) or isinstance(number, bool):
            raise ValueError("the number of an object is none")
        kind = (node["__loader__"], node["__module__"], node["__class__"], id(node) in keys)
        if kinds.setdefault(number, kind) != kind:
            raise _refused_file(name, "two of its objects have one number")


def _check_contents(archive: zipfile.ZipFile, nodes: list[Mapping[str, Any]], name: str) -> None:
    """Arrays are arrays: NumPy would open an archive of arrays, or try a pickle, just as well."""
    members = set(archive.namelist())
    for node in nodes:
        loader, file = node["__loader__"], str(node.get("file"))
        if loader in _FILED and node.get("type") != "json" and file not in members:
            raise StepFailed(
                f"{name} lacks {file}, which its schema names", hint="train the model again"
            )
        if loader == "NdArrayNode" and node.get("type") == "numpy":
            with archive.open(file) as member:
                if member.read(len(_ARRAY)) != _ARRAY:
                    raise _refused_file(name, f"{file} in it is no array")
        elif loader == "SparseMatrixNode":
            _check_sparse(archive.read(file), file, name)


def _check_sparse(content: bytes, file: str, name: str) -> None:
    if not content.startswith(_PACKED):
        raise _refused_file(name, f"{file} in it is no sparse matrix")
    with zipfile.ZipFile(io.BytesIO(content)) as inner:
        _check_size(name, len(content), sum(member.file_size for member in inner.infolist()))


# Makes a skops file depend on the model alone: no addresses, no times, no stray bytes.

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can tell
_BYTES = ("BytesNode", "BytearrayNode")


def normalise_archive(data: bytes) -> bytes:
    """The same model in a file that is the same for every dump of it: skops numbers objects and
    names arrays by their address, and bytes by chance. Zip members get one time, and padding inside
    records is zeroed, which holds whatever was in memory before (a tree's nodes have seven such
    bytes)."""
    output = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(output, "w") as new:
        numbering = _Numbering(old)
        schema = json.dumps(numbering.renumber_node(json.loads(old.read(_SCHEMA))))
        for name, source in numbering.members.items():
            new.writestr(_member_info(name), _member_content(old, source))
        new.writestr(_member_info(_SCHEMA, zipfile.ZIP_DEFLATED), schema, compresslevel=1)
    return output.getvalue()


class _Numbering(Struct):
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
            # skops names bytes anew for each place where they stand. Equal ones are one object, as
            # far as anybody can tell; of a `bytearray` it matters whether two places hold the same.
            content = self.archive.read(node["file"])
            is_fixed = node["__loader__"] == "BytesNode"
            number = self._number_of((node["__class__"], content) if is_fixed else node["__id__"])
            file = self._rename_member(node["file"], f"{number}.bin")
            return {**node, "file": file, "__id__": number}
        if (members := _members_of_set(node)) is not None:
            # What tells the members of a set apart: all of a node but its numbers.
            members.sort(key=lambda it: json.dumps(self._without_numbers(it), sort_keys=True))
        return {key: self._renumber_value(key, value) for key, value in node.items()}

    def _renumber_value(self, key: str, value: Any) -> Any:
        # In a mapping's content the same words are keys, and what they lead to is no number.
        if key == "__id__" and isinstance(value, int):
            return self._number_of(value)
        if key == "file" and isinstance(value, str):
            stem, dot, extension = value.partition(".")
            return self._rename_member(value, f"{self._number_of(int(stem))}{dot}{extension}")
        return self.renumber_node(value)

    def _number_of(self, known_as: object) -> int:
        return self.numbers.setdefault(known_as, len(self.numbers) + 1)

    def _rename_member(self, old: str, new: str) -> str:
        self.members.setdefault(new, old)
        return new

    def _without_numbers(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._without_numbers(part) for part in node]
        if not isinstance(node, dict):
            return node
        plain = {}
        for key, value in node.items():
            if key == "file" and isinstance(value, str):
                content = _member_content(self.archive, value)
                plain[key] = hashlib.sha256(content).hexdigest()
            elif key != "__id__" or not isinstance(value, int):
                plain[key] = self._without_numbers(value)
        return plain


def _members_of_set(node: dict[str, Any]) -> list[Any] | None:
    """The nodes of a set's members, which stand there as Python's hashes have them."""
    members: list[Any] | None = None
    if node.get("__loader__") == "SetNode":
        members = node["content"]
    elif node.get("__loader__") == "ConstructorFromReduceNode" and node["__class__"] == "frozenset":
        members = node["content"]["content"][0]["content"]
    return members


def _member_info(name: str, compression: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = compression
    info.external_attr = 0o644 << 16
    return info


def _member_content(archive: zipfile.ZipFile, name: str) -> bytes:
    data = archive.read(name)
    has_padding = b"'|V" in data[:1024]  # how numpy's header spells the gap between two fields
    return _without_padding(data) if name.endswith(".npy") and has_padding else data


def _without_padding(data: bytes) -> bytes:
    import numpy

    records: Any = numpy.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    clean = numpy.zeros(records.shape, records.dtype)
    for column in records.dtype.names or ():
        clean[column] = records[column]
    output, written = io.BytesIO(), clean if records.dtype.names else records
    numpy.lib.format.write_array(output, written, allow_pickle=False)
    return output.getvalue()
