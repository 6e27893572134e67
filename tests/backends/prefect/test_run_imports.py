"""What a run does without: imports, authorities, a heartbeat. That a whole run of the command line
does not miss them stands in ``test_deployed.py``, where an API is up."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys

import pytest

from towpath.backends.prefect import run_settings
from towpath.backends.prefect.prefect_import import import_prefect


def _python(code: str, *words: str) -> list[str]:
    ran = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


# Prefect is imported once, and each case has a process of its own, forked from there.
DEFER = """
import json, os, sys, traceback
from towpath.backends.prefect.defer_imports import FOR_OTHERS, StandIn, defer_imports
from towpath.backends.prefect.defer_imports import import_deferred
from towpath.backends.prefect.prefect_import import import_prefect

def waiting():
    return [name for name in FOR_OTHERS if type(sys.modules[name]) is StandIn]

defer_imports()
import_prefect()
assert waiting() == list(FOR_OTHERS), waiting()
for case in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        try:
            exec(case)
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0, case
"""
WITHOUT_COMMAND_LINE = """
import httpx
from coolname import generate_slug
print("httpx._main" in sys.modules, callable(httpx.main), len(generate_slug(2).split("-")))
"""
ASKED = (
    "from prefect.blocks.notifications import SlackWebhook",
    "import prefect.blocks.notifications as n; SlackWebhook = n.SlackWebhook",
    "import prefect; SlackWebhook = prefect.blocks.notifications.SlackWebhook",
    "from prefect.blocks.notifications import *",
)
KINDS = """
import_deferred()
from prefect.blocks.core import Block
kinds = {kind.get_block_type_slug() for kind in Block.__subclasses__()}
print(waiting(), "webhook" in kinds, sys.modules["prefect.blocks"].webhook.Webhook)
"""


def test_what_is_put_off_is_there_as_soon_as_it_is_asked_for() -> None:
    """Of a stand-in, in each way that Python knows, and of the kinds of block by their names."""
    cases = [f"{asked}\nprint(SlackWebhook.__module__, *waiting())" for asked in ASKED]
    *classes, kinds, without = _python(DEFER, json.dumps([*cases, KINDS, WITHOUT_COMMAND_LINE]))
    left = "prefect.blocks.notifications coolname prefect.blocks.system prefect.blocks.webhook"
    assert classes == [left] * len(ASKED)
    assert kinds == "[] True <class 'prefect.blocks.webhook.Webhook'>"
    assert without == "False True 2"


def test_nothing_is_put_off_in_a_process_that_has_prefect() -> None:
    code = """
import sys
from towpath.backends.prefect.defer_imports import FOR_OTHERS, StandIn, defer_imports
import prefect.main
finders = list(sys.meta_path)
defer_imports()
print(sys.meta_path == finders, any(type(sys.modules[name]) is StandIn for name in FOR_OTHERS))
"""
    assert _python(code) == ["True False"]


@pytest.mark.parametrize("is_local", [True, False])
def test_a_run_has_settings_of_its_own_as_long_as_it_goes_on(is_local: bool) -> None:
    import_prefect()
    from prefect.settings import (
        PREFECT_API_SSL_CERT_FILE,
        get_current_settings,
        temporary_settings,
    )

    url = "http://127.0.0.1:9/api"
    # The tests' own environment names what a local run has.
    with temporary_settings({PREFECT_API_SSL_CERT_FILE: "authorities.pem"}):
        before = get_current_settings()
        with run_settings.hold_run_settings(url, is_local):
            held = get_current_settings()
        assert get_current_settings() is before
    assert (held.api.url, held.flows.heartbeat_frequency) == (url, None)
    assert held.client.server_version_check_enabled is not is_local
    assert held.client.csrf_support_enabled is not is_local
    assert (held.api.ssl_cert_file != "authorities.pem") is is_local
    assert not held.api.tls_insecure_skip_verify


def test_an_api_that_wants_a_token_is_asked_for_one() -> None:
    import_prefect()
    from prefect.settings import (
        PREFECT_SERVER_CSRF_PROTECTION_ENABLED,
        get_current_settings,
        temporary_settings,
    )

    protected = temporary_settings({PREFECT_SERVER_CSRF_PROTECTION_ENABLED: True})
    with protected, run_settings.hold_run_settings("http://127.0.0.1:9/api", True):
        assert get_current_settings().client.csrf_support_enabled


def test_with_no_authority_a_certificate_is_refused_and_not_taken_unseen() -> None:
    context = ssl.create_default_context(cafile=str(run_settings.NO_AUTHORITY))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.get_ca_certs() == []  # the certificate in it may vouch for none
