"""Whether a run goes on, by its process: numbers are given again."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from towpath.execution.run_record import is_of_run, process_lives


def test_a_number_that_was_given_again_is_no_run() -> None:
    here = {"pid": os.getpid(), "host": os.uname().nodename}
    now = datetime.now(UTC)
    assert process_lives(here, now.isoformat())
    # This process is younger than the run of yesterday that had its number.
    assert not process_lives(here, (now - timedelta(days=1)).isoformat())
    assert not is_of_run(os.getpid(), (now - timedelta(days=1)).isoformat())
    # Of what another machine does nothing is known here; of what no process can be all is.
    assert process_lives({**here, "host": "elsewhere"}, (now - timedelta(days=1)).isoformat())
    assert not process_lives({**here, "pid": -1}, now.isoformat())
    assert not process_lives(here, "no date")
