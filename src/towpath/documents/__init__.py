"""YAML in with line numbers, and out in one order; the only room that knows ruamel.yaml."""

from towpath.documents.document_tree import (
    Document,
    DocumentEntry,
    Mapping,
    Node,
    Scalar,
    Sequence,
    plain_data,
    unsound_places,
)
from towpath.documents.yaml_reader import (
    bytes_of,
    edit_yaml,
    find_entry,
    load_yaml,
    parse_value,
    parse_yaml,
    read_flat,
    read_yaml,
    text_of,
)
from towpath.documents.yaml_writer import dump_yaml

__all__ = [
    "Document",
    "DocumentEntry",
    "Mapping",
    "Node",
    "Scalar",
    "Sequence",
    "bytes_of",
    "dump_yaml",
    "edit_yaml",
    "find_entry",
    "load_yaml",
    "parse_value",
    "parse_yaml",
    "plain_data",
    "read_flat",
    "read_yaml",
    "text_of",
    "unsound_places",
]
