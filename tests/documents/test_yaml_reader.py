"""YAML 1.2 by our own resolver: what is read, and that both parsers judge alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from towpath import documents
from towpath.documents import yaml_parser
from towpath.errors import DeclarationError, Place

CORPUS = Path(__file__).parents[1] / "config" / "corpus"

CORE = {
    "null": None,
    "~": None,
    "": None,
    "true": True,
    "FALSE": False,
    "7": 7,
    "-7": -7,
    "+7": 7,
    "0": 0,
    "0o17": 15,
    "0xff": 255,
    "1e-3": 0.001,
    "1E+3": 1000.0,
    ".5": 0.5,
    "5.": 5.0,
    "-0.0": 0.0,
    "0.10": 0.1,
    "text": "text",
    "2026-11-22": "2026-11-22",
    "2026-11-22T14:42:00Z": "2026-11-22T14:42:00Z",
    "1.2.3": "1.2.3",
    "v1.0.0": "v1.0.0",
    "shared.publish:to_folder": "shared.publish:to_folder",
    "s3://bucket/key": "s3://bucket/key",
    "y": "y",
    "No one": "No one",
    "1e": "1e",
    "-": "-",
    "...a": "...a",
    "'no'": "no",
    '"12:30"': "12:30",
    "\u00fcber \u6587": "\u00fcber \u6587",
}


@pytest.mark.parametrize("text", [t for t in CORE if t != "-"])
def test_core_schema(text: str) -> None:
    read = documents.plain_data(documents.parse_yaml(f"key: {text}\n", "f.yaml").node)["key"]
    assert read == CORE[text]
    assert type(read) is type(CORE[text])


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "No", "ON", "off", "12:30", "1:30:00", "-1:30.5", "010", "-007", "00.5", "1_000"),
        *("0b101", "0x_ff", ".inf", "-.Inf", ".NaN", "1e999", "9" * 500, "<<"),
    ],
)
def test_what_another_reader_takes_for_something_else_is_refused(text: str) -> None:
    document = documents.parse_yaml(f"key: {text}\n", "f.yaml")
    assert [fault.place for fault in document.faults] == [Place("f.yaml", 1, 6)]
    assert document.faults[0].hint
    assert documents.plain_data(document.node) == {"key": text}, "reading goes on with the text"
    assert not documents.parse_yaml(f"key: '{text}'\n", "f.yaml").faults, "in quotes it is text"


def test_flow_mappings_are_read_as_yaml_1_2_has_them() -> None:
    text = "a: {run: shared.publish:to_folder, url: http://x/y, raw: data}\n"
    read = documents.plain_data(documents.parse_yaml(text, "f.yaml").node)
    assert read == {"a": {"run": "shared.publish:to_folder", "url": "http://x/y", "raw": "data"}}


def test_every_node_knows_its_place() -> None:
    node = documents.parse_yaml("a:\n  b: [1,\n    two]\n", "f.yaml").node
    assert isinstance(node, documents.Mapping)
    entry = node.get("a")
    assert entry and isinstance(entry.node, documents.Mapping)
    inner = entry.node.get("b")
    assert inner and inner.place == Place("f.yaml", 2, 3)
    assert isinstance(inner.node, documents.Sequence)
    assert [item.place.line for item in inner.node.items] == [2, 3]


def test_without_the_c_parser_the_same_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = {case: case.read_text() for case in CORPUS.glob("*.yaml")}
    with_c = {case: documents.parse_yaml(text, "f.yaml") for case, text in cases.items()}

    def pure(typ: str, pure: bool) -> YAML:
        assert not pure or typ == "safe"
        return YAML(typ=typ, pure=True)

    monkeypatch.setattr(yaml_parser, "YAML", pure)
    for case, text in cases.items():
        read = documents.parse_yaml(text, "f.yaml")
        assert read.faults == with_c[case].faults, case.name
        assert documents.plain_data(read.node) == documents.plain_data(with_c[case].node), case.name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 2000, "nested deeper than 50"),
        ("[" * 60 + "]" * 60, "nested deeper than 50"),
        ("a: " + "{b: " * 60 + "1" + "}" * 60, "nested deeper than 50"),
        ("? [a]\n: b\n", "a list or a mapping cannot be a key"),
        ("1: a\n", "a key must be text, not 1"),
        (": a\n", "a key must be text, not empty"),
        ("a: &x 1\n", "`&x` is an anchor"),
        ("a: ! x\n", "`!` is a tag"),
        ("a: \x00\n", "control character"),
    ],
)
def test_hostile_documents_are_refused_in_words(text: str, said: str) -> None:
    assert said in str(documents.parse_yaml(text, "f.yaml").faults[0])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(DeclarationError, match=r"latin\.yaml:2: the file is not UTF-8"):
        documents.read_yaml(tmp_path / "latin.yaml", "latin.yaml")
    with pytest.raises(DeclarationError, match=r"none\.yaml: .*no such file"):
        documents.read_yaml(tmp_path / "none.yaml", "none.yaml")
    with pytest.raises(DeclarationError, match="is a directory"):
        documents.read_yaml(tmp_path, "folder")


def test_line_endings_and_byte_order_marks_are_no_matter(tmp_path: Path) -> None:
    (tmp_path / "dos.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb:\r\n  - x\r\n")
    assert documents.load_yaml(tmp_path / "dos.yaml", "dos.yaml") == {"a": 1, "b": ["x"]}


def test_an_argument_of_a_command_line_is_read_as_in_a_file() -> None:
    assert documents.parse_value("0.05") == 0.05
    assert documents.parse_value("[a, 1, {b: true}]") == ["a", 1, {"b": True}]
    with pytest.raises(DeclarationError, match="`no` is text to some readers"):
        documents.parse_value("no")


@pytest.mark.parametrize(
    ("text", "main"),
    [
        ("name: a\nmain: trunk # ours\n", "trunk"),
        ("name: a\nmain: 'trunk'\n", "trunk"),
        ('name: a\n"main": trunk\n', "trunk"),
        ("{name: a, main: trunk}", "trunk"),
        ("name: a\n# main: trunk\n", None),
        ("name: a\nstages:\n  main: trunk\n", None),
        ("main: true\n", True),
        ("main: >-\n  trunk\n", "trunk"),
        ("- main\n", None),
    ],
)
def test_an_entry_is_what_the_document_says(text: str, main: object) -> None:
    assert documents.find_entry(text, "main") == main


@pytest.mark.parametrize(
    ("text", "flat"),
    [
        ('model: abalone\nversion: v1.0.0\nsha256: "0a"\n', ["abalone", "v1.0.0", "0a"]),
        ("model: abalone\nmodel: abalone\n", None),
        ("model: 5\n", None),
        ("model: no\n", None),
        ("model: abalone # ours\n", None),
        ("model:\n  a: b\n", None),
    ],
)
def test_flat_records_are_read_without_a_parser_or_not_at_all(
    text: str, flat: list[str] | None
) -> None:
    data = documents.read_flat(text)
    assert (data and list(data.values())) == flat
    assert data is None or data == documents.plain_data(documents.parse_yaml(text, "a.yaml").node)
