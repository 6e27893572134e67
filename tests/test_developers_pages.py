"""The pages for who works on Towpath are held against the tree that they speak of."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "towpath"
ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")
GLOSSARY = (DOCS / "glossary.md").read_text(encoding="utf-8")
DECISIONS = sorted(path for path in (DOCS / "decisions").glob("*.md") if path.name != "README.md")
PARTS = ["The problem.", "Chosen.", "Measured.", "It costs.", "Undo it when"]
OF_DEVELOPERS = {"architecture.md", "glossary.md", "modules.md"}
PARTED = ("backends", "delivery")  # whose rooms are below them


def rows(page: str, title: str = "") -> list[list[str]]:
    """The cells of a page's tables, below a title where one is given; heads left out."""
    part = page.partition(title)[2].split("\n#", 1)[0] if title else page
    lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")]
    return [cells for cells in lines if not cells[0].startswith("-")][1:]


def is_room(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def test_each_room_of_the_pages_is_there_and_each_that_is_there_is_named() -> None:
    rooms = [cells[0].strip("`") for cells in rows(ARCHITECTURE, "## The rooms")]
    named = set(rooms) | {
        room for cells in rows(GLOSSARY) for room in re.findall(r"`([a-z_/]+)`", cells[-1])
    }
    assert not [room for room in named if not is_room(room)]
    drawn = ARCHITECTURE.partition("```text")[2].partition("```")[0]
    folders = [path for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()]
    for parent in PARTED:
        folders += [path for path in (PACKAGE / parent).iterdir() if path.is_dir()]
    for folder in folders:
        words = folder.relative_to(PACKAGE).parts
        assert all(word in drawn or word == "__pycache__" for word in words), folder


def test_each_table_that_takes_a_new_row_is_there() -> None:
    for cells in rows(ARCHITECTURE, "## Where a new one goes"):
        sources = "".join(
            path.read_text(encoding="utf-8")
            for room in re.findall(r"`([a-z_]+(?:/[a-z_]+)*)/", cells[1])
            for path in (PACKAGE / room).rglob("*.py")
        )
        for name in re.findall(r"`([A-Z_]{4,})`", cells[2]):
            assert re.search(rf"^{name}\b.*=", sources, re.MULTILINE), (cells[0], name)
        for place in re.findall(r"`(tests/[\w/.]+|docs/[\w/.]+)`", cells[3]):
            assert (ROOT / place).exists(), (cells[0], place)


def test_the_map_names_every_page_and_only_files_that_are_there() -> None:
    where = ARCHITECTURE.partition("## Which page is built where")[2].partition("\n## ")[0]
    pages = {page.name for page in DOCS.glob("*.md")} - OF_DEVELOPERS
    assert not [page for page in pages if f"]({page}" not in where]
    folders = (PACKAGE, ROOT / "templates")
    stems = {path.stem for folder in folders for path in folder.rglob("*.py")}
    # A name without a line in it may be a word of a declaration, `each` for one.
    named = re.findall(r"`([a-z]+(?:_[a-z]+)+)`", where)
    assert [name for name in named if name not in stems] == []


def test_the_page_of_the_modules_is_as_their_docstrings_are() -> None:
    page = runpy.run_path(str(ROOT / ".ci" / "modules"))["write_page"]()
    assert (DOCS / "modules.md").read_text(encoding="utf-8") == page, "`make modules` writes it"


def test_the_glossary_is_in_order() -> None:
    words = [cells[0].strip("*") for cells in rows(GLOSSARY)]
    assert words == sorted(words)
    assert len(words) >= 40


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_parts_and_is_in_the_index(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    places = [text.find(f"**{part}") for part in PARTS]
    assert -1 not in places, page.name
    assert places == sorted(places)
    index = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    title = text.partition("\n")[0].removeprefix("# ")
    assert f"[{title}]({page.name})" in index


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_a_page_s_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)", text):
        file = page.parent / target if target else page
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {anchor_of(title) for title in titles}, f"{target}#{anchor}"


def anchor_of(title: str) -> str:
    """A title's anchor, as the forge makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
