"""`towpath studio`: the project as pages, served on this machine or written as files."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, WholeNumber, pass_session
from towpath.errors import UsageError

if TYPE_CHECKING:
    from towpath.studio.studio_server import ServerAddress


@click.group(invoke_without_command=True)
@click.option(
    "--port",
    type=WholeNumber(0, 65535, example="8080"),
    default=0,
    help="Default: any that is free.",
)
@click.option("--open/--no-open", "opens", default=True, help="Open a browser at it.")
@click.option("--host", metavar="ADDRESS", help="Listen there, behind a proxy that knows who asks.")
@click.option("--identity-header", metavar="NAME", help="Where the proxy says who asks.")
@click.option("--proxy", "proxies", metavar="ADDRESS", multiple=True, help="Where it asks from.")
@click.option("--url", metavar="URL", help="What a browser opens: https://studio.example.org.")
@click.pass_context
def studio(
    context: click.Context, port: int, opens: bool, host: str | None, identity_header: str | None,
    proxies: tuple[str, ...], url: str | None,
) -> None:  # fmt: skip
    """Look at pipelines, runs, models and stages in a browser.

    It is served on this machine alone, and ends with Ctrl-C. `towpath studio build DIR` writes the
    same pages as files.
    """
    if context.invoked_subcommand:
        return
    session: Session = context.obj
    from towpath.studio.studio_server import opening_file, serve_studio

    address = _read_address(port, host, identity_header, proxies, url)
    with ExitStack() as stack:

        def announce(shown: str) -> None:
            terminal.echo(shown)
            session.say("Ctrl-C ends it")
            if opens and address.door is None:
                _open_browser(stack.enter_context(opening_file(shown)))

        serve_studio(session.workspace.root, address, announce)


def _open_browser(address: str) -> None:
    """Open the browser of this machine, if it has one."""
    if sys.platform in ("darwin", "win32", "cygwin"):
        click.launch(address)
        return
    # click lets it write here, and where no browser is it names every one that it looked for.
    null = subprocess.DEVNULL
    with suppress(OSError):
        subprocess.Popen(["xdg-open", address], stdin=null, stdout=null, stderr=null)


def _read_address(
    port: int, host: str | None, header: str | None, proxies: tuple[str, ...], url: str | None
) -> ServerAddress:
    from towpath.studio.proxy_identity import ProxyDoor
    from towpath.studio.studio_server import ServerAddress

    if not (host or header or proxies or url):
        return ServerAddress(port=port)
    if not (host and header and proxies and url):
        raise UsageError(
            "beyond this machine Studio is served to a proxy that knows who asks: --host, "
            "--identity-header, --proxy and --url go together",
            hint="towpath studio --host 0.0.0.0 --identity-header X-Forwarded-User "
            "--proxy 10.0.0.5 --url https://studio.example.org",
        )
    return ServerAddress(host, port, ProxyDoor.from_options(header, proxies, url))


@studio.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option(
    "--outputs",
    is_flag=True,
    help="With what steps made, where it is small and here: whoever reads the site reads it.",
)
@pass_session
def build(session: Session, folder: str, outputs: bool) -> None:
    """Write the pages as files that work from a folder, below a path, and on GitHub Pages."""
    from towpath.studio.static_site import build_site

    target = session.working_folder / folder
    changes = build_site(session.workspace.root, target, outputs)
    shown = Path(folder) if session.working_folder == Path.cwd() else target
    words = [f"{changes.written} file{'s' if changes.written != 1 else ''} written in {shown}"]
    words += [f"{changes.removed} old ones removed"] if changes.removed else []
    session.say(f"{', '.join(words)}: open {shown / 'index.html'}")
