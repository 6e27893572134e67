"""A project as the template makes it for GitHub, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from towpath import projects

ANSWERS = {"forge": "github", "repository": "acme/abalone"}


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The abalone project whose promotions are reviewed on GitHub; nobody changes it."""
    return projects.make_from_template(
        "tabular", tmp_path_factory.mktemp("rendered"), ANSWERS, ask=False
    )
