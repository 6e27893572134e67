"""docs/audit.md names every fact that can be searched, every check, and every verdict."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from towpath.audit.audit_finding import AuditCheck
from towpath.audit.version_search import FIELDS, TABLES

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")


def test_every_fact() -> None:
    words = set(re.findall(r"[a-z0-9_]+", " ".join(re.findall(r"`([^`\n]+)`", PAGE))))
    assert {*FIELDS, *TABLES} <= words


def test_every_check() -> None:
    for check in get_args(AuditCheck):
        assert f"\n| `{check}` | " in PAGE, check


def test_its_own_links() -> None:
    heads = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z -]", "", head.lower()).replace(" ", "-") for head in heads}
    assert set(re.findall(r"\]\(#([a-z-]+)\)", PAGE)) <= anchors
