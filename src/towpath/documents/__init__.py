"""YAML in with line numbers, and out in one order; the only room that knows ruamel.yaml."""

from towpath.documents.document_tree import (
    Document,
    Entry,
    Mapping,
    Node,
    Scalar,
    Sequence,
    plain,
    unsound,
)
from towpath.documents.yaml_reader import (
    bytes_of,
    edit,
    find_entry,
    load,
    parse,
    read,
    read_flat,
    text_of,
    value,
)
from towpath.documents.yaml_writer import dump

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
    "find_entry",
    "load",
    "parse",
    "plain",
    "read",
    "read_flat",
    "text_of",
    "unsound",
    "value",
]
