"""Where a project's Towpath is installed from: each answer, and the line in pyproject.toml."""

from __future__ import annotations

import importlib.util
import json
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any

import pytest
from made_project import REPOSITORY, TABULAR
from packaging.requirements import Requirement

from towpath.backends.cookiecutter import make_project

LINES = [
    ("towpath==1.0", "", "towpath==1.0"),
    ("towpath[s3]>=1,<2", "", "towpath[s3]>=1,<2"),
    ("towpath == 1.0rc1.dev5+g3fa1", "", "towpath == 1.0rc1.dev5+g3fa1"),
    ("towpath @ https://example.org/t.whl", "", "towpath @ https://example.org/t.whl"),
    ("https://git.example.org/towpath", "", "towpath @ git+https://git.example.org/towpath"),
    ("git+ssh://git@example.org/t.git@v1", "", "towpath @ git+ssh://git@example.org/t.git@v1"),
    (
        "git@example.org:team/towpath.git",
        "",
        "towpath @ git+ssh://git@example.org/team/towpath.git",
    ),
    ("auto", "gh:team/towpath", "towpath @ git+https://github.com/team/towpath.git"),
    (
        "auto",
        "https://example.org/towpath.git",
        "towpath @ git+https://example.org/towpath.git",
    ),
    ("auto", ".", f"towpath @ {REPOSITORY.as_uri()}"),
    (str(REPOSITORY), "", f"towpath @ {REPOSITORY.as_uri()}"),
]


@pytest.mark.parametrize(("answer", "template", "line"), LINES)
def test_an_answer_becomes_a_requirement(answer: str, template: str, line: str) -> None:
    rules = _rules()
    assert rules.faults({"name": "a", "forge": "none", "repository": "", "towpath": answer}) == []
    made = rules.requirement(answer, {"_template": template, "_checkout": None})
    assert made == line
    assert Requirement(made).name == "towpath"


def test_the_checked_out_release_is_the_one_installed() -> None:
    context = {"_template": "gh:team/towpath", "_checkout": "v1.2.0"}
    made = _rules().requirement("auto", context)
    assert made == "towpath @ git+https://github.com/team/towpath.git@v1.2.0"


ORIGINS = [
    (None, "towpath==9.9"),
    ({"url": "file:///srv/the%20tow%20path", "dir_info": {"editable": True}}, "/srv/the tow path"),
    (
        {
            "url": "https://example.org/t.git",
            "vcs_info": {"vcs": "git", "commit_id": "3fa1", "requested_revision": "main"},
        },
        "towpath @ git+https://example.org/t.git@3fa1",
    ),
    (
        {"url": "https://example.org/towpath-9.9-py3-none-any.whl", "archive_info": {}},
        "towpath @ https://example.org/towpath-9.9-py3-none-any.whl",
    ),
]


@pytest.mark.parametrize(("origin", "line"), ORIGINS)
def test_towpath_knows_what_it_was_installed_from(
    tmp_path: Path, origin: dict[str, Any] | None, line: str
) -> None:
    record = tmp_path / "towpath-9.9.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.4\nName: towpath\nVersion: 9.9\n")
    if origin is not None:
        (record / "direct_url.json").write_text(json.dumps(origin))
    assert make_project.requirement_of(PathDistribution(record)) == line


def _rules() -> Any:
    spec = importlib.util.spec_from_file_location("rules", TABULAR / "towpath_template.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
