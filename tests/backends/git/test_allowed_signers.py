"""Signers' files are read as ssh-keygen reads them; what cannot be honoured is told."""

from __future__ import annotations

import pytest

from towpath.backends.git.signatures import read_allowed_signers

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMJh6/w71oY7pzBypieMM7dnB42HpbpLOvBCJC2XAAAA"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOthps6WdZ9ozFdD0I4elU2jglILOvBCJC2XBBBBCCCC"


def names(text: str) -> list[tuple[str, ...]]:
    """The names of each signer."""
    return [one.names for one in read_allowed_signers(text.encode()).signers]


def faults(text: str) -> list[str]:
    """What cannot be honoured, with its place."""
    return [f"{one.place}: {one.what}" for one in read_allowed_signers(text.encode()).faults]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"a@x {KEY}", ("a@x",)),
        (f"a@x,b@x {KEY} a comment", ("a@x", "b@x")),
        (f'"a@x,b@x" {KEY}', ("a@x", "b@x")),
        (f'a@x namespaces="git" {KEY}', ("a@x",)),
        (f'a@x namespaces="file,g*" {KEY}', ("a@x",)),
        (f'a@x NAMESPACES="git",valid-before="20301201Z",valid-after="20200101" {KEY}', ("a@x",)),
        (f"a@x,c@x,!c@x {KEY}", ("a@x",)),
        (f"a@x {KEY}\r", ("a@x",)),
    ],
)
def test_a_line_that_counts(line: str, expected: tuple[str, ...]) -> None:
    assert names(f"# people\n\n{line}\n") == [expected]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f"*@x cert-authority {KEY}", "whoever holds this authority's key can be any number"),
        (f'a@x namespaces="file" {KEY}', "the key is for `file`, and Git signs for `git`"),
        (f'a@x namespaces="!git,*" {KEY}', "the key is for `!git,*`"),
        (f'a@x valid-before="tomorrow" {KEY}', "`tomorrow` is no date of `valid-before`"),
        (f'a@x valid-before="20261301" {KEY}', "`20261301` is no date"),
        (f'a@x valid-after="2027",valid-before="2026" {KEY}', "`2027` is no date"),
        (
            f'a@x valid-after="20270101",valid-before="20260101" {KEY}',
            "`valid-before` is not after",
        ),
        (f"a@x frobnicate {KEY}", "there is no option `frobnicate`"),
        ("a@x ssh-ed25519 AAAA", "this is no line of a signer"),
        ("a@x ssh-ed25519 ???", "this is no line of a signer"),
        ("a@x", "this is no line of a signer"),
        (KEY, "this is no line of a signer"),
    ],
)
def test_a_line_that_counts_for_nothing(line: str, what: str) -> None:
    text = f"# people\n{line}\nb@x {OTHER}\n"
    said = faults(text)
    assert said[0].startswith(f"registry/allowed_signers:2: {what}"), said
    assert names(text) == [("b@x",)]


def test_a_pattern_is_called_by_itself_and_told() -> None:
    read = read_allowed_signers(f"!boss@x,*@x {KEY}\n".encode())
    [signer], [fault] = read.signers, read.faults
    assert signer.name == "!boss@x,*@x"
    assert signer.may_be(["ada@x"]) and not signer.may_be(["boss@x"])
    assert "does not say who holds the key" in fault.what


def test_one_person_s_lines() -> None:
    text = f"a@x {KEY}\nb@x {OTHER}\nA@X,c@x {OTHER}\n"
    persons = [one.person for one in read_allowed_signers(text.encode()).signers]
    assert persons[0] == persons[1] == persons[2]
    assert {"a@x", "b@x", "c@x"} <= persons[0]


def test_no_bytes_end_as_a_bug() -> None:
    for text in (
        b"\xff\xfe\x00",
        b'"',
        b'a@x "',
        b'a@x namespaces="git ssh-ed25519 A\n',
        b"\0" * 9,
    ):
        assert read_allowed_signers(text).signers == ()
