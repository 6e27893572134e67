"""Studio as files: the same pages, read only, for a folder, a web server, or GitHub Pages."""

from __future__ import annotations

from pathlib import Path

from towpath.errors import TowpathError, UsageError
from towpath.scratch import replace_text
from towpath.studio.page_index import PAGES
from towpath.studio.page_templates import PagePlace, render_studio_page
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.project_facts import ProjectFacts
from towpath.studio.studio_app import ASSETS

MARKER = ".towpath-site"


def build_site(root: Path, folder: Path) -> int:
    """Write every page of the project at ``root`` below ``folder``; how many files were changed.

    Raises UsageError where something else stands there.
    """
    _refuse_strangers(folder)
    changed = int(_write_changed(folder / MARKER, "A site of Towpath's: all of it is made anew.\n"))
    facts = ProjectFacts(root)
    for kind in PAGES:
        for names in kind.list_names(facts):
            path = kind.path.format(**names)
            try:
                view = kind.gather(facts, PageRequest(names))
            except (NoSuchPage, TowpathError):  # it went while the site was written, or is damaged
                continue
            page = render_studio_page(kind, facts, view, PagePlace(path, is_static=True))
            changed += _write_changed(folder / path / "index.html", page)
    for asset in ASSETS.iterdir():
        changed += _write_changed(folder / "assets" / asset.name, asset.read_text(encoding="utf-8"))
    return changed


def _refuse_strangers(folder: Path) -> None:
    """UsageError for a folder that holds something else than such a site."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise UsageError(
            f"{folder} holds something else", hint="name a folder that is new or empty"
        )


def _write_changed(path: Path, text: str) -> bool:
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, text)
    return True
