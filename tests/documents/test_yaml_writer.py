"""What is written is read back the same, by readers of YAML 1.2 and of 1.1, and has one form."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
from ruamel.yaml import YAML

from towpath import documents

RECORD = {
    "model": "abalone",
    "version": "v1.0.0",
    "time": "2026-11-22T14:42:00Z",
    "sha256": "5f1c" * 16,
    "digits": "0123456789",
    "answer": "no",
    "minutes": "12:30",
    "empty": "",
    "blank": " ",
    "none": None,
    "yes": True,
    "metrics": {"mse": 4.75, "tiny": 1e-05, "huge": 1e22, "whole": 3.0, "count": 0},
    "labels": {},
    "tags": [],
    "columns": [{"name": "sex", "type": "string"}, {"name": "length", "type": "double"}],
    "nested": [[1, [2, []]], {"a": [{"b": None}]}],
    "description": "First line: with a colon\n\n  indented # and no comment\nlast line\n",
    "no_newline": "one\ntwo",
    "trailing": "one\n\n\n",
    "tabs": "a\tb\nc",
    "signs": "- ? : , [ ] { } # & * ! | > ' \" % @ `",
    "unicode": "Zo\u00eb \u6587 \U0001f600 \u2028 \x85 \x7f \ufeff",
}


def by_ruamel(text: str, version: tuple[int, int]) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    return yaml.load(io.StringIO(text))


def test_a_record_has_one_form_and_every_reader_agrees() -> None:
    text = documents.dump_yaml(RECORD)
    assert documents.plain_data(documents.parse_yaml(text, "r.yaml").node) == RECORD
    assert by_ruamel(text, (1, 2)) == RECORD
    assert by_ruamel(text, (1, 1)) == RECORD
    assert list(by_ruamel(text, (1, 2))) == list(RECORD), "the order given stays"


def test_the_form_is_pinned() -> None:
    data = {"a": 1, "b": [{"c": "x", "d": ["z", []]}, "no"], "t": "l1\nl2\n", "e": {}, "f": 1e-7}
    assert documents.dump_yaml(data) == (
        "a: 1\n"
        "b:\n"
        "  - c: x\n"
        "    d:\n"
        "      - z\n"
        "      - []\n"
        '  - "no"\n'
        "t: |\n"
        "  l1\n"
        "  l2\n"
        "e: {}\n"
        "f: 1.0e-07\n"
    )


def test_any_data_comes_back() -> None:
    chance = random.Random(7)
    for _ in range(300):
        data = _any(chance, 0)
        text = documents.dump_yaml(data)
        assert documents.plain_data(documents.parse_yaml(text, "r.yaml").node) == data, text
        assert by_ruamel(text, (1, 1)) == data, text


SIGNS = "ab01 :#-.,'\"\n\t{}[]&*!|>%@`~<=_\\/+eEno\u00e9\u2028"


def _any(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(9 if depth < 3 else 6)
    if kind < 3:
        return "".join(chance.choice(SIGNS) for _ in range(chance.randrange(9)))
    if kind == 3:
        return chance.choice([chance.uniform(-1e9, 1e9), chance.uniform(-1e-9, 1e-9), 1e300])
    if kind == 4:
        return chance.randrange(-(10**12), 10**12)
    if kind == 5:
        return chance.choice([True, False, None, "", "null", "True", "yes", "1e3", "012", "1:20"])
    if kind == 6:
        return [_any(chance, depth + 1) for _ in range(chance.randrange(4))]
    keys = ["".join(chance.choice(SIGNS) for _ in range(4)) for _ in range(chance.randrange(4))]
    return {key: _any(chance, depth + 1) for key in keys}


@pytest.mark.parametrize(
    "data", [float("nan"), float("inf"), {1: 2}, b"x", {"a": {1, 2}}, object()]
)
def test_what_yaml_cannot_say_is_refused(data: Any) -> None:
    with pytest.raises(TypeError):
        documents.dump_yaml(data)
