"""Studio: its pages beside the command line, the first page in a browser, memory, ten readers."""

from __future__ import annotations

import asyncio
import gzip
import multiprocessing
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
from msgspec import Struct

from benchmarks import projects, promotions, registry
from benchmarks.measure import Cost, Row, cost, environment, interleaved, median
from towpath.drawing.picture import picture_graph
from towpath.drawing.picture_file import write_picture
from towpath.execution.run_record import Recorder, new_folder
from towpath.planning.pipeline_check import drawable_graph
from towpath.studio.access_guard import TokenDoor
from towpath.studio.beside_answers import BesideAnswers, HeardAnswer
from towpath.studio.page_templates import ASSETS
from towpath.studio.static_site import build_site
from towpath.studio.studio_app import StudioProject, guard_project
from towpath.workspace import Workspace

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
        yield from first_looks(Path(scratch))
        some = registry.make(Path(scratch) / "some", models=10, each=100)
        make_runs(some, 50, made=make_outputs(some))
        yield from site(some, Path(scratch) / "site")
        with served(some) as (address, process):
            yield from first_page(address)
            yield memory(address, process)
            yield readers(address, process)


def make_runs(
    project: Path,
    count: int,
    steps: Mapping[str, str] | None = None,
    ends: bool = True,
    packages: int = 0,
    made: Mapping[str, object] | None = None,
) -> str:
    """Records of runs of six steps, or of those, whose results hang on so many packages; the name
    of the last. Without an end their process is gone."""
    policy = project / "towpath.yaml"
    if "stages:" not in policy.read_text():
        stages = "".join(f"  {stage}: {{}}\n" for stage in registry.STAGES)
        policy.write_text(f"{policy.read_text()}stages:\n{stages}")
    steps = steps or {f"step_{n}": "processing" for n in range(6)}
    hung_on = {f"package of-many-{n}": "1.10.0" for n in range(packages)}
    events: dict[str, object] = {"made": made} if made else {}
    events |= {"ingredients": hung_on, "key": "a" * 64} if packages else {}
    origin = {"host": os.uname().nodename, "pid": (1 << 31) - 1}
    for number in range(count):
        folder = new_folder(project / ".towpath" / "runs")
        record = Recorder(folder)
        record("started", run=folder.name, pipeline="training", asked={}, inputs={}, sources={},
               params={"rate": number / 100, "depth": number % 7}, tried=["rate"], origin=origin,
               steps=steps)  # fmt: skip
        for step in steps:
            record("step", step=step, state="done", seconds=1.0, **events)
        if ends:
            record("finished", state="done", seconds=6.0, exit_code=0)
        record.close()
    return folder.name


def make_outputs(project: Path) -> dict[str, object]:
    """What each step of each run makes: a table, a page and a picture, which are in the store."""
    (project / ".dvc").mkdir(exist_ok=True)
    (project / ".dvc" / "config").touch()
    objects, outputs = Workspace(project).store.objects, {}
    for name, content in {
        "rows.csv": b"a,b,c\n" + b"1.5,2.5,some words\n" * 8000,
        "report.html": b"<p>a line of a page</p>\n" * 1000,
        "chart.svg": b'<svg xmlns="http://www.w3.org/2000/svg">' + b"<g/>" * 5000 + b"</svg>",
    }.items():
        file = {"digest": objects.add_bytes(content), "size": len(content), "name": name}
        outputs[name.partition(".")[0]] = {**file, "files": None}
    return {"outputs": outputs, "values": {}, "facts": {}}


def pages(project: Path, run: str) -> Iterator[Row]:
    """Each page beside its command, in turn; the first of them warms what a server keeps."""
    app, client = guard_project(StudioProject(project), TokenDoor(TOKEN)), PageClient()
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


def first_looks(scratch: Path) -> Iterator[Row]:
    """What a page takes that nobody has asked for before, in a server that has begun: its templates
    are compiled and the pipelines read, no record is. Each is of the largest size that is
    promised; by CPU."""
    large, wide = (_make_graph_run(scratch / name, name) for name in ("chained", "layered"))
    compared = scratch / "compared"
    compared.mkdir()
    (compared / "towpath.yaml").write_text("name: compared\n")
    make_runs(compared, 500, packages=40)  # 9 kB a record, much as the demo's
    killed = scratch / "killed"
    killed.mkdir()
    (killed / "towpath.yaml").write_text("name: killed\n")
    make_runs(killed, 1000, ends=False)
    declared = projects.six_steps(scratch / "declared")
    for number in range(499):
        shutil.copytree(declared / "flows" / "training", declared / "flows" / f"p{number}")
    names = ",".join(path.name for path in (compared / ".towpath" / "runs").iterdir())
    yield _first_look("a run of 1,000 steps in a row", scratch / "chained", f"runs/{large}/")
    yield _first_look("a run of 1,000 steps in 50 layers", scratch / "layered", f"runs/{wide}/")
    yield _first_look("500 runs side by side", compared, f"compare/runs/?run={names}")
    yield _first_look("runs, 1,000 of them killed", killed, "runs/?sort=id")
    yield _first_look("500 pipelines", declared, "pipelines/")


def _first_look(name: str, project: Path, path: str) -> Row:
    """In a process of its own, in which the server has begun as it does for a person."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        work = (project, path)
        taken = [pool.apply(_look_once, work) for _ in range(RUNS)]
    return Row(f"first look: {name}", statistics.median(taken), 0.3, "s", "CPU")


def _look_once(project: Path, path: str) -> float:
    studio = StudioProject(project)
    studio.warm_up()
    deque(studio.read_ahead(), 0)
    return PageClient().take(guard_project(studio, TokenDoor(TOKEN)), path).cpu


def _make_graph_run(project: Path, shape: str, count: int = 1000) -> str:
    """A run of a pipeline whose steps stand in a row, or in layers of twenty with lines between
    them, so that nothing of it can be folded; its name."""
    flow = project / "flows" / "training"
    flow.mkdir(parents=True)
    (project / "towpath.yaml").write_text("name: large\n")
    dice = random.Random(1)
    steps = ["  s0: {run: begin, outputs: [value.txt]}\n"]
    for number in range(1, count):
        above = [number - 1]
        if shape == "layered":
            begin = max(0, number // 20 - 1) * 20
            count_above = dice.choice((1, 1, 2))
            above = sorted({begin + dice.randrange(20 if begin else 1) for _ in range(count_above)})
        inputs = ", ".join(f"a{place}: s{start}.value" for place, start in enumerate(above))
        steps.append(f"  s{number}: {{run: go, inputs: {{{inputs}}}, outputs: [value.txt]}}\n")
    (flow / "pipeline.yaml").write_text("steps:\n" + "".join(steps))
    name = make_runs(project, 1, {f"s{number}": "processing" for number in range(count)})
    graph = drawable_graph(Workspace(project), "training")
    write_picture(project / ".towpath" / "runs" / name, picture_graph(graph, nested=True))
    return name


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


class PageClient(Struct, frozen=True):
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
    """The site of 1,000 versions and 50 runs, with as many pages of outputs as a site has, and once
    more with nothing changed."""
    for name, bound in (("a site of 1,000 versions", 60), ("the same again", 5)):
        began = time.perf_counter()
        changes = build_site(project, folder, publishes_outputs=True)
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
