"""Studio as a web application: a route for each page, and nothing of its own to remember."""

from __future__ import annotations

import asyncio
import functools
import gc
import hmac
import logging
import re
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from msgspec import Struct, structs
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from towpath.config.pipeline_file import PipelineFileMemory
from towpath.credentials import hide_credentials
from towpath.delivery.promotion.propose import PROMOTION_PREFIX
from towpath.errors import TowpathError, UsageError
from towpath.execution import run_folders
from towpath.studio.access_guard import ACTOR, FORM_TOKEN, AccessGuard, ActingPerson, Door
from towpath.studio.action_commands import ActionOutcome, carry_out_action, read_action
from towpath.studio.beside_answers import BesideAnswers
from towpath.studio.log_markup import read_log_growth
from towpath.studio.output_files import answer_output
from towpath.studio.page_commands import name_page_command
from towpath.studio.page_index import PAGES
from towpath.studio.page_templates import (
    ASSETS,
    PagePlace,
    asset_digest,
    compile_templates,
    render_missing,
    render_outcome,
    render_studio_page,
)
from towpath.studio.page_threads import PageThreads, PageTooSlow
from towpath.studio.pages.page_kind import NoSuchPage, PageKind, PageRequest
from towpath.studio.pages.run_columns import write_runs_csv
from towpath.studio.pages.run_comparison import select_runs
from towpath.studio.pages.run_facts import find_page_run
from towpath.studio.project_facts import ProjectFacts
from towpath.studio.registry_memory import RegistryMemory
from towpath.studio.run_stream import RunStreams

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope


_ACTION_LIMIT = 400.0  # seconds: a command ends itself before
_YEAR = "private, max-age=31536000, immutable"
# Pages and what belongs to them; a log of a gigabyte goes as it is, for all others would wait.
_COMPRESSED = (Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5),)


def guard_project(studio: StudioProject, door: Door) -> AccessGuard:
    """The application over a project, for whom ``door`` lets in."""
    routes = [
        Mount("/assets", AssetFiles(directory=str(ASSETS)), middleware=_COMPRESSED),
        Route("/runs/table.csv", studio.send_table, methods=["GET"], middleware=_COMPRESSED),
        Route("/runs/{run}/events", studio.stream_run, methods=["GET"]),
        Route("/runs/{run}/{step}/log.txt", studio.send_log),
        Route("/runs/{run}/{step}/log/more", studio.follow_log, middleware=_COMPRESSED),
        *(
            Route(
                f"/runs/{{run}}/{{step}}/{output}/{word}",
                functools.partial(studio.send_output, is_kept),
            )
            for output in ("{output}", "{output}/{member}")
            for word, is_kept in (("file", True), ("shown", False))
        ),
        Route("/actions/{action}", studio.act_on_form, methods=["POST"]),
        *(
            Route(
                f"/{kind.path}", functools.partial(studio.show_page, kind), middleware=_COMPRESSED
            )
            for kind in PAGES
        ),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            404: studio.answer_missing, PageTooSlow: answer_late, TowpathError: answer_refused
        },
    )  # fmt: skip
    app.router.redirect_slashes = False  # `answer_missing` adds them, to our own paths alone
    return AccessGuard(app, door)


class AssetFiles(StaticFiles):
    """The scripts and styles: kept for good under an address that names their digest."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        version = f"v={asset_digest(path)}".encode()
        is_named = response.status_code == 200 and scope["query_string"] == version
        response.headers["cache-control"] = _YEAR if is_named else "no-cache"
        return response


@dataclass(frozen=True)
class StudioProject:
    """The project that is shown; each request reads it anew."""

    root: Path
    threads: PageThreads = field(default_factory=PageThreads)
    action_threads: PageThreads = field(default_factory=lambda: PageThreads(niceness=0))
    beside: BesideAnswers = field(default_factory=BesideAnswers)
    memory: RegistryMemory = field(default_factory=RegistryMemory)
    pipeline_files: PipelineFileMemory = field(default_factory=PipelineFileMemory)
    streams: RunStreams = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "streams", RunStreams(self.threads))

    def _read_facts(self) -> ProjectFacts:
        return ProjectFacts(
            self.root, beside=self.beside, memory=self.memory, pipeline_files=self.pipeline_files
        )

    async def show_page(self, kind: PageKind, request: Request) -> Response:
        return await _answer_in_time(self.threads.compute(lambda: self._write_page(kind, request)))

    def warm_up(self) -> None:
        """Write the first page while the server begins, and read what others hang on, so that
        nobody waits for it."""
        # Whatever is wrong, the page itself says it.
        with suppress(Exception):
            facts, home = self._read_facts(), PAGES[0]
            render_studio_page(home, facts, home.gather(facts, PageRequest()), PagePlace(""))
            facts.read_summaries()
        # What is there by now stays as long as the server: a collector that looks at all of it in
        # the midst of a page takes 40 ms.
        gc.collect()
        gc.freeze()

    def read_ahead(self) -> Iterator[str]:
        """Read what first looks need, the templates and the pipelines' files, and name each."""
        yield from compile_templates()
        workspace = self._read_facts().workspace
        for name in workspace.pipelines:
            with suppress(TowpathError, OSError):  # its page says what is wrong
                workspace.pipeline(name)
            yield name

    def _write_page(self, kind: PageKind, request: Request) -> Response:
        facts, place = self._read_facts(), place_of_request(request)
        query = {name: tuple(request.query_params.getlist(name)) for name in request.query_params}
        try:
            page_request = PageRequest(dict(request.path_params), query)
            view = kind.gather(facts, page_request)
            place = replace(place, command=name_page_command(kind, page_request, view))
            return HTMLResponse(render_studio_page(kind, facts, view, place))
        except NoSuchPage as missing:
            is_unknown = facts.is_partial  # where a registry is away, nobody knows what is in it
            page = render_missing(facts, missing.what, place, is_unknown)
            return HTMLResponse(page, 503 if is_unknown else 404)
        except TowpathError as refused:  # what the page is about is there, and cannot be read
            words = str(refused.faults[0])
            return HTMLResponse(render_missing(facts, words, place, is_unknown=True), 503)
        except Exception as error:  # whatever a page stumbles over, the others stay
            return _answer_broken(facts, error, place)

    async def answer_missing(self, request: Request, _: Exception) -> Response:
        path = request.url.path
        if not path.endswith("/") and "." not in path.rpartition("/")[2]:
            # Its own path, never one that begins with two slashes: that would be another host.
            return RedirectResponse(f"/{path.strip('/')}/", 307)
        what, place = "There is no such page.", place_of_request(request)
        try:
            page = await self.threads.compute(
                lambda: render_missing(self._read_facts(), what, place)
            )
        except PageTooSlow as late:  # what answers one fault has no answer for another
            return await answer_late(request, late)
        return HTMLResponse(page, 404)

    async def stream_run(self, request: Request) -> Response:
        if request.method == "HEAD":  # a stream has no length to tell
            return Response(media_type="text/event-stream")
        if self.streams.is_full():
            return PlainTextResponse("too many pages follow runs\n", 503, {"retry-after": "10"})
        folder = await self.threads.compute(lambda: self._find_folder(request.path_params["run"]))
        if folder is None:
            return PlainTextResponse("no such run\n", 404)
        # A browser that lost the line says the first, a page that was hidden the second.
        last = request.headers.get("last-event-id", request.query_params.get("from", "0"))
        begin = int(last) if re.fullmatch(r"[0-9]{1,18}", last) else 0
        events = self.streams.stream_events(folder, begin)
        return StreamingResponse(events, media_type="text/event-stream")

    def _find_folder(self, name: str) -> Path | None:
        runs = self._read_facts().workspace.runs
        return runs / name if name in run_folders.list_run_names(runs) else None

    async def send_table(self, request: Request) -> Response:
        """The runs that an address names or asks for, as comma-separated values."""
        query = {name: tuple(request.query_params.getlist(name)) for name in request.query_params}
        page_request = PageRequest({}, query or {"all": ("1",)})
        return await self.threads.compute(lambda: self._write_table(page_request))

    def _write_table(self, request: PageRequest) -> Response:
        try:
            hits = select_runs(ProjectFacts(self.root), request, _DOWNLOAD)
        except NoSuchPage as missing:
            return PlainTextResponse(f"{missing.what}\n", 404)
        if hits.fault:
            return PlainTextResponse(f"{hits.fault}\n", 400)
        headers = {"content-disposition": 'attachment; filename="runs.csv"'}
        return PlainTextResponse(
            write_runs_csv(hits.runs), headers=headers, media_type="text/csv; charset=utf-8"
        )

    async def send_log(self, request: Request) -> Response:
        """A whole log, as plain text: what a step printed is never a page of ours."""
        names = request.path_params["run"], request.path_params["step"]
        path = await self.threads.compute(lambda: self._find_log(*names))
        if path is None:
            return PlainTextResponse("no such log\n", 404)
        return FileResponse(path, media_type="text/plain; charset=utf-8")

    async def follow_log(self, request: Request) -> Response:
        """What a log has grown by since `?from=BYTE&line=NUMBER`, for a page that follows it."""
        begin, line = (
            int(text) if re.fullmatch(r"[0-9]{1,15}", text) else 0
            for text in (request.query_params.get(name, "") for name in ("from", "line"))
        )
        names, runs = dict(request.path_params), ProjectFacts(self.root).workspace.runs
        growth = await self.threads.compute(lambda: read_log_growth(runs, names, begin, line))
        return JSONResponse(structs.asdict(growth)) if growth else JSONResponse({}, 404)

    async def send_output(self, is_download: bool, request: Request) -> Response:
        """What a step made: as a file to keep, or to be looked at, where it can do nothing."""
        names = dict(request.path_params)
        return await self.threads.compute(lambda: answer_output(self.root, names, is_download))

    def _find_log(self, run_name: str, step: str) -> Path | None:
        facts = self._read_facts()
        try:
            run = find_page_run(facts, run_name)
        except NoSuchPage:
            return None
        path = facts.workspace.runs / run.id / step / "log.txt"
        # A name of the run's own record, and a file: no link leads out of the folder.
        is_link = path.is_symlink() or path.parent.is_symlink()
        return path if step in run.steps and path.is_file() and not is_link else None

    async def act_on_form(self, request: Request) -> Response:
        """Carry out what a form asks for, as the command line would."""
        body = await request.body()
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        ours = request.scope[FORM_TOKEN].encode()
        if not hmac.compare_digest(form.pop("form_token", "").encode(), ours):
            return PlainTextResponse(
                "This form is of an earlier Studio: open the page again.\n", 403
            )
        return await _answer_in_time(
            self.action_threads.compute(lambda: self._carry_out(request, form), _ACTION_LIMIT)
        )

    def _carry_out(self, request: Request, form: dict[str, str]) -> Response:
        back, place = form.pop("back", ""), place_of_request(request)
        back = back if _PAGE_ADDRESS.fullmatch(back) else ""
        try:
            action = read_action(request.path_params["action"], form)
        except UsageError as wrong:
            outcome, words = ActionOutcome(2, wrong.faults[0].what), ""
        else:
            person: ActingPerson | None = request.scope[ACTOR]
            outcome, words = carry_out_action(self.root, action, person), action.words
            self.beside.note_action()
        if outcome.run:
            return RedirectResponse(f"/runs/{outcome.run}/", 303)
        # Who has answered wants to see the run go on, and what was said stands there.
        if outcome.code == 0 and request.path_params["action"] == "answer" and back:
            return RedirectResponse(f"/{back}", 303)
        view = ActionPage(outcome, words, back)
        page = render_outcome(self._read_facts(), view, place)
        return HTMLResponse(page, 200 if outcome.code == 0 else 409)


_DOWNLOAD = 15.0  # seconds in which the records of a table are read


def place_of_request(request: Request) -> PagePlace:
    person: ActingPerson | None = request.scope[ACTOR]
    return PagePlace(
        request.url.path.lstrip("/"),
        form_token=request.scope[FORM_TOKEN],
        actor=person.address if person else "",
    )


async def _answer_in_time(answer: Awaitable[Response]) -> Response:
    """The answer, or that the server ends before there is one."""
    try:
        return await answer
    except asyncio.CancelledError:
        return PlainTextResponse(_ENDING, 503)


async def answer_late(_: Request, __: Exception) -> Response:
    return PlainTextResponse(_TOO_SLOW, 503, {"retry-after": "10"})


async def answer_refused(_: Request, refused: Exception) -> Response:
    """What is no page, such as the log of a run whose record is damaged."""
    assert isinstance(refused, TowpathError)
    return PlainTextResponse(f"{refused.faults[0].what}\n", 503)


def _answer_broken(facts: ProjectFacts, error: Exception, place: PagePlace) -> Response:
    if isinstance(error, OSError) and error.filename:  # the project's folder went, a disk is away
        words = f"{error.filename} cannot be read: {error.strerror}"
    else:
        _LOG.exception("the page /%s failed", place.path)
        words = hide_credentials(f"This page failed: {type(error).__name__}: {error}")
    try:
        return HTMLResponse(render_missing(facts, words, place, is_unknown=True), 500)
    except Exception:  # what every page shows is what fails
        return PlainTextResponse(f"{words}\n", 500)


_LOG = logging.getLogger(__name__)
_TOO_SLOW = "This page took too long: something that it reads does not answer. Try again.\n"
_ENDING = "Studio has ended. What was begun goes on: `towpath status` tells what came of it.\n"
_PAGE_ADDRESS = re.compile(r"(?:[\w.@%+-]+/)*")
#: The branch of a promotion, as ``towpath promote`` and ``rollback`` say it.
_PROPOSED = re.compile(rf"^branch  {PROMOTION_PREFIX}([\w.-]+) ", re.MULTILINE)
#: The version, as ``towpath register`` says it.
_REGISTERED = re.compile(r"^registered ([a-z0-9-]+)@([\w.-]+) of run ", re.MULTILINE)


class ActionPage(Struct, frozen=True):
    """What was done: the command's words, how it ended, and where the person was."""

    outcome: ActionOutcome
    words: str
    back: str

    @property
    def onward(self) -> tuple[str, str] | None:
        """The address of what it made, and words for the way there."""
        if self.outcome.code:
            return None
        if proposed := _PROPOSED.search(self.outcome.text):
            return f"promotions/{proposed[1]}/", "On to the promotion"
        if registered := _REGISTERED.search(self.outcome.text):
            model, number = registered.groups()
            return f"models/{model}/{number}/", f"On to {model}@{number}"
        return None

    @property
    def back_words(self) -> str:
        """Where the link to where the person was leads."""
        section, _, name = self.back.strip("/").partition("/")
        places = {"promotions": "the promotion" if name else "the promotions", "runs": "the run"}
        places["stages"] = f"the stage {name}"
        return f"Back to {places[section]}" if section in places else "Back"
