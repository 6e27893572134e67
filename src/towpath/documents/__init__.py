"""YAML in with line numbers, and out in one order; the only room that knows ruamel.yaml."""

from towpath.documents.document_tree import Document as Document
from towpath.documents.document_tree import DocumentEntry as DocumentEntry
from towpath.documents.document_tree import Mapping as Mapping
from towpath.documents.document_tree import Node as Node
from towpath.documents.document_tree import Scalar as Scalar
from towpath.documents.document_tree import Sequence as Sequence
from towpath.documents.document_tree import plain_data as plain_data
from towpath.documents.document_tree import unsound_places as unsound_places
from towpath.documents.yaml_reader import bytes_of as bytes_of
from towpath.documents.yaml_reader import edit_yaml as edit_yaml
from towpath.documents.yaml_reader import find_entry as find_entry
from towpath.documents.yaml_reader import load_yaml as load_yaml
from towpath.documents.yaml_reader import parse_value as parse_value
from towpath.documents.yaml_reader import parse_yaml as parse_yaml
from towpath.documents.yaml_reader import read_flat as read_flat
from towpath.documents.yaml_reader import read_yaml as read_yaml
from towpath.documents.yaml_reader import text_of as text_of
from towpath.documents.yaml_section import YamlSection as YamlSection
from towpath.documents.yaml_section import edit_section as edit_section
from towpath.documents.yaml_section import is_aside as is_aside
from towpath.documents.yaml_section import read_section as read_section
from towpath.documents.yaml_writer import dump_yaml as dump_yaml
