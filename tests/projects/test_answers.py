"""Answers that will not do: each with the words a person reads, all at once, and nothing made."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from made_project import REPOSITORY, TABULAR, run

from towpath import projects
from towpath.errors import ExitCode, UsageError

YAML_WORDS = ("null", "true", "false", "yes", "no", "on", "off")
NAME = "lower case letters, digits and single hyphens, beginning with a letter, at most 64"
YAML = "where a name stands, YAML reads something else"
UNFIT = "quotation marks, line breaks and other control characters cannot stand in it"
SHORT = "Git does not know the short form"
REQUIREMENT = "is not a requirement (towpath==1.0), a Git URL, "
REQUIREMENT += "or the whole path of a folder that holds Towpath"
BAD = [
    *(({"name": word}, [f"name: `{word}` will not do: {YAML}"]) for word in YAML_WORDS),
    ({"name": "Null"}, [f"name: `Null` will not do: {NAME}"]),
    ({"registry": 'https://x.org/a"b: c #d'}, [f"registry: {UNFIT}"]),
    ({"registry": "https://x.org/a\nname: b"}, [f"registry: {UNFIT}"]),
    ({"registry": "/srv/a\u2028b"}, [f"registry: {UNFIT}"]),
    (
        {"registry": "gh:me/x"},
        [f"registry: {SHORT} `gh:me/x`: write https://github.com/me/x.git"],
    ),
    (
        {"registry": "gl:me/us/x.git"},
        [f"registry: {SHORT} `gl:me/us/x.git`: write https://gitlab.com/me/us/x.git"],
    ),
    ({"towpath": "towpath @ bogus bogus"}, [f"towpath: `towpath @ bogus bogus` {REQUIREMENT}"]),
    ({"towpath": "~nobody-of-this-name/t"}, [f"towpath: `~nobody-of-this-name/t` {REQUIREMENT}"]),
    ({"towpath": "towpath==new"}, [f"towpath: `towpath==new` {REQUIREMENT}"]),
    ({"towpath": "https://x.org/a b"}, [f"towpath: `https://x.org/a b` {REQUIREMENT}"]),
    ({"name": "Abalone"}, [f"name: `Abalone` will not do: {NAME}"]),
    ({"name": "größe"}, [f"name: `größe` will not do: {NAME}"]),
    ({"name": ""}, [f"name: `` will not do: {NAME}"]),
    ({"name": "../up"}, [f"name: `../up` will not do: {NAME}"]),
    ({"name": "a--b"}, [f"name: `a--b` will not do: {NAME}"]),
    ({"name": "-o"}, [f"name: `-o` will not do: {NAME}"]),
    ({"name": "a" * 65}, [f"name: `{'a' * 65}` will not do: {NAME}"]),
    ({"name": "{{ 6*7 }}"}, ["name: `{{ 6*7 }}` has the braces of a template in it"]),
    (
        {"registry": "models"},
        ["registry: `models` is neither `.` (in the project) nor a Git URL"],
    ),
    (
        {"forge": "github"},
        ["repository: `` is not owner/name, which forge: github needs"],
    ),
    ({"repository": "a/b"}, ["repository: `a/b` needs forge: github"]),
    (
        {"task": "regresion"},
        ["task: `regresion` is no choice (did you mean `regression`?)"],
    ),
    (
        {"nmae": "x"},
        ["the template does not ask for `nmae` (did you mean `name`?)"],
    ),
    (
        {"towpath": "../towpath"},
        [f"towpath: `../towpath` {REQUIREMENT}"],
    ),
    (
        {"towpath": 'towpath", "evil'},
        [f"towpath: {UNFIT}"],
    ),
    (
        {"name": "Two", "registry": "models"},
        [
            f"name: `Two` will not do: {NAME}",
            "registry: `models` is neither `.` (in the project) nor a Git URL",
        ],
    ),
    (
        {"task": "none", "colour": "blue"},
        [
            "the template does not ask for `colour` "
            "(it asks for: task, name, registry, forge, repository, towpath)",
            "task: `none` is no choice (one of: regression, classification)",
        ],
    ),
    (
        {"name": "Ab", "task": "x", "nme": "1", "registry": "foo"},
        [
            "the template does not ask for `nme` (did you mean `name`?)",
            "task: `x` is no choice (one of: regression, classification)",
            f"name: `Ab` will not do: {NAME}",
            "registry: `foo` is neither `.` (in the project) nor a Git URL",
        ],
    ),
]


@pytest.mark.parametrize(("answers", "words"), BAD)
def test_bad_answers_are_refused_with_nothing_made(
    tmp_path: Path, answers: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(UsageError) as refused:
        projects.make_from_template("tabular", tmp_path / "new", answers, ask=False)
    assert [str(fault) for fault in refused.value.faults] == words
    assert refused.value.exit_code == ExitCode.WRONG
    assert not (tmp_path / "new").exists()


def test_a_person_who_gave_bad_answers_is_asked_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`nme`"):
        projects.make_from_template("tabular", tmp_path, {"nme": "1"}, ask=True)


def test_a_person_is_asked_what_the_template_asks_and_nothing_of_cookiecutters(
    tmp_path: Path,
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "towpath", "new"]
    asked = subprocess.Popen(command, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, b"\n" * 9)  # each answer as it is suggested
    said = b""
    with suppress(OSError):  # as Linux ends what the other side of a terminal has left
        while more := os.read(ours, 4096):
            said += more
    os.close(ours)
    assert asked.wait() == 0, said
    assert (tmp_path / "abalone" / "towpath.yaml").is_file()
    words = said.decode()
    assert (words.count("Choose from"), words.count("): ")) == (2, 5), words
    assert "_copy" not in words and "_extensions" not in words


def test_cookiecutter_refuses_them_too(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    call = ("cookiecutter", REPOSITORY, "--directory", "templates/tabular", "--no-input")
    said = run(sys.executable, "-m", *call, "name=Two", "registry=models", cwd=folder)
    assert said.returncode != 0
    assert f"name: `Two` will not do: {NAME}\nregistry: `models`" in said.stderr
    said = run(sys.executable, "-m", *call, "name=no", "registry=https://x\ny", cwd=folder)
    assert f"name: `no` will not do: {YAML}\nregistry: {UNFIT}" in said.stderr
    assert list(folder.iterdir()) == []


def test_an_unknown_template_is_answered_with_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no template `tabluar` \(did you mean `tabular`\?\)"):
        projects.make_from_template("tabluar", tmp_path, {}, ask=False)


def test_the_catalogue_lists_the_templates_with_a_word_each() -> None:
    (tabular,) = [each for each in projects.catalogue() if each.name == "tabular"]
    assert tabular.folder == TABULAR
    assert tabular.description.startswith("A table in, a model out")
    assert projects.find_template(str(TABULAR)) == tabular
