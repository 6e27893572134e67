"""The pages as files: no link and no anchor of theirs is dead, below a path and in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import httpx
import pytest
from chromium import browser, needs_chromium
from playwright.sync_api import Browser

from running import Project
from towpath.errors import UsageError
from towpath.execution.run_record import Recorder, new_folder
from towpath.studio.static_site import MARKER, build_site

__all__ = ["browser"]


class Links(HTMLParser):
    """Where a page leads, and what in it can be led to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src", "xlink:href", "action", "formaction", "srcset", "data"):
                self.targets.append(value or "")
            if name in ("id", "name"):
                self.anchors.append(value or "")


class QuietServer(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def site(shown: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "a" / "b"
    folder.parent.mkdir()
    build_site(shown.root, folder)
    return folder


@pytest.fixture
def below_a_path(site: Path) -> Iterator[str]:
    handler = partial(QuietServer, directory=str(site.parents[1]))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a/b/"
        server.shutdown()


def test_no_link_is_dead_below_a_path(site: Path, below_a_path: str) -> None:
    pages: dict[str, Links] = {}
    wanted, led = [below_a_path], set[tuple[str, str]]()
    with httpx.Client() as client:
        while wanted:
            address = wanted.pop()
            if address in pages:
                continue
            answer = client.get(address)
            assert answer.status_code == 200, address
            is_page = "html" in answer.headers["content-type"]
            pages[address] = Links(answer.text if is_page else "")
            for target in pages[address].targets:
                whole, anchor = urldefrag(urljoin(address, target))
                assert whole.startswith(below_a_path), (address, target)
                led.add((whole, anchor))
                wanted.append(whole)
    dead = [pair for pair in led if pair[1] and pair[1] not in pages[pair[0]].anchors]
    assert dead == []
    assert not any({"form", "iframe", "object"} & set(page.tags) for page in pages.values())
    # And every page is led to.
    reached = {unquote(urlsplit(address).path).removeprefix("/a/b/") for address in pages}
    files = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    assert files - {path or "index.html" for path in reached} == set()


@needs_chromium
def test_a_browser_opens_it_from_a_folder_and_asks_nobody(
    browser: Browser, site: Path, below_a_path: str
) -> None:
    requests: list[str] = []
    complaints: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda line: complaints.append(line.text))
    for begin in (site.as_uri() + "/index.html", below_a_path):
        page.goto(begin)
        page.get_by_role("link", name="Models", exact=True).click()
        page.get_by_role("link", name="mean", exact=True).click()
        page.locator("main").get_by_role("link", name="v1.0.0", exact=True).first.click()
        page.wait_for_load_state()  # its style may come after it
        assert page.evaluate("getComputedStyle(document.body).fontFamily").startswith("ui-")
        # The script came, too: it says times in the reader's zone.
        assert page.locator("time[data-form=date]").first.inner_text()[:4] != "2026"
    page.close()
    assert complaints == []
    home = (site.as_uri(), below_a_path)
    assert [url for url in requests if not url.startswith(home)] == []


def test_a_second_build_takes_its_own_old_files_away_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "towpath.yaml").write_text("name: small\n")
    names = []
    for step in ("a", "../../out"):  # a name that somebody wrote into a record
        folder = new_folder(tmp_path / ".towpath" / "runs")
        record = Recorder(folder)
        record("started", run=folder.name, pipeline="p", asked={}, params={}, inputs={},
               sources={}, tried=[], origin={}, steps={step: "processing"})  # fmt: skip
        record("finished", state="done", seconds=1.0, exit_code=0)
        record.close()
        names.append(folder.name)
    site = tmp_path / "site"
    build_site(tmp_path, site)
    first = site / "runs" / names[0]
    assert (first / "a" / "index.html").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"towpath.yaml", ".towpath", "site"}
    mine = site / "runs" / "mine.txt"
    mine.write_text("mine")
    (first / "a" / "index.html").write_text("changed by hand")
    outside = tmp_path / "outside.html"
    outside.write_text("elsewhere")
    with (site / MARKER).open("a") as marker:  # a list that came with somebody's branch
        marker.write(f"{'0' * 64} - ../outside.html\n{'0' * 64} - /etc/hostname\n")
    shutil.rmtree(tmp_path / ".towpath" / "runs" / names[0])
    changes = build_site(tmp_path, site)
    assert changes.removed == 1
    assert not (first / "index.html").exists()
    assert (first / "a" / "index.html").read_text() == "changed by hand"
    assert mine.read_text() == "mine"
    assert outside.read_text() == "elsewhere"
    shutil.rmtree(site / "models")
    (site / "models").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="by a link"):
        build_site(tmp_path, site)
