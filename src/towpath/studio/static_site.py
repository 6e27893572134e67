"""Studio as files: the same pages, read only, for a folder, a web server, or GitHub Pages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field

from towpath.control_characters import is_visible
from towpath.errors import TowpathError, UsageError
from towpath.scratch import replace_bytes
from towpath.studio.page_commands import name_page_command
from towpath.studio.page_index import PAGES
from towpath.studio.page_states import PageStates
from towpath.studio.page_templates import ASSETS, PagePlace, render_studio_page
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.pages.step_output import OutputPage
from towpath.studio.project_facts import ProjectFacts
from towpath.studio.site_outputs import OutputAddress

MARKER = ".towpath-site"
_HEAD = "A site of Towpath's: the files below are made anew, those that are no more are removed.\n"


class SiteChanges(Struct, frozen=True):
    """What a build did: how many files it wrote, removed, and left as they were."""

    written: int
    removed: int
    kept: int


class SiteFile(Struct, frozen=True):
    """What a file holds by its digest, and the digest of what that hangs on, "" where it is made
    anew each time."""

    digest: str
    state: str = ""


class SiteFolder(Struct):
    """A site's files as a build leaves them: ``before`` are the last build's."""

    folder: Path
    before: Mapping[str, SiteFile]
    files: dict[str, SiteFile] = field(default_factory=dict)
    written: int = 0

    def keep_file(self, path: str, state: str) -> bool:
        """Whether the file of the last build stays, as what it hangs on is as it was."""
        before = self.before.get(path)
        if not state or before is None or before.state != state:
            return False
        target = self.folder / path
        if not self._is_inside(target) or _digest_of_file(target) != before.digest:
            return False
        self.files[path] = before
        return True

    def write_file(self, path: str, content: bytes, state: str = "") -> None:
        """UsageError where a link in the folder would lead the file out of it."""
        digest, target = hashlib.sha256(content).hexdigest(), self.folder / path
        if not self._is_inside(target):
            raise UsageError(f"{target} lies elsewhere, by a link", hint="remove the link")
        before = self.before.get(path)
        self.files[path] = SiteFile(digest, state)
        if before and before.digest == digest and _digest_of_file(target) == digest:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(target, content)
        self.written += 1

    def remove_old_files(self) -> int:
        """Remove what the last build wrote, this one did not, and nobody changed since."""
        removed = 0
        for path, before in self.before.items():
            target = self.folder / path
            if path in self.files or not self._is_inside(target):
                continue
            if _digest_of_file(target) == before.digest:
                target.unlink()
                removed += 1
                with suppress(OSError):  # not empty
                    while (target := target.parent) != self.folder:
                        target.rmdir()
        return removed

    def _is_inside(self, target: Path) -> bool:
        """Whether no link leads out: the list of files may come with a repository."""
        home = self.folder.resolve()
        return target.parent.resolve().is_relative_to(home) and not target.is_symlink()


def build_site(root: Path, folder: Path, publishes_outputs: bool = False) -> SiteChanges:
    """Write every page of the project at ``root`` below ``folder``; those of what steps made where
    it ``publishes_outputs``.

    Raises UsageError where something else stands there.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        hint = "name a folder that is new or empty"
        raise UsageError(f"{folder} holds something else", hint=hint)
    site = SiteFolder(folder, dict(_read_list(folder / MARKER)))
    # Before the first page: what a build that is killed leaves is known as a site's.
    folder.mkdir(parents=True, exist_ok=True)
    _write_list(folder / MARKER, site.before)
    _write_pages(ProjectFacts(root, publishes_outputs=publishes_outputs), site)
    for asset in sorted(ASSETS.iterdir()):
        if asset.is_file():
            site.write_file(f"assets/{asset.name}", asset.read_bytes())
    removed = site.remove_old_files()
    _write_list(folder / MARKER, site.files)
    return SiteChanges(site.written, removed, len(site.files) - site.written)


def _write_pages(facts: ProjectFacts, site: SiteFolder) -> None:
    states = PageStates(facts)
    for kind in PAGES:
        for names in kind.list_names(facts):
            path, state = kind.path.format(**names), states.state_of(kind.path, names)
            # No name in a record that somebody else wrote leads elsewhere.
            if not _is_plain(path) or _keep_page(facts, site, path, names, state):
                continue
            try:
                request = PageRequest(names, is_static=True)
                view = kind.gather(facts, request)
            except (NoSuchPage, TowpathError):  # it went while the site was written, or is damaged
                continue
            command = name_page_command(kind, request, view)
            place = PagePlace(path, is_static=True, command=command)
            page = render_studio_page(kind, facts, view, place)
            site.write_file(f"{path}index.html", page.encode(), state)
            if isinstance(view, OutputPage) and view.site_copy.file:
                copy = view.site_copy
                site.write_file(f"{path}{copy.file}", copy.content, state)


def _keep_page(
    facts: ProjectFacts, site: SiteFolder, path: str, names: Mapping[str, str], state: str
) -> bool:
    """Whether a page stays, and the file of an output beside it."""
    file = facts.site_outputs.get(OutputAddress(**names)) if "output" in names else ""
    files = (f"{path}index.html", *((f"{path}{file}",) if file else ()))
    return all(site.keep_file(name, state) for name in files)


def _read_list(marker: Path) -> Iterator[tuple[str, SiteFile]]:
    """The files of the last build, by their paths."""
    with suppress(OSError):
        for line in marker.read_text("utf-8", "replace").splitlines():
            digest, _, rest = line.partition(" ")
            state, _, path = rest.partition(" ")
            if path and len(digest) == 64 and _is_plain(path):
                yield path, SiteFile(digest, state.strip("-"))


def _is_plain(path: str) -> bool:
    """Whether a path leads down alone, each part of it to a name."""
    parts = path.removesuffix("/").split("/")
    return path == "" or (all(parts) and not {".", ".."} & set(parts) and is_visible(path))


def _write_list(marker: Path, files: Mapping[str, SiteFile]) -> None:
    lines = (f"{file.digest} {file.state or '-'} {path}\n" for path, file in sorted(files.items()))
    replace_bytes(marker, "".join([_HEAD, *lines]).encode())


def _digest_of_file(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
