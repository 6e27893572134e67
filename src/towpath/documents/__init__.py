"""YAML in with line numbers, and out in one order; the only room that knows ruamel.yaml."""

from towpath.documents.editing import edit
from towpath.documents.reading import Document, bytes_of, load, parse, read, text_of, value
from towpath.documents.tree import Entry, Mapping, Node, Scalar, Sequence, plain, unsound
from towpath.documents.writing import dump

__all__ = [
    "Document",
    "Entry",
    "Mapping",
    "Node",
    "Scalar",
    "Sequence",
    "bytes_of",
    "dump",
    "edit",
    "load",
    "parse",
    "plain",
    "read",
    "text_of",
    "unsound",
    "value",
]
