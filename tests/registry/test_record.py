"""Records: what they hold, what becomes of damaged ones, and versions side by side."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from towpath import registry
from towpath.backends.git import Repository
from towpath.config.artifact import Artifact
from towpath.errors import RegistryError
from towpath.registry import (
    Column,
    ModelSignature,
    RecordedCode,
    RegisteredVersion,
    VersionNumber,
    VersionRecord,
    tag_message,
    version_record,
)
from towpath.registry.version_record import find_signature_breaks

Draft = Callable[..., VersionRecord]
Register = Callable[..., RegisteredVersion]

#: Under the empty name it would stand for the model, whose bytes nobody would look at.
BESIDE = """\
beside:
  {}: {{name: b.json, md5: 0cc175b9c0f1b6a831c399e269772661, size: 1, sha256: %s}}
""" % ("ab" * 32)
LEAST = """\
schema: 1
model: abalone
artifact:
  path: models/abalone
  kind: folder
  md5: "5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f.dir"
  sha256: abababababababababababababababababababababababababababababababab
  size: 7
  files: 2
code:
  commit: c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff
key: f00df00df00df00df00df00df00df00df00df00df00df00df00df00df00df00d
"""


def test_a_record_says_the_same_when_read_again(draft: Draft) -> None:
    whole = draft(
        version=VersionNumber(1, 2, 3),
        bump=registry.RecordedBump("minor", "parameter x"),
        code=RecordedCode(
            "c0ffee" * 6 + "c0ff", "https://forge.example/a.git", {"steps.train": "d1"}
        ),
        signature=ModelSignature(
            None, (Column("kind", "string"),), 7, ("m", "f", 3), "sklearn.SVC"
        ),
    )
    text = version_record.write_version_record(whole)
    assert version_record.parse_version_record(text, "x") == whole
    assert (
        version_record.write_version_record(version_record.parse_version_record(text, "x")) == text
    )
    assert whole.record_path == "registry/models/abalone/v1.2.3.yaml"


def test_the_least_record() -> None:
    least = VersionRecord(
        model="abalone",
        key="f00d" * 16,
        artifact=Artifact("5f" * 16 + ".dir", 7, "abalone", 2),
        path="models/abalone",
        sha256="ab" * 32,
        kind="folder",
        code=RecordedCode("c0ffee" * 6 + "c0ff"),
    )
    assert version_record.write_version_record(least) == LEAST
    assert version_record.parse_version_record(LEAST, "x") == least


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x is not the record of a version"),
        ("- a\n", "x is not the record of a version"),
        ("a: {", "x:"),
        ("model: abalone\n", "x has schema None, not 1"),
        ("schema: 2\n", "x has schema 2, not 1 (a newer Towpath wrote it: upgrade)"),
        ("schema: 1\nmodel: abalone\n", "x is damaged: `artifact` is missing"),
        (LEAST.replace("artifact:\n", "artifact: none\nother:\n"), "x is damaged"),
        (LEAST.replace("  commit: c0ffee", "  - c0ffee"), "x is damaged"),
        (LEAST + BESIDE.format('""'), "x is damaged: `` is no name of what stands beside"),
        (LEAST + BESIDE.format("../x"), "x is damaged: `../x` is no name"),
    ],
)
def test_a_damaged_record_is_named(text: str, said: str) -> None:
    with pytest.raises(RegistryError) as wrong:
        version_record.parse_version_record(text, "x")
    assert str(wrong.value).startswith(said)


OLD = ModelSignature(
    (Column("height", "number"), Column("count", "integer"), Column("note", "unknown")),
    (Column("rings", "number"),),
    3,
    ("f", "m"),
)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ()),
        ({"inputs": OLD.inputs[:1]}, ()),  # type: ignore[index]
        ({"inputs": (Column("count", "number"), Column("note", "string"))}, ()),
        ({"inputs": (Column("height", "integer"),)}, ("input height number -> integer",)),
        ({"inputs": (Column("width", "number"),)}, ("input width is new",)),
        ({"inputs": None, "outputs": None, "features": None}, ()),
        ({"inputs": None}, ("input columns by name -> a matrix of 3 columns",)),
        ({"outputs": (Column("rings", "unknown"), Column("error", "number"))}, ()),
        ({"outputs": (Column("rings", "integer"),)}, ("output rings number -> integer",)),
        ({"outputs": ()}, ("output rings is gone",)),
        ({"features": 4}, ("3 -> 4 features",)),
        ({"classes": ("m",)}, ()),
        ({"classes": ("f", "m", "i")}, ("class i is new",)),
    ],
)
def test_what_breaks_a_caller(changed: dict[str, object], said: tuple[str, ...]) -> None:
    assert find_signature_breaks(OLD, replace(OLD, **changed)) == said  # type: ignore[arg-type]
    assert find_signature_breaks(None, OLD) == find_signature_breaks(OLD, None) == ()


def test_columns_by_name_break_the_callers_of_a_matrix() -> None:
    matrix = ModelSignature(None, (Column("prediction", "number"),), features=3)
    named = replace(OLD, outputs=matrix.outputs, classes=None, features=None)
    assert find_signature_breaks(matrix, named) == (
        "input a matrix of 3 columns -> columns by name",
    )
    assert find_signature_breaks(matrix, replace(matrix, features=4)) == ("3 -> 4 features",)
    assert (
        find_signature_breaks(matrix, ModelSignature(None, None))
        == find_signature_breaks(ModelSignature(None, None), named)
        == ()
    )


def test_versions_side_by_side(repository: Repository, register: Register) -> None:
    register(repository)
    register(repository, "b", parameters={"learning_rate": 0.2}, metrics={"mse": 4.0, "r2": 0.5})
    found = registry.compare_versions(repository, ["abalone@v1.0.0", "abalone@latest"])
    assert [str(one) for one in found.versions] == ["abalone@v1.0.0", "abalone@v1.1.0"]
    rows = {(row.section, row.name): row for row in found.rows}
    assert rows["metrics", "mse"].values == (4.5, 4.0)
    assert rows["metrics", "r2"].values == (None, 0.5)
    assert rows["metrics", "by.f1-score"].values == (0.5, None)
    assert rows["parameters", "learning_rate"].is_different
    assert rows["signature", "input height"].values == ("number", "number")
    assert [name for name, row in rows.items() if row.is_different] == [
        ("metrics", "mse"),
        ("metrics", "by.f1-score"),
        ("metrics", "r2"),
        ("parameters", "learning_rate"),
    ]


def test_the_tag_is_short_and_nothing_else_is(repository: Repository, register: Register) -> None:
    """A tag holds the first hundred numbers; what is compared is the record, whole."""
    scores = {f"fold{number:03}": float(number) for number in range(150)}
    register(repository, metrics=scores)
    register(repository, "b", metrics={**scores, "fold149": 0.5})
    first, second = registry.known_model(repository, "abalone").versions
    assert list(first.metrics) == list(scores)[: tag_message.MOST_METRICS]
    compared = registry.compare_versions(repository, [str(first), str(second)])
    different = {row.name: row.values for row in compared.rows if row.is_different}
    assert different == {"fold149": (149.0, 0.5)}


def test_where_a_version_came_from(repository: Repository, register: Register) -> None:
    register(repository)
    register(repository, "b", parameters={})
    registry.reject_version(repository, "abalone@v1.1.0", "wrong")
    register(repository, "c", parameters={"x": 1})
    found = registry.read_version_lineage(repository, "abalone@latest")
    assert (str(found.version), str(found.before)) == ("abalone@v1.2.0", "abalone@v1.0.0")
    assert found.record.data == {"raw": "0a" * 16}
    assert registry.read_version_lineage(repository, "abalone@v1.0.0").before is None
