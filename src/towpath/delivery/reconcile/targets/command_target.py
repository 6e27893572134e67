"""The user's own programs: one deploys, one says what runs, one takes a model out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.call_log import log_call
from towpath.delivery.reconcile.bundle import Bundle
from towpath.delivery.reconcile.reconcile_plan import RunningVersion
from towpath.errors import DeployError
from towpath.registry import VersionRecord
from towpath.sandbox import process_tree

if TYPE_CHECKING:
    from towpath.config.target_declarations import CommandDeployment as Declared

_SHA256 = re.compile("[0-9a-f]{64}")
_SHOWN = 20  # lines of a failed program's output that its error repeats


class CommandTarget(Struct, frozen=True):
    """The target ``{to: command, run: [...]}``. The programs start in the project's folder."""

    declared: Declared
    stage: str
    home: Path
    environ: Mapping[str, str]
    say: Callable[[str], object]

    @property
    def shown(self) -> str:
        return f"command {self.declared.run[0]}"

    def find_running(self, model: str, record: VersionRecord | None) -> RunningVersion | None:
        """What ``check`` prints: the version, and as it likes the SHA-256 of what it serves, which
        is held against the record. None where there is no ``check``."""
        if self.declared.check is None:
            return None
        words = self._run_program(self.declared.check, {"TOWPATH_MODEL": model}).split()
        version = words[0] if words else None
        if record is None or str(record.version) != version:
            return RunningVersion(version)
        # A program may print anything after the version: what is no digest claims nothing.
        claimed_sha256 = words[1] if len(words) > 1 and _SHA256.fullmatch(words[1]) else None
        return RunningVersion(version, claimed_sha256 in (None, record.sha256))

    def prepare(self, bundle: Bundle) -> None:
        """A program has one call: it is made when it is switched."""

    def prepared_bundle(self, bundle: Bundle) -> Bundle:
        return bundle

    def switch_version(self, bundle: Bundle) -> None:
        """Call ``run``, whose exit code says whether the version runs."""
        facts = {
            "TOWPATH_MODEL": bundle.model,
            "TOWPATH_VERSION": str(bundle.version),
            "TOWPATH_SHA256": bundle.record.sha256,
            "TOWPATH_BUNDLE": os.fspath(bundle.folder),
            "TOWPATH_FILE": os.fspath(bundle.model_file),
        }
        self._say_lines(self._run_program(self.declared.run, facts))

    def remove_model(self, model: str) -> None:
        if self.declared.remove is not None:
            self._say_lines(self._run_program(self.declared.remove, {"TOWPATH_MODEL": model}))

    def _say_lines(self, output: str) -> None:
        for line in output.splitlines():
            self.say(line)

    def _run_program(self, words: tuple[str, ...], facts: Mapping[str, str]) -> str:
        try:
            with (
                log_call("process", *words) as logged,
                self._start_program(words, facts) as process,
            ):
                output, _ = process.communicate(timeout=self.declared.timeout)
                logged.answer(process.returncode)
        except subprocess.TimeoutExpired:
            what = f"{words[0]} did not end within {self.declared.timeout:g} s"
            raise DeployError(what, hint="set `timeout` in `deploy`") from None
        except OSError as refusal:
            raise DeployError(f"{words[0]} cannot be run: {refusal.strerror}") from refusal
        if process.returncode:
            last = "\n".join(output.splitlines()[-_SHOWN:])
            raise DeployError(f"{words[0]} ended with exit code {process.returncode}: {last}")
        return output

    @contextmanager
    def _start_program(
        self, words: tuple[str, ...], facts: Mapping[str, str]
    ) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            words,
            cwd=self.home,
            env={**self.environ, **facts, "TOWPATH_STAGE": self.stage},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            try:
                yield process
            # A timeout, or Control-C: what a deployment began would else go on after it was said
            # to have failed.
            except BaseException:
                # Not a group of its own, which could not ask for a password at the terminal.
                below = list(process_tree.find_descendants(process.pid))  # while it has them
                process_tree.signal_processes([process.pid, *below], signal.SIGKILL)
                raise
