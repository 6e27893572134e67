"""Studio: its pages beside the command line, the first page in a browser, memory, ten readers."""

from __future__ import annotations

import asyncio
import gzip
import multiprocessing
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from benchmarks import promotions, registry
from benchmarks.measure import Cost, Row, cost, environment, interleaved, median
from towpath.execution.run_record import Recorder, new_folder
from towpath.studio.access_guard import TokenDoor
from towpath.studio.asset_files import ASSETS
from towpath.studio.beside_answers import BesideAnswers, HeardAnswer
from towpath.studio.static_site import build_site
from towpath.studio.studio_app import StudioProject, guard_project, make_app

TOWPATH = str(Path(sys.executable).parent / "towpath")
TOKEN = "of-this-benchmark"
HOST = "http://127.0.0.1:1"
RUNS = 5
READERS = 10
#: Each page, and the command that reads the same facts: a page may take 1.3 of its time.
PAGES = {
    "models/": ("models",),
    "models/?q=metrics.mse < 4.5": ("search", "metrics.mse < 4.5"),
    "models/model-0/": ("models", "model-0"),
    "models/model-0/v1.7.0/": ("lineage", "model-0@v1.7.0"),
    "stages/prod/": ("history", "model-0", "--stage", "prod"),
    "": ("models",),
    "runs/": ("runs", "--metrics", "-n", "1000"),
    "runs/{run}/": ("logs", "{run}"),
}
#: What is asked of a server that has just begun, and of one whose registry has changed.
COLD_PAGES = (
    "", "stages/prod/", "promotions/", "models/", "models/?q=metrics.mse < 4.5&sort=-mse",
    "models/model-0/v1.190.0/", "search/?q=model-7",
)  # fmt: skip


def rows() -> Iterator[Row]:
    """Pages of 10,000 versions and 1,000 runs by CPU; the rest on a thousand versions."""
    with tempfile.TemporaryDirectory() as scratch:
        yield from cold_pages(promotions.make(Path(scratch) / "promoted"))
        many = registry.make(Path(scratch) / "many", models=50, each=200)
        name = make_runs(many, 1000)
        yield from pages(many, name)
        some = registry.make(Path(scratch) / "some", models=10, each=100)
        make_runs(some, 50)
        yield from site(some, Path(scratch) / "site")
        with served(some) as (address, process):
            yield from first_page(address)
            yield memory(address, process)
            yield readers(address, process)


def make_runs(project: Path, count: int) -> str:
    """Records of ended runs of six steps; the name of the last."""
    policy = project / "towpath.yaml"
    if "stages:" not in policy.read_text():
        stages = "".join(f"  {stage}: {{}}\n" for stage in registry.STAGES)
        policy.write_text(f"{policy.read_text()}stages:\n{stages}")
    steps = {f"step_{n}": "processing" for n in range(6)}
    for number in range(count):
        folder = new_folder(project / ".towpath" / "runs")
        record = Recorder(folder)
        record("started", run=folder.name, pipeline="training", asked={}, inputs={}, sources={},
               params={"rate": number / 100, "depth": number % 7}, tried=["rate"], origin={},
               steps=steps)  # fmt: skip
        for step in steps:
            record("step", step=step, state="done", seconds=1.0)
        record("finished", state="done", seconds=6.0, exit_code=0)
        record.close()
    return folder.name


def pages(project: Path, run: str) -> Iterator[Row]:
    """Each page beside its command, in turn; the first of them warms what a server keeps."""
    app, client = make_app(project, TOKEN), PageClient()
    for path, words in PAGES.items():
        address, name = path.format(run=run), path.format(run="a run") or "home"
        command = [TOWPATH, *(word.format(run=run) for word in words)]
        client.take(app, address)
        by_page, by_command = interleaved(
            RUNS,
            partial(_take_page, client, app, address),
            partial(_take_command, command, project),
        )
        server, line = median(by_page, "cpu"), median(by_command, "cpu")
        note = f"CPU; {server * 1000:.0f} ms, `towpath {words[0]}` {line * 1000:.0f} ms"
        yield Row(f"page {name}", server / line, 1.3, f"x towpath {words[0]}", note)


def _take_page(client: PageClient, app: Callable[..., object], address: str, _: int) -> Cost:
    return client.take(app, address)


def _take_command(command: list[str], project: Path, _: int) -> Cost:
    return cost(command, project)


class NoAnswers(BesideAnswers):
    """Nothing is looked at beside a page: that is no page's time."""

    def ask(self, *_: object, **__: object) -> HeardAnswer:
        return HeardAnswer()


def cold_pages(project: Path) -> Iterator[Row]:
    """The first time that a page is asked for, of 10,000 versions and 500 promotions: of a server
    that has begun, and after a promotion was merged."""
    git = partial(subprocess.run, cwd=project, check=True, capture_output=True, text=True)
    after, before = git(["git", "rev-parse", "main", "main~1"]).stdout.split()
    client = PageClient()
    for path in COLD_PAGES:
        begun, changed = [], []
        for _ in range(3):
            git(["git", "update-ref", "refs/heads/main", before])
            time.sleep(0.2)
            studio = StudioProject(project, beside=NoAnswers())
            app = guard_project(studio, TokenDoor(TOKEN))
            studio.warm_up()
            begun.append(client.take(app, path))
            git(["git", "update-ref", "refs/heads/main", after])
            time.sleep(0.2)
            changed.append(client.take(app, path))
        for name, costs in (("the first", begun), ("after a promotion, the first", changed)):
            note = "CPU; 10,000 versions, 500 promotions"
            yield Row(f"{name} page {path or 'home'}", median(costs, "cpu"), 0.3, "s", note)


@dataclass(frozen=True)
class PageClient:
    """Asks the application itself: what is counted is the server's, with its calls of Git."""

    def take(self, app: Callable[..., object], path: str) -> Cost:
        return asyncio.run(self._take(app, path))

    async def _take(self, app: Callable[..., object], path: str) -> Cost:
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        cookies = {"towpath_studio_1": TOKEN}
        began, before = time.perf_counter(), _cpu_spent()
        async with httpx.AsyncClient(transport=transport, base_url=HOST, cookies=cookies) as client:
            answer = await client.get(f"/{path}")
        assert answer.status_code == 200, (path, answer.status_code)
        return Cost(time.perf_counter() - began, _cpu_spent() - before)


def _cpu_spent() -> float:
    spent = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def site(project: Path, folder: Path) -> Iterator[Row]:
    """The site of 1,000 versions and 50 runs, and once more with nothing changed."""
    for name, bound in (("a site of 1,000 versions", 60), ("the same again", 5)):
        began = time.perf_counter()
        changes = build_site(project, folder)
        taken = time.perf_counter() - began
        yield Row(name, taken, bound, "s", f"wall; {changes.written} files written")


@contextmanager
def served(project: Path) -> Iterator[tuple[str, int]]:
    process = subprocess.Popen(
        [TOWPATH, "studio", "--no-open"], cwd=project, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.terminate()
        process.wait()


def first_page(address: str) -> Iterator[Row]:
    """What the first page brings with all that it needs, and when a browser has painted it."""
    with httpx.Client(follow_redirects=True) as client:
        page = len(gzip.compress(client.get(address).content))
    assets = sum(len(gzip.compress(file.read_bytes())) for file in ASSETS.iterdir())
    yield Row("the first page, compressed", (page + assets) / 1000, 60, "kB", "all it needs")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        painted = []
        for _ in range(RUNS):
            page_shown = browser.new_context().new_page()
            page_shown.goto(address)
            painted.append(page_shown.evaluate(_PAINTED) / 1000)
        browser.close()
    note = "wall; first contentful paint in Chromium, nothing kept from before"
    yield Row("the same, painted", statistics.median(painted), 0.4, "s", note)


_PAINTED = """() => new Promise((tell) => new PerformanceObserver((list) => {
  const [paint] = list.getEntriesByName("first-contentful-paint");
  if (paint) tell(paint.startTime);
}).observe({ type: "paint", buffered: true }))"""


def memory(address: str, process: int) -> Row:
    """Of the server after 1,100 requests beside that after 100."""
    paths = ("", "runs/", "models/", "models/model-0/", "models/model-0/v1.7.0/", "stages/prod/")
    home = address.partition("?")[0]
    with httpx.Client() as client:
        client.get(address)
        for number in range(1100):
            if number == 100:
                before = _resident(process)
            client.get(f"{home}{paths[number % len(paths)]}")
    after = _resident(process)
    note = f"{after:.0f} MB, {before:.0f} after 100"
    return Row("memory after 1,100 requests", after / before, 1.1, "x after 100", note)


def _resident(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+)", status)
    return int(kilobytes) / 1000


def readers(address: str, process: int) -> Row:
    """What the server takes of all cores while they work, and ten people turn a page every two
    seconds: by so much the work is slower. Counted by CPU, as the wall of a shared machine varies
    by more."""
    shares = []
    for _ in range(RUNS):
        with _ten_readers(address):
            before = _cpu_of_process(process)
            wall = _work_on_all_cores()
            spent = _cpu_of_process(process) - before
        shares.append(100 * spent / (wall * (os.cpu_count() or 1)))
    note = "CPU of the server and of its calls of Git, of all cores"
    return Row("ten readers beside a pipeline", statistics.median(shares), 5, "%", note)


def _cpu_of_process(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _work_on_all_cores() -> float:
    context = multiprocessing.get_context("fork")
    began = time.perf_counter()
    workers = [context.Process(target=_count_up) for _ in range(os.cpu_count() or 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began


def _count_up() -> None:
    sum(range(100_000_000))


@contextmanager
def _ten_readers(address: str) -> Iterator[None]:
    is_over = threading.Event()
    home = address.partition("?")[0]
    paths = ("", "runs/", "models/", "models/model-0/", "stages/prod/")

    def read_pages(number: int) -> None:
        with httpx.Client(timeout=60) as client:
            client.get(address)
            is_over.wait(number / 5)  # not all at once
            turn = number
            while not is_over.wait(2):
                client.get(f"{home}{paths[turn % len(paths)]}")
                turn += 1

    threads = [threading.Thread(target=partial(read_pages, n)) for n in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
