"""The process of a gate: ``python -m towpath.gates.work FOLDER`` reads what is asked there, works,
and writes the answer beside it."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from towpath.errors import TowpathError
from towpath.gates import kinds, text
from towpath.gates.finding import Unjudged
from towpath.gates.process import ANSWER, ASKED

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Work, answer, and end without tidying up: what a model's library left behind may hang."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        with contextlib.suppress(OSError):  # where memory runs out, it is this process that goes
            Path("/proc/self/oom_score_adj").write_text("1000")
    faulthandler.enable()
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    whole = json.loads((folder / ASKED).read_bytes())
    said = json.dumps(_said(whole["kind"], whole["asked"]))
    scratch = folder / f"{ANSWER}.part"
    scratch.write_text(said, encoding="utf-8")
    scratch.replace(folder / ANSWER)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _said(kind: str, asked: dict[str, Any]) -> dict[str, Any]:
    from towpath.steps.formats.jsons import is_finite, plain

    try:
        answer = plain(kinds.module(kind).work(asked))
    except Unjudged as unjudged:
        return {"why": str(unjudged)}
    except TowpathError as error:
        return {"why": text.of_faults(error)}
    except SystemExit as ended:
        return {"why": f"it called sys.exit({ended.code!r})"}
    except BaseException as error:
        return {"why": f"{type(error).__name__}: {error}"}
    if not is_finite(answer):
        return {"why": "a number in its answer is NaN or infinite"}
    return {"answer": answer}


if __name__ == "__main__":
    main()
