"""The pages as files: no link and no anchor of theirs is dead, below a path and in a folder."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import httpx
import pytest
from chromium import needs_chromium
from made_outputs import write_made_run
from playwright.sync_api import Browser

from running import Project
from towpath.errors import UsageError
from towpath.execution.run_record import Recorder, new_folder
from towpath.storage.verified_bytes import folder_manifest
from towpath.studio.static_site import MARKER, build_site
from towpath.workspace import Workspace


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
    build_site(shown.root, folder, publishes_outputs=True)
    return folder


@contextmanager
def serve_files(site: Path) -> Iterator[str]:
    """A plain web server two folders above the site; the site's address."""
    handler = partial(QuietServer, directory=str(site.parents[1]))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a/b/"
        server.shutdown()


@pytest.fixture
def below_a_path(site: Path) -> Iterator[str]:
    with serve_files(site) as address:
        yield address


def crawl(site: Path, home: str) -> dict[str, Links]:
    """Every page that the first leads to, by its address. None is dead, none leads out, and every
    file of the site that is a page is led to."""
    pages: dict[str, Links] = {}
    wanted, led = [home], set[tuple[str, str]]()
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
                if target.startswith("data:image/"):
                    continue
                whole, anchor = urldefrag(urljoin(address, target))
                assert whole.startswith(home), (address, target)
                led.add((whole, anchor))
                wanted.append(whole)
    dead = [pair for pair in led if pair[1] and pair[1] not in pages[pair[0]].anchors]
    assert dead == []
    assert not any({"form", "object"} & set(page.tags) for page in pages.values())
    reached = {unquote(urlsplit(address).path).removeprefix("/a/b/") for address in pages}
    files = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    assert files - {path or "index.html" for path in reached} == set()
    return pages


def test_no_link_is_dead_below_a_path(site: Path, below_a_path: str) -> None:
    pages = crawl(site, below_a_path)
    assert not any("iframe" in page.tags for page in pages.values())
    # What a step made has a page, and the file itself stands beside it.
    assert any(address.endswith("/rows/rows.json") for address in pages)


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


ELSEWHERE = "http://elsewhere.invalid"
_TRIES = """<script>document.title = parent.document.title = "taken"</script>
<img src="http://elsewhere.invalid/a.png" onerror="top.document.title = 'taken'">
<meta http-equiv="refresh" content="0; url=http://elsewhere.invalid/">
<style>b { color: rgb(1, 2, 3) }</style><link rel="stylesheet" href="../../../../assets/studio.css">
<form action="http://elsewhere.invalid/"></form><base href="http://elsewhere.invalid/"></iframe>
"'><b id=shown>a page</b><a href="../../../../index.html" target=_top>home</a>
"""
_DRAWING = b"""<svg xmlns="http://www.w3.org/2000/svg" width="30" height="30">
<script>document.title = "taken"</script><image href="http://elsewhere.invalid/b.png"/>
<rect width="30" height="30" onload="document.title = 'taken'"/></svg>
"""


def make_hostile(root: Path, elsewhere: str = ELSEWHERE) -> str:
    """A run whose step made what would like to act, and to ask ``elsewhere``; its name."""
    tries, drawing = (
        content.replace(ELSEWHERE.encode(), elsewhere.encode())
        for content in (_TRIES.encode(), _DRAWING)
    )
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").touch()
    objects = Workspace(root).store.objects
    digest = objects.add_manifest(folder_manifest({"b/<i>.svg": objects.add_bytes(drawing)}))
    files = {
        "report.html": tries, "chart.svg": drawing, "rows.csv": b"a,b\n1,<b>2\n",
        "odd.parquet": tries, "photo.png": tries, "x": tries,
        "keys.txt": b"https://ada:hunter22@example.org/", "large.csv": b"a\n" * (1 << 20),
    }  # fmt: skip
    return write_made_run(
        root, files, {"plots": {"digest": digest, "size": 9, "name": "plots", "files": 1},
                      "x.php": {"digest": objects.add_bytes(b"{}"), "size": 2, "name": "x.csv",
                                "files": None}},
    )  # fmt: skip


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A server that no page should ask: its address, and what it was asked."""
    asked: list[str] = []

    class Listener(QuietServer):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, elsewhere: tuple[str, list[str]]) -> Path:
    """The step's folder in a site."""
    root = tmp_path_factory.mktemp("hostile")
    run = make_hostile(root, elsewhere[0])
    build_site(root, root / "a" / "b", publishes_outputs=True)
    return root / "a" / "b" / "runs" / run / "draw"


def test_what_a_step_made_is_no_page_of_the_site(
    hostile: Path, elsewhere: tuple[str, list[str]]
) -> None:
    site = hostile.parents[2]
    with serve_files(site) as address:
        crawl(site, address)
    files = {str(path.relative_to(hostile)) for path in hostile.rglob("*") if path.is_file()}
    kept = sorted(name for name in files if not name.endswith("index.html"))
    assert kept == ["chart/chart.zip", "odd/odd.zip", "photo/photo.png", "report/report.zip",
                    "rows/rows.csv", "x.php/output.csv", "x/x.zip"]  # fmt: skip
    with zipfile.ZipFile(hostile / "report" / "report.zip") as packed:
        assert packed.read("report.html").decode() == _TRIES.replace(ELSEWHERE, elsewhere[0])
    listed = (hostile / "index.html").read_text()
    assert "not in these files" in listed and "large/index.html" not in listed
    assert "looks like a password" in (hostile / "keys" / "index.html").read_text()
    assert "hunter22" not in (hostile / "keys" / "index.html").read_text()
    before = {path: path.stat().st_mtime_ns for path in site.rglob("*")}
    changes = build_site(site.parents[1], site, publishes_outputs=True)
    assert (changes.written, changes.removed) == (0, 0)
    assert {
        path: path.stat().st_mtime_ns for path in site.rglob("*.html")
    }.items() <= before.items()


def test_what_a_step_made_is_published_where_it_is_asked_for(tmp_path: Path) -> None:
    run = make_hostile(tmp_path)
    build_site(tmp_path, tmp_path / "site", publishes_outputs=True)
    step = tmp_path / "site" / "runs" / run / "draw"
    assert (step / "rows" / "rows.csv").is_file()
    build_site(tmp_path, tmp_path / "site")  # and goes with the next build that is not asked
    assert [path.name for path in step.iterdir()] == ["index.html"]
    assert "not in these files" in (step / "index.html").read_text()


@needs_chromium
def test_what_a_step_made_does_nothing_in_a_browser(
    browser: Browser, hostile: Path, elsewhere: tuple[str, list[str]]
) -> None:
    page = browser.new_page()
    site = hostile.parents[2]
    with serve_files(site) as address:
        for home in (site.as_uri() + "/", address):
            step = f"{home}runs/{hostile.parent.name}/draw/"
            page.goto(f"{step}report/index.html")
            frame = page.frame_locator("iframe")
            assert frame.locator("b").evaluate("b => getComputedStyle(b).color") == "rgb(1, 2, 3)"
            frame.get_by_role("link").click()
            for name in ("chart", "plots"):
                page.goto(f"{step}{name}/index.html")
                assert page.locator("main img").evaluate("i => i.complete && i.naturalWidth") == 30
                assert "taken" not in page.title()
            page.goto(f"{step}photo/photo.png")
            assert page.locator("#shown").count() == 0
            page.goto(f"{step}report/index.html")
            page.wait_for_timeout(300)
            assert page.title().startswith("draw.report")
    # What is asked, not what the browser tells of: it tells of what its policy stops, too.
    assert elsewhere[1] == []
    page.goto(f"{elsewhere[0]}/by-hand")
    assert "/by-hand" in elsewhere[1]
    page.close()


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
