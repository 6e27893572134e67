"""Studio as a web application: a route for each page, and nothing of its own to remember."""

from __future__ import annotations

import functools
import hmac
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from towpath.errors import TowpathError, UsageError
from towpath.execution import run_folders
from towpath.studio.access_guard import AccessGuard
from towpath.studio.action_commands import ActionOutcome, carry_out_action, read_action
from towpath.studio.page_index import PAGES
from towpath.studio.page_templates import (
    PagePlace,
    render_missing,
    render_outcome,
    render_studio_page,
)
from towpath.studio.pages.page_kind import NoSuchPage, PageKind, PageRequest
from towpath.studio.pages.run_comparison import select_runs
from towpath.studio.pages.run_page import find_page_run
from towpath.studio.project_facts import ProjectFacts
from towpath.studio.run_export import write_runs_csv
from towpath.studio.run_stream import stream_events

if TYPE_CHECKING:
    from starlette.requests import Request

ASSETS = resources.files("towpath.studio").joinpath("assets")


def make_app(root: Path, token: str) -> AccessGuard:
    """The application over the project at ``root``, opened by ``token``."""
    studio = StudioProject(root, hmac.new(token.encode(), b"form", "sha256").hexdigest())
    routes = [
        Mount("/assets", StaticFiles(directory=str(ASSETS))),
        Route("/runs/table.csv", studio.send_table),
        Route("/runs/{run}/events", studio.stream_run),
        Route("/runs/{run}/{step}/log.txt", studio.send_log),
        Route("/actions/{action}", studio.act_on_form, methods=["POST"]),
        *(Route(f"/{kind.path}", functools.partial(studio.show_page, kind)) for kind in PAGES),
    ]
    app = Starlette(routes=routes, exception_handlers={404: studio.answer_missing})
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.router.redirect_slashes = False  # `answer_missing` adds them, to our own paths alone
    return AccessGuard(app, token)


@dataclass(frozen=True)
class StudioProject:
    """The project that is shown; each request reads it anew. ``form_token`` stands in each form."""

    root: Path
    form_token: str

    async def show_page(self, kind: PageKind, request: Request) -> Response:
        return await run_in_threadpool(self._write_page, kind, request)

    def _write_page(self, kind: PageKind, request: Request) -> Response:
        facts, place = ProjectFacts(self.root), self._place_of(request)
        query = {name: tuple(request.query_params.getlist(name)) for name in request.query_params}
        try:
            view = kind.gather(facts, PageRequest(dict(request.path_params), query))
            return HTMLResponse(render_studio_page(kind, facts, view, place))
        except NoSuchPage as missing:
            return HTMLResponse(render_missing(facts, missing.what, place), 404)
        except TowpathError as refused:
            fault = refused.faults[0]
            words = f"{fault.place}: {fault.what}" if fault.place else fault.what
            return HTMLResponse(render_missing(facts, words, place), 500)

    def _place_of(self, request: Request) -> PagePlace:
        return PagePlace(request.url.path.lstrip("/"), form_token=self.form_token)

    async def answer_missing(self, request: Request, _: Exception) -> Response:
        path = request.url.path
        if not path.endswith("/") and "." not in path.rpartition("/")[2]:
            # Its own path, never one that begins with two slashes: that would be another host.
            return RedirectResponse(f"/{path.strip('/')}/", 307)
        what = "There is no such page."
        facts = ProjectFacts(self.root)
        return HTMLResponse(render_missing(facts, what, self._place_of(request)), 404)

    async def stream_run(self, request: Request) -> Response:
        folder = await run_in_threadpool(self._find_folder, request.path_params["run"])
        if folder is None:
            return PlainTextResponse("no such run\n", 404)
        last = request.headers.get("last-event-id", "0")
        begin = int(last) if re.fullmatch(r"[0-9]{1,18}", last) else 0
        return StreamingResponse(stream_events(folder, begin), media_type="text/event-stream")

    def _find_folder(self, name: str) -> Path | None:
        runs = ProjectFacts(self.root).workspace.runs
        return runs / name if name in run_folders.list_run_names(runs) else None

    async def send_table(self, request: Request) -> Response:
        """The runs that an address names or asks for, as comma-separated values."""
        query = {name: tuple(request.query_params.getlist(name)) for name in request.query_params}
        return await run_in_threadpool(self._write_table, PageRequest({}, query or {"all": ("1",)}))

    def _write_table(self, request: PageRequest) -> Response:
        try:
            found = select_runs(ProjectFacts(self.root), request, _DOWNLOAD)
        except NoSuchPage as missing:
            return PlainTextResponse(f"{missing.what}\n", 404)
        if found.fault:
            return PlainTextResponse(f"{found.fault}\n", 400)
        headers = {"content-disposition": 'attachment; filename="runs.csv"'}
        return PlainTextResponse(
            write_runs_csv(found.runs), headers=headers, media_type="text/csv; charset=utf-8"
        )

    async def send_log(self, request: Request) -> Response:
        """A whole log, as plain text: what a step printed is never a page of ours."""
        names = request.path_params["run"], request.path_params["step"]
        path = await run_in_threadpool(self._find_log, *names)
        if path is None:
            return PlainTextResponse("no such log\n", 404)
        return FileResponse(path, media_type="text/plain; charset=utf-8")

    def _find_log(self, run_name: str, step: str) -> Path | None:
        facts = ProjectFacts(self.root)
        try:
            run = find_page_run(facts, run_name)
        except NoSuchPage:
            return None
        path = facts.workspace.runs / run.id / step / "log.txt"
        # A name of the run's own record, and a file: no link leads out of the folder.
        return path if step in run.steps and path.is_file() and not path.is_symlink() else None

    async def act_on_form(self, request: Request) -> Response:
        """Carry out what a form asks for, as the command line would."""
        body = await request.body()
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        if not hmac.compare_digest(form.pop("form_token", "").encode(), self.form_token.encode()):
            return PlainTextResponse(
                "This form is of an earlier Studio: open the page again.\n", 403
            )
        return await run_in_threadpool(self._carry_out, request, form)

    def _carry_out(self, request: Request, form: dict[str, str]) -> Response:
        back, place = form.pop("back", ""), self._place_of(request)
        back = back if _PAGE_ADDRESS.fullmatch(back) else ""
        try:
            action = read_action(request.path_params["action"], form)
        except UsageError as wrong:
            outcome, words = ActionOutcome(2, wrong.faults[0].what), ""
        else:
            outcome, words = carry_out_action(self.root, action), action.words
        if outcome.run:
            return RedirectResponse(f"/runs/{outcome.run}/", 303)
        view = ActionPage(outcome, words, back)
        page = render_outcome(ProjectFacts(self.root), view, place)
        return HTMLResponse(page, 200 if outcome.code == 0 else 409)


_DOWNLOAD = 60.0  # seconds in which the records of a table are read
_PAGE_ADDRESS = re.compile(r"(?:[\w.@%+-]+/)*")


@dataclass(frozen=True)
class ActionPage:
    """What was done: the command's words, how it ended, and where the person was."""

    outcome: ActionOutcome
    words: str
    back: str
