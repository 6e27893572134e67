"""Names of versions, and what a person gets who mistypes one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from towpath import registry
from towpath.backends.git import Repository
from towpath.errors import UsageError
from towpath.registry import RegisteredVersion, VersionNumber, VersionReference, parse_reference
from towpath.registry.version_reference import TagName, next_free_number, parse_tag

Register = Callable[..., RegisteredVersion]


def test_what_a_name_means() -> None:
    assert parse_reference("abalone@v1.20.3") == VersionReference(
        "abalone", VersionNumber(1, 20, 3)
    )
    assert parse_reference("abalone@latest") == VersionReference("abalone")
    assert parse_reference("abalone#prod") == VersionReference("abalone", stage="prod")
    assert parse_reference("abalone@3fa1c2") == VersionReference("abalone", key="3fa1c2")
    for text in ("abalone@v1.20.3", "abalone@latest", "a_b-2#prod", "abalone@3fa1c2"):
        assert str(parse_reference(text)) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("abalone", "abalone@v1.0.0, abalone@latest or abalone#prod"),
        ("", "abalone@v1.0.0"),
        ("abalone@1.2.0", "abalone@v1.2.0"),
        ("abalone@v1.2", "abalone@v1.0.0 or abalone@latest"),
        ("abalone@v01.2.0", "abalone@latest"),
        ("abalone@latst", "abalone@latest"),
        ("Abalone@latest", "abalone@v1.0.0"),
        ("abalone#Prod", "abalone#prod"),
        ("abalone@v1.0.0#1", "abalone#prod"),
        ("abalone@v1.0.0\n", "abalone@"),
    ],
)
def test_what_is_no_name(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as said:
        parse_reference(text)
    assert hint in str(said.value)


def test_what_a_tag_says() -> None:
    number = VersionNumber(1, 0, 0)
    assert parse_tag("abalone@v1.0.0") == TagName("abalone", number, None, False, 0)
    assert parse_tag("abalone@v1.0.0!#12") == TagName("abalone", number, None, True, 12)
    assert parse_tag("abalone#prod#7") == TagName("abalone", None, "prod", False, 7)
    assert parse_tag("abalone#prod!#8") == TagName("abalone", None, "prod", True, 8)
    others = ("v1.0.0", "a/b@v1.0.0", "x=abalone@v1.0.0", "abalone@v01.0.0", "abalone@deprecated#3")
    assert [parse_tag(name) for name in others] == [None] * len(others)


def test_numbers_are_in_their_own_order() -> None:
    assert VersionNumber.parse("v1.10.0") > VersionNumber.parse("v1.9.0")  # type: ignore[operator]
    assert VersionNumber.parse("1.0.0") is None
    taken = {VersionNumber(1, 1, 0), VersionNumber(1, 2, 0)}
    assert next_free_number(VersionNumber(1, 0, 5), "minor", taken) == VersionNumber(1, 3, 0)
    assert next_free_number(None, "patch", ()) == VersionNumber(1, 0, 0)


def test_what_does_not_exist_is_said_with_what_does(
    repository: Repository, register: Register
) -> None:
    def said(reference: str) -> str:
        with pytest.raises(UsageError) as wrong:
            registry.find_version(repository, reference)
        return str(wrong.value)

    assert said("abalone@latest") == "there is no model `abalone` (none was registered yet)"
    first = register(repository)
    register(repository, "b", parameters={})
    assert said("abalon@latest") == "there is no model `abalon` (did you mean `abalone`?)"
    assert said("trout@latest") == "there is no model `trout` (there is abalone)"
    assert said("abalone@v1.1.1") == "there is no abalone@v1.1.1 (did you mean `v1.1.0`?)"
    assert said("abalone@000000").startswith("nothing of abalone has the key 000000 (the last are")
    assert said("abalone#prod").startswith("prod runs no abalone")
    assert str(registry.find_version(repository, f"abalone@{first.key[:8]}")) == "abalone@v1.0.0"
    for version in ("abalone@v1.0.0", "abalone@v1.1.0"):
        registry.reject_version(repository, version, "wrong")
    assert said("abalone@latest") == "every version of abalone was rejected"
