"""Pull requests at GitHub, against a server that keeps real repositories."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from github_server import GitHubServer

from towpath.errors import ForgeError, UsageError
from towpath.forge import Forge

NAME = "acme/abalone"
HOSTILE = """</details><script>alert(1)</script> `$(rm -rf /)` ${{ secrets.KEY }}
::set-output name=x::y %0A | a | b | [x](javascript:1) @everyone \u202e \U0001f41a
"""
As = Callable[[str], Forge]


def test_a_change_is_proposed_reviewed_and_merged(clone, as_person: As):
    head = clone.change("promote/a")
    ada, bo = as_person("ada"), as_person("bo")
    pull = ada.open("promote/a", "main", "Promote", "Because.")
    assert (pull.number, pull.state, pull.head, pull.author) == (1, "open", head, "ada")
    assert ada.pull(1) == pull
    review = bo.approve(1, head, "fine")
    assert (review.user, review.state, review.commit) == ("bo", "approved", head)
    assert bo.reviews(1) == (review,)
    made = bo.merge(1, head)
    clone.git("fetch", "--quiet")
    assert clone.git("rev-parse", "origin/main") == made
    assert clone.git("log", "-1", "--format=%s", made).startswith("Merge pull request #1 from acme")
    (found,) = ada.of_commit(made)
    assert (found.number, found.state, found.merged_by) == (1, "merged", "bo")
    assert ada.of_commit(head) == (found,)
    assert ada.of_commit("0" * 40) == ()


def test_hostile_words_stay_words(clone, github: GitHubServer, as_person: As):
    clone.change("promote/a")
    ada = as_person("ada")
    ada.open("promote/a", "main", HOSTILE.splitlines()[0], HOSTILE)
    pull = ada.pull(1)
    assert (pull.title, pull.body) == (HOSTILE.splitlines()[0], HOSTILE)
    ada.write_comment(1, HOSTILE)
    assert github.repository(NAME).pulls[1].comments[0][1] == HOSTILE


def test_a_team_that_is_none(as_person: As):
    with pytest.raises(ForgeError, match=r"no team @acme/nobody.*members: read"):
        as_person("ada").members("@acme/nobody")
    with pytest.raises(UsageError, match="is no team"):
        as_person("ada").members("@acme")
