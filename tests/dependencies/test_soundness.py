"""Every edit of the corpus is tried on the real thing: the function runs before and after it."""

from __future__ import annotations

import pytest
from code_cases import Case, read
from code_project import STEPS, Make, Project

CHANGES = [case for name in ("names", "at_import", "unsure") for case in read(name)]


def _made(project: Make, case: Case) -> Project:
    files = dict(case.files)
    return project(files.pop(STEPS), files)


@pytest.mark.parametrize("case", CHANGES, ids=str)
def test_another_result_is_another_digest(project: Make, case: Case) -> None:
    made = _made(project, case)
    result, digests = made.result(), made.digests()
    made.edit(case.edited, case.old, case.new)
    assert made.result() != result, "the case proves nothing"
    assert made.changed(digests)


@pytest.mark.parametrize("case", read("same"), ids=str)
def test_an_edit_that_cannot_matter_changes_no_digest(project: Make, case: Case) -> None:
    made = _made(project, case)
    result, digests = made.result(), made.digests()
    made.edit(case.edited, case.old, case.new)
    assert made.result() == result, "the case proves nothing"
    assert made.changed(digests) == set()


@pytest.mark.parametrize("case", read("too_much"), ids=str)
def test_the_rule_errs_towards_running_again(project: Make, case: Case) -> None:
    made = _made(project, case)
    result, digests = made.result(), made.digests()
    made.edit(case.edited, case.old, case.new)
    assert made.result() == result, "the case belongs among those that change the result"
    assert made.changed(digests)
