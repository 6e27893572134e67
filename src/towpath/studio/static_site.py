"""Studio as files: the same pages, read only, for a folder, a web server, or GitHub Pages."""

from __future__ import annotations

from pathlib import Path

from towpath.scratch import replace_text
from towpath.studio.page_index import PAGES
from towpath.studio.page_templates import PagePlace, render_studio_page
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.project_facts import ProjectFacts
from towpath.studio.studio_app import ASSETS


def build_site(root: Path, folder: Path) -> int:
    """Write every page of the project at ``root`` below ``folder``; how many files were changed."""
    changed = 0
    facts = ProjectFacts(root)
    for kind in PAGES:
        for names in kind.list_names(facts):
            path = kind.path.format(**names)
            try:
                view = kind.gather(facts, PageRequest(names))
            except NoSuchPage:  # it went while the site was written
                continue
            page = render_studio_page(kind, facts, view, PagePlace(path, is_static=True))
            changed += _write_changed(folder / path / "index.html", page)
    for asset in ASSETS.iterdir():
        changed += _write_changed(folder / "assets" / asset.name, asset.read_text(encoding="utf-8"))
    return changed


def _write_changed(path: Path, text: str) -> bool:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, text)
    return True
