"""Studio's pages: they say what is so, lead to each other, and nothing in them is obeyed."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import pytest

from running import Project
from towpath.errors import UsageError
from towpath.execution.run_record import Recorder, new_folder
from towpath.studio.static_site import build_site


class Page(HTMLParser):
    """What a browser would act upon in a page: its elements, links and handlers."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.acting: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src", "action"):
                self.addresses.append(value or "")
            if name.startswith("on") or name == "style":
                self.acting.append(f"{tag} {name}")

    def handle_data(self, data: str) -> None:
        self.words += f" {data}"

    @property
    def scripts(self) -> int:
        return self.tags.count("script")


OpenStudio = Callable[[Path], httpx.Client]


def visit_all(client: httpx.Client) -> dict[str, Page]:
    """Every page that a link leads to, from the first one on."""
    pages: dict[str, Page] = {}
    todo = ["/"]
    while todo:
        path = todo.pop()
        answer = client.get(path)
        assert answer.status_code == 200, path
        pages[path] = Page(answer.text)
        for address in pages[path].addresses:
            target = urljoin(f"http://here{path}", address)
            parts = urlsplit(target)
            assert parts.netloc == "here", target  # nothing from anywhere else
            known = parts.path in pages or parts.path in todo
            if (
                not known
                and not parts.path.startswith(("/assets/", "/actions/"))
                and (parts.path.endswith("/"))
            ):
                todo.append(parts.path)
    return pages


def test_every_page_is_reached_by_links_and_obeys_nothing(
    client: httpx.Client, shown: Project
) -> None:
    pages = visit_all(client)
    runs = shown.runs()
    for path in ("/pipelines/training/", "/models/mean/v1.0.0/", "/stages/dev/",
                 "/promotions/mean-v1.0.0-uat/", *(f"/runs/{run}/" for run in runs),
                 f"/runs/{runs[0]}/fit/"):  # fmt: skip
        assert path in pages, path
    for path, page in pages.items():
        assert page.scripts == 1, path  # our own
        assert page.acting == [], path
        assert "img" not in page.tags, path
        assert "Undefined" not in page.words, path


def test_the_first_page_says_what_runs_where_and_what_waits(client: httpx.Client) -> None:
    words = " ".join(Page(client.get("/").text).words.split())
    assert "Promote mean@v1.0.0 to uat by Ada Tester" in words
    assert "the last run of training failed: reject: error" in words
    card = r"dev what is tried mean @v1.0.0 is not deployed yet .*let in by Ada Tester recorded"
    assert re.search(card, words)
    assert "nothing yet" in words  # in uat and prod
    assert "mean@v1.0.0 was let into dev; it is not deployed yet" in words


def test_the_board_is_that_of_any_date(client: httpx.Client) -> None:
    past = Page(client.get("/?at=2000-01-01").text).words
    assert "What ran where at the end of 2000-01-01" in past
    today = " ".join(Page(client.get("/?at=2099-01-01").text).words.split())
    assert "mean @v1.0.0 was not deployed yet" in today
    assert "`soon` is no date: write 2026-03-01" in Page(client.get("/?at=soon").text).words
    stage = " ".join(Page(client.get("/stages/dev/?at=2099-01-01").text).words.split())
    assert "At the end of 2099-01-01 mean @v1.0.0" in stage


def test_a_stage_says_what_differs_there_and_draws_its_time(client: httpx.Client) -> None:
    end = time.monotonic() + 20  # it is looked at beside the pages
    while "deploy v1.0.0" not in (page := client.get("/stages/dev/").text):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert "towpath reconcile dev --check" in page
    assert 'class="time-bar c0 is-waiting"' in page
    assert "mean@v1.0.0 from " in page


def test_a_run_says_of_each_step_what_became_of_it_and_why(
    client: httpx.Client, shown: Project
) -> None:
    first, trial, failed = shown.runs()
    page = client.get(f"/runs/{trial}/fit/").text
    assert "`factor` 2 -&gt; 3" in page
    assert 'class="box shape-step state-done is-selected"' in page
    assert "state-reused" in page  # clean
    assert "towpath register" in page
    words = Page(client.get(f"/runs/{failed}/").text).words
    assert "is above 0.001" in words  # the step that failed is the one that is shown
    assert f"towpath run --retry {failed}" in words
    log = client.get(f"/runs/{first}/score/log.txt")
    assert log.headers["content-type"] == "text/plain; charset=utf-8"
    assert "<script>alert(1)</script>" in log.text


def test_runs_are_filtered_sorted_and_compared_by_their_address(
    client: httpx.Client, shown: Project
) -> None:
    first, trial, failed = shown.runs()
    assert named_runs(client, "/runs/?state=failed") == [failed]
    assert named_runs(client, "/runs/?q=factor") == [trial]
    assert named_runs(client, "/runs/?sort=factor")[-1] == trial
    assert named_runs(client, "/runs/?sort=-factor")[0] == trial
    page = client.get(f"/compare/runs/?run={first}&run={trial}").text
    differing, _, equal = page.partition('<details class="equal">')
    assert "factor" in differing
    assert "limit" not in differing  # equal rows are folded,
    assert re.search(r"[0-9]+ rows are equal in all of them", equal)  # and counted
    assert "<dt>limit</dt>" in equal
    assert "2 runs over factor," in page  # the parallel lines
    assert "fit: loss" in page  # both curves in one chart
    assert re.search(rf"{first[-4:]} loss <b>0.6667</b>.*{trial[-4:]} loss <b>1</b>", page)
    assert "fit: loss" in client.get(f"/runs/{first}/").text


def named_runs(client: httpx.Client, address: str) -> list[str]:
    return re.findall(r'name="run" value="([^"]+)"', client.get(address).text)


def test_a_promotion_shows_what_a_reviewer_asks_for(client: httpx.Client) -> None:
    page = client.get("/promotions/mean-v1.0.0-uat/").text
    words = " ".join(Page(page).words.split())
    assert re.search(
        r"passed near metric .*error at most 1000 towpath.yaml:\d+ at [0-9a-f]{7}", words
    )
    assert re.search(r'aria-label="[\d.]+, within at most 1[^"]*000"', page)  # the bound is drawn
    assert "<script>alert(1)</script>" in unescape(page)  # the proposer's reason, as text
    assert "level recorded" in words and "people whoever may merge" in words
    assert "added version: v1.0.0" in re.sub(r" [+-] ", " ", words)
    assert "towpath approve promote/mean-v1.0.0-uat" in words
    assert "as it is" not in words  # nothing is in its way
    merged = " ".join(Page(client.get("/promotions/mean-v1.0.0-dev/").text).words.split())
    assert "merged" in merged and "approved by Ada Tester" in merged
    assert "Approve and merge" not in merged
    assert "promotions/mean-v1.0.0-dev/" in client.get("/promotions/").text


def test_what_would_be_refused_is_said_before_it_is_asked(
    client: httpx.Client, shown: Project
) -> None:
    shown.git("checkout", "-q", "-b", "promote/mean-v1.0.0-odd", "promote/mean-v1.0.0-uat")
    try:
        (shown.root / "towpath.yaml").write_text("name: small\n")
        shown.git("commit", "-q", "-am", "Promote mean@v1.0.0 to all")
    finally:
        shown.git("checkout", "-q", "main")
    page = client.get("/promotions/mean-v1.0.0-odd/").text
    shown.git("branch", "-q", "-D", "promote/mean-v1.0.0-odd")
    assert "this promotion changes towpath.yaml, by which it is judged" in page
    assert "merge the change of the rules first" in page


def test_versions_are_searched_in_the_language_of_the_command(client: httpx.Client) -> None:
    found = client.get("/models/", params={"q": 'stage == "dev" and error < 1000'}).text
    assert "1 of 1 versions" in found
    wrong = Page(client.get("/models/", params={"q": "eror < 5"}).text).words
    assert "did you mean" in wrong
    hits = client.get("/search/", params={"q": "mean"}).text
    assert 'href="../models/mean/v1.0.0/"' in hits


@pytest.mark.parametrize(
    "path",
    ["/runs/nope/", "/models/nope/", "/models/mean/v9.9.9/", "/stages/nope/", "/pipelines/nope/",
     "/promotions/nope/", "/nope/", "/compare/runs/?run=nope", "/assets/nope.css"],
)  # fmt: skip
def test_what_is_not_there_is_said_on_a_page(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert path.startswith("/assets/") or "Not here" in answer.text
    assert ("that was rejected Git keeps nothing" in answer.text) == ("/promotions/" in path)


def test_a_run_that_goes_on_is_streamed_by_the_bytes_of_its_log(
    client: httpx.Client, shown: Project
) -> None:
    run = shown.runs()[0]
    size = (shown.workspace.runs / run / "events.jsonl").stat().st_size
    whole = client.get(f"/runs/{run}/events").text
    assert whole == f"id: {size}\ndata: {size}\n\nid: {size}\nevent: ended\ndata: {size}\n\n"
    # A browser that had all is told that it ended, and nothing twice.
    rest = client.get(f"/runs/{run}/events", headers={"last-event-id": str(size)}).text
    assert rest == f"id: {size}\nevent: ended\ndata: {size}\n\n"


def test_a_project_with_nothing_in_it_says_what_to_type(
    tmp_path: Path, open_studio: OpenStudio
) -> None:
    (tmp_path / "towpath.yaml").write_text("name: bare\n")
    client = open_studio(tmp_path)
    for path in ("/", "/pipelines/", "/runs/", "/models/", "/promotions/"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert "towpath " in Page(answer.text).words, path
    assert "there is no Git repository here" in client.get("/").text


def test_a_declaration_that_is_broken_leaves_the_pages_standing(
    tmp_path: Path, open_studio
) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "towpath.yaml").write_text("name: bare\nstages: [oh\n")
    pipeline = tmp_path / "flows" / "training" / "pipeline.yaml"
    pipeline.parent.mkdir(parents=True)
    pipeline.write_text("steps: {a: {run: b, inputs: [nope]}}\n")
    client = open_studio(tmp_path)
    assert "towpath.yaml:" in client.get("/").text
    assert "flows/training/pipeline.yaml:1" in client.get("/pipelines/training/").text


def test_a_long_run_and_a_long_log_are_shown_in_part(
    tmp_path: Path, open_studio: OpenStudio
) -> None:
    (tmp_path / "towpath.yaml").write_text("name: long\n")
    folder = new_folder(tmp_path / ".towpath" / "runs")
    record = Recorder(folder)
    steps = {f"step{number}": "processing" for number in range(1000)}
    record("started", run=folder.name, pipeline="gone", asked={}, params={}, inputs={},
           sources={}, tried=[], origin={}, steps=steps)  # fmt: skip
    for name in steps:
        record("step", step=name, state="done", seconds=1.0)
    record("finished", state="done", seconds=1.0, exit_code=0)
    record.close()
    (folder / "step0").mkdir()
    with (folder / "step0" / "log.txt").open("wb") as log:
        log.truncate(1 << 30)  # a gigabyte, of which the disk holds nothing
        log.seek(0, 2)
        log.write(b"\nthe end\n")
    client = open_studio(tmp_path)
    answer = client.get(f"/runs/{folder.name}/step0/")
    assert answer.headers["content-encoding"] == "gzip"
    with client.stream("GET", f"/runs/{folder.name}/step0/log.txt") as whole:
        assert "content-encoding" not in whole.headers  # others would wait while it is compressed
    page = answer.text
    assert len(page) < 1_500_000
    assert "the end of 1.1 GB" in page
    assert "the end\n" in page


def test_the_same_pages_as_files_lead_to_files_that_are_there(
    shown: Project, tmp_path: Path
) -> None:
    changes = build_site(shown.root, tmp_path / "site")
    assert changes.written > 20
    for path in (tmp_path / "site").rglob("*.html"):
        text = path.read_text()
        page = Page(text)
        assert "form" not in page.tags, path  # it is read only
        for address in page.addresses:
            parts = urlsplit(address)
            assert not parts.scheme and not parts.netloc, address
            if parts.path:
                assert (path.parent / unquote(parts.path)).is_file(), (path, address)
    again = build_site(shown.root, tmp_path / "site")
    assert (again.written, again.removed, again.kept) == (0, 0, changes.written)


def test_a_site_takes_the_place_of_nothing_else(shown: Project, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(b"\xff mine")
    with pytest.raises(UsageError, match="holds something else"):
        build_site(shown.root, tmp_path)
    assert (tmp_path / "index.html").read_bytes() == b"\xff mine"


def test_a_record_of_the_first_day_and_a_log_that_is_a_pipe(
    tmp_path: Path, open_studio: OpenStudio
) -> None:
    (tmp_path / "towpath.yaml").write_text("name: odd\n")
    folder = new_folder(tmp_path / ".towpath" / "runs")
    first_day = "0001-01-01T00:00:00+14:00"
    record = {"event": "started", "time": first_day, "run": folder.name, "pipeline": "p",
              "params": {}, "inputs": {}, "origin": {}, "steps": {"a": "processing"}}  # fmt: skip
    (folder / "events.jsonl").write_text(json.dumps(record) + "\n")
    (folder / "a").mkdir()
    os.mkfifo(folder / "a" / "log.txt")
    client = open_studio(tmp_path)
    for path in ("/", "/runs/", f"/runs/{folder.name}/", f"/runs/{folder.name}/a/"):
        assert client.get(path).status_code == 200, path
    assert "1 run" in client.get("/runs/?page=9999").text
