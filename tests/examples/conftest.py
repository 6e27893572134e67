"""The repositories below examples/, each adopted in a folder of the test's own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from adopted_example import Adopt, adopt_example


@pytest.fixture
def adopt(tmp_path: Path) -> Adopt:
    """Makes an example of a name a project."""
    return partial(adopt_example, tmp_path)
