"""Prefect's settings while a run goes on: where its API is, and what a local one does without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.backends.prefect.server.remote_api import AUTH

if TYPE_CHECKING:
    from prefect.settings import Settings

# One certificate whose key nobody has. A local API is spoken to without TLS, yet each of Prefect's
# clients reads the whole bundle of authorities for it, 18 ms of CPU each, and a run has four. With
# this in the bundle's place a TLS connection would be refused, and not made unchecked.
NO_AUTHORITY = Path(__file__).with_name("no_authority.pem")


@contextmanager
def hold_run_settings(url: str, is_local: bool) -> Iterator[None]:
    """Have Prefect use the API at ``url`` while this is open; ``is_local`` for one of our own."""
    from prefect.context import SettingsContext, get_settings_context

    with ExitStack() as held:
        if _needs_address(get_settings_context().settings, url):
            held.enter_context(_hold_address(url))
        context = get_settings_context()
        # Copies: `temporary_settings` reads all sources of all 54 groups anew, 55 ms of CPU.
        settings = context.settings.model_copy(update=_changed_groups(context.settings, is_local))
        held.enter_context(SettingsContext(profile=context.profile, settings=settings))
        yield


def _needs_address(settings: Settings, url: str) -> bool:
    """Whether Prefect was imported before the variables of this API were set."""
    secret = settings.api.auth_string
    wanted_secret = os.environ.get(AUTH)
    held_secret = secret.get_secret_value() if secret else None
    return settings.api.url != url or (bool(wanted_secret) and held_secret != wanted_secret)


def _hold_address(url: str) -> Any:
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    address = {PREFECT_API_URL: url}
    if secret := os.environ.get(AUTH):
        address[PREFECT_API_AUTH_STRING] = secret
    return temporary_settings(address)


def _changed_groups(settings: Settings, is_local: bool) -> dict[str, Any]:
    # Prefect's heartbeat sleeps a second after the flow has ended; a run here has a lease instead.
    groups: dict[str, Any] = {
        "flows": settings.flows.model_copy(update={"heartbeat_frequency": None})
    }
    if is_local:
        groups["api"] = settings.api.model_copy(update={"ssl_cert_file": str(NO_AUTHORITY)})
        # It was started from this environment: it has the version that is here.
        client: dict[str, Any] = {"server_version_check_enabled": False}
        if not settings.server.api.csrf_protection_enabled:
            # Each client would ask for a token, and be told that none is given.
            client["csrf_support_enabled"] = False
        groups["client"] = settings.client.model_copy(update=client)
    return groups
