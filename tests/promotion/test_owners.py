"""CODEOWNERS: whom a file names for a path, as GitHub reads it."""

from __future__ import annotations

import pytest

from towpath.promotion import owners

PROD = "registry/stages/prod/abalone.yaml"


@pytest.mark.parametrize(
    ("text", "path", "named"),
    [
        ("* @all", PROD, ("@all",)),
        ("* @all\n/registry/stages/prod/ @ada @org/team", PROD, ("@ada", "@org/team")),
        ("/registry/stages/prod/ @ada\n* @all", PROD, ("@all",)),  # the last one counts
        ("* @all\n/registry/stages/prod/", PROD, ()),  # nobody owns it
        ("registry/ @ada", PROD, ("@ada",)),
        ("stages/ @ada", PROD, ("@ada",)),  # a folder of that name anywhere
        ("/stages/ @ada", PROD, ()),
        ("*.yaml @ada", PROD, ("@ada",)),
        ("registry/stages/*/abalone.yaml @ada", PROD, ("@ada",)),
        ("registry/stages/* @ada", PROD, ()),  # not what lies deeper
        ("registry/**/abalone.yaml @ada", PROD, ("@ada",)),
        ("**/abalone.yaml @ada", PROD, ("@ada",)),
        ("registry/** @ada", PROD, ("@ada",)),
        ("/registry/stages/prod @ada", PROD, ("@ada",)),
        ("/registry/stages/prod/abalone.yam? @ada", PROD, ("@ada",)),
        ("/registry/stages/pro @ada", PROD, ()),
        ("# * @all\n\n   \n* @ada # everything\n", PROD, ("@ada",)),
        ("/registry/stages/prod/abalone.yaml ada@example.org", PROD, ("ada@example.org",)),
        ("/a\\ b/ @ada", "a b/c", ("@ada",)),
        ("a.c @ada", "abc", ()),
        ("", PROD, ()),
    ],
)
def test_who_is_named(text: str, path: str, named: tuple[str, ...]) -> None:
    assert owners.match(text, path) == named


def test_people_and_mails() -> None:
    named = ("@Ada", "bo", "@org/team", "Eve@example.org")
    assert owners.people(named, None) == {"ada", "bo"}
    assert owners.mails(named) == {"eve@example.org"}
