"""CODEOWNERS: whom a file names for a path, as GitHub reads it."""

from __future__ import annotations

import time

import pytest

from promotion_project import Project
from towpath.delivery.promotion import rulebook

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
        ("* @all\r\n/registry/ @ada\r\n", PROD, ("@ada",)),
        ("*\t@all\t@bo\t# all", PROD, ("@all", "@bo")),
        ("* @all\n/registry/ # nobody", PROD, ()),
        ("* @all\n!/registry/ @ada", PROD, ("@all",)),  # GitHub knows no negation,
        ("* @all\n/registry/stages/[a-z]*/ @ada", PROD, ("@all",)),  # no ranges,
        ("* @all\n[Section] @ada\n", PROD, ("@all",)),  # no sections,
        ("* @all\n\\#a @ada", "#a", ("@all",)),  # no escaped comment,
        ("* @all\n/registry/ ada", PROD, ("@all",)),  # and no owner without an @
        ("* @all\u2028/registry/ @ada", PROD, ()),  # a line ends at a line feed and nowhere else
        ("/Registry/ @ada", PROD, ()),
        ("/* @ada", PROD, ()),
        ("/* @ada", "steps.py", ("@ada",)),
        ("registry/ @ada", "registry", ()),  # a file, not the folder
        ("**/stages @ada", PROD, ("@ada",)),
        ("registry/**/**/abalone.yaml @ada", PROD, ("@ada",)),
        ("stages/prod @ada", PROD, ()),  # a slash within: from the root
        ("a**lone.yaml @ada", PROD, ("@ada",)),
        ("registry**abalone.yaml @ada", PROD, ()),  # `**` beside others is a `*`
        ("/ @ada", PROD, ()),
        ("/a\\ b/* @ada", "a b/c", ("@ada",)),
    ],
)
def test_who_is_named(text: str, path: str, named: tuple[str, ...]) -> None:
    assert rulebook.match_code_owners(text, path) == named


def test_people_and_mails() -> None:
    named = ("@Ada", "bo", "@org/team", "Eve@example.org")
    assert rulebook.find_owner_logins(named, None) == {"ada", "bo"}
    assert rulebook.find_owner_mails(named) == {"eve@example.org"}


@pytest.mark.parametrize(
    "line",
    [
        "**/" * 200 + "x @ada",
        "*a" * 400 + "*x @ada",
        "*" * 900 + "x @ada",
        "a?*" * 300 + "x @ada",
        "registry/" + "**/a*/" * 150 + "x @ada",
        "\\ " * 450 + "x @ada",
        "x @" + "a-" * 450 + "!",
    ],
)
def test_no_pattern_takes_long(line: str) -> None:
    began = time.process_time()
    text = "* @all\n" + f"{line}\n" * 3
    assert rulebook.match_code_owners(
        text, "registry/" + "a" * 60 + "/" + "a/" * 60 + "y.yaml"
    ) == ("@all",)
    assert time.process_time() - began < 1.0


def test_a_file_that_github_does_not_load_names_nobody(project: Project) -> None:
    head = project.commit({"CODEOWNERS": "* @ada\n" + "#" * (rulebook.LARGEST - 8) + "\n"})
    assert rulebook.find_code_owners(project.repository, head, PROD) == ("@ada",)
    head = project.commit({"CODEOWNERS": "* @ada\n" + "#" * rulebook.LARGEST})
    assert rulebook.find_code_owners(project.repository, head, PROD) == ()


def test_the_largest_file_is_read_in_seconds() -> None:
    text = "* @all\n" + "*a*/b @ada\n" * (rulebook.LARGEST // 11 - 1)
    began = time.process_time()
    assert rulebook.match_code_owners(text, PROD) == ("@all",)
    assert time.process_time() - began < 10.0
