"""Names of versions, and what a person gets who mistypes one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from towpath import registry
from towpath.backends.git import Repository
from towpath.errors import UsageError
from towpath.registry import Reference, Registered, Version, parse
from towpath.registry.version_number import following
from towpath.registry.version_reference import TagName, parse_tag

Register = Callable[..., Registered]


def test_what_a_name_means() -> None:
    assert parse("abalone@v1.20.3") == Reference("abalone", Version(1, 20, 3))
    assert parse("abalone@latest") == Reference("abalone")
    assert parse("abalone#prod") == Reference("abalone", stage="prod")
    assert parse("abalone@3fa1c2") == Reference("abalone", key="3fa1c2")
    for text in ("abalone@v1.20.3", "abalone@latest", "a_b-2#prod", "abalone@3fa1c2"):
        assert str(parse(text)) == text


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
        parse(text)
    assert hint in str(said.value)


def test_what_a_tag_says() -> None:
    number = Version(1, 0, 0)
    assert parse_tag("abalone@v1.0.0") == TagName("abalone", number, None, False, 0)
    assert parse_tag("abalone@v1.0.0!#12") == TagName("abalone", number, None, True, 12)
    assert parse_tag("abalone#prod#7") == TagName("abalone", None, "prod", False, 7)
    assert parse_tag("abalone#prod!#8") == TagName("abalone", None, "prod", True, 8)
    others = ("v1.0.0", "a/b@v1.0.0", "x=abalone@v1.0.0", "abalone@v01.0.0", "abalone@deprecated#3")
    assert [parse_tag(name) for name in others] == [None] * len(others)


def test_numbers_are_in_their_own_order() -> None:
    assert Version.parse("v1.10.0") > Version.parse("v1.9.0")  # type: ignore[operator]
    assert Version.parse("1.0.0") is None
    taken = {Version(1, 1, 0), Version(1, 2, 0)}
    assert following(Version(1, 0, 5), "minor", taken) == Version(1, 3, 0)
    assert following(None, "patch", ()) == Version(1, 0, 0)


def test_what_does_not_exist_is_said_with_what_does(
    repository: Repository, register: Register
) -> None:
    def said(reference: str) -> str:
        with pytest.raises(UsageError) as wrong:
            registry.find(repository, reference)
        return str(wrong.value)

    assert said("abalone@latest") == "there is no model `abalone` (none was registered yet)"
    first = register(repository)
    register(repository, "b", parameters={})
    assert said("abalon@latest") == "there is no model `abalon` (did you mean `abalone`?)"
    assert said("trout@latest") == "there is no model `trout` (there is abalone)"
    assert said("abalone@v1.1.1") == "there is no abalone@v1.1.1 (did you mean `v1.1.0`?)"
    assert said("abalone@000000").startswith("nothing of abalone has the key 000000 (the last are")
    assert said("abalone#prod").startswith("prod runs no abalone")
    assert str(registry.find(repository, f"abalone@{first.key[:8]}")) == "abalone@v1.0.0"
    for version in ("abalone@v1.0.0", "abalone@v1.1.0"):
        registry.reject(repository, version, "wrong")
    assert said("abalone@latest") == "every version of abalone was rejected"
