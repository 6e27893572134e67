"""The real workflow files, run on this machine by act: no container, no network, no account."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflow_files import jobs, uses

BIN = Path(sys.executable).parent
REPOSITORY = "acme/abalone"
SUMMARY = "Summary - "

#: What stands in for each remote action. Checkout does with Git what the real one does: it fetches
#: one commit without tags or, with depth 0, every branch and tag, and keeps the token or not. Each
#: job has a Python of its own, as at the forge: the jobs of a matrix run at once, and all install.
STUBS = {
    "actions/checkout": """\
inputs:
  ref: {default: ""}
  token: {default: ""}
  fetch-depth: {default: "1"}
  persist-credentials: {default: "true"}
runs:
  using: composite
  steps:
    - shell: bash
      env:
        DEPTH: ${{ inputs.fetch-depth }}
        KEEPS: ${{ inputs.persist-credentials }}
        REF: ${{ inputs.ref || github.ref }}
        TOKEN: ${{ inputs.token || github.token }}
      run: |
        git init --quiet --initial-branch=main
        git remote add origin "$TOWPATH_TEST_ORIGIN"
        pair=$(printf 'x-access-token:%s' "$TOKEN" | base64 | tr -d '\\n')
        git config http.extraheader "AUTHORIZATION: basic $pair"
        if [ "$DEPTH" = 0 ]; then
          git fetch --quiet origin '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
          git fetch --quiet origin "$REF"
        else
          git fetch --quiet --no-tags --depth "$DEPTH" origin "$REF"
        fi
        case "$REF" in
          refs/pull/*) git checkout --quiet --detach FETCH_HEAD ;;
          *) git checkout --quiet -B "${REF#refs/heads/}" FETCH_HEAD ;;
        esac
        [ "$KEEPS" = true ] || git config --unset http.extraheader
""",
    "actions/setup-python": """\
inputs: {python-version: {required: true}}
runs:
  using: composite
  steps:
    - shell: bash
      run: |
        own=$(mktemp -d "$HOME/python-XXXXXX")
        cp -R "$TOWPATH_TEST_PYTHON/." "$own"
        echo "$own/bin" >> "$GITHUB_PATH"
""",
    "actions/create-github-app-token": """\
inputs:
  app-id: {required: true}
  private-key: {required: true}
  permission-contents: {required: true}
  permission-pull-requests: {required: true}
outputs:
  token: {value: "${{ steps.token.outputs.token }}"}
runs:
  using: composite
  steps:
    - id: token
      run: echo "token=$TOWPATH_TEST_APP_TOKEN" >> "$GITHUB_OUTPUT"
      shell: bash
""",
    "actions/upload-pages-artifact": """\
inputs: {path: {required: true}}
runs:
  using: composite
  steps:
    - run: echo "$(find '${{ inputs.path }}' -name index.html | wc -l) pages"
      shell: bash
""",
    "actions/deploy-pages": """\
runs:
  using: composite
  steps:
    - run: echo deployed
      shell: bash
""",
}


@dataclass(frozen=True)
class Acted:
    """What became of a workflow: its exit code, its jobs' results, summaries, and its log."""

    code: int
    jobs: Mapping[str, str]
    summaries: Sequence[str]
    log: str
    steps: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Runner:
    """A machine for jobs: ``home`` is all it may write to, ``environment`` what it has set.

    ``tokens`` are the forge's, by what they may do to the repository's contents: a job gets the one
    that its workflow's permissions ask for.
    """

    home: Path
    environment: Mapping[str, str]
    tokens: Mapping[str, str]

    def act(
        self,
        clone: Path,
        workflow: str,
        event: str,
        payload: Mapping[str, Any],
    ) -> Acted:
        """Run a workflow of ``clone`` for an event; the payload is completed as GitHub's is."""
        self.home.mkdir(parents=True, exist_ok=True)
        told = self.home / f"{workflow}-{event}.json"
        told.write_text(json.dumps({**_common(), **payload}))
        folder = clone / ".github" / "workflows"
        asked = {
            job.permissions.get("contents")
            for name, job in jobs(folder).items()
            if name.startswith(f"{workflow}/")
        }
        token = self.tokens["write" if "write" in asked else "read"]
        call = [
            *(str(BIN / "act"), event, "-C", str(clone), "-e", str(told), "--json"),
            *("-W", f".github/workflows/{workflow}.yml", "-P", "ubuntu-24.04=-self-hosted"),
            *("--pull=false", "--no-cache-server", "--action-offline-mode", "--no-skip-checkout"),
            *("--artifact-server-addr", "127.0.0.1", "--action-cache-path", str(self.home / "act")),
            *("--env-file", os.devnull, "--secret-file", os.devnull, "--var-file", os.devnull),
            *("--input-file", os.devnull, "--defaultbranch", "main", "--actor", "ada"),
            *_options("--env", {"GITHUB_REPOSITORY": REPOSITORY, **self.environment}),
            *_options("--secret", {"GITHUB_TOKEN": token, "TOWPATH_APP_KEY": "key"}),
            *_options("--var", {"TOWPATH_APP_ID": "12345", "TOWPATH_SITE": "true"}),
            *self._stubs(folder),
        ]
        around = {"HOME": str(self.home), "PATH": os.environ["PATH"], **self.environment}
        done = subprocess.run(call, env=around, capture_output=True, text=True, timeout=300)
        return _acted(done)

    def _stubs(self, folder: Path) -> list[str]:
        """A folder for each action that the workflows use; a new one is an error here."""
        found = []
        for name, pin, _ in sorted(set(uses(folder))):
            stub = self.home / "stubs" / name
            stub.mkdir(parents=True, exist_ok=True)
            (stub / "action.yml").write_text(f"name: {name}\n{STUBS[name]}")
            found += ["--local-repository", f"https://github.com/{name}@{pin}={stub}"]
        return found


def _options(option: str, pairs: Mapping[str, str]) -> list[str]:
    return [word for name, value in pairs.items() for word in (option, f"{name}={value}")]


def _common() -> dict[str, Any]:
    owner, name = REPOSITORY.split("/")
    repository = {
        "full_name": REPOSITORY, "name": name, "owner": {"login": owner}, "default_branch": "main",
    }  # fmt: skip
    return {"repository": repository, "sender": {"login": "ada"}}


def push(before: str, after: str) -> dict[str, Any]:
    """What GitHub says of a push to main."""
    return {
        "ref": "refs/heads/main",
        "before": before,
        "after": after,
        "head_commit": {"id": after},
    }


def pull_request(number: int, base: str, head: str, branch: str) -> dict[str, Any]:
    """What GitHub says of a pull request that was opened or pushed to."""
    change = {"base": {"ref": "main", "sha": base}, "head": {"ref": branch, "sha": head}}
    return {
        "action": "synchronize",
        "number": number,
        "ref": f"refs/pull/{number}/merge",
        "pull_request": {"number": number, **change},
    }


def _acted(done: subprocess.CompletedProcess[str]) -> Acted:
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    said = [str(line.get("msg", "")) for line in lines]
    return Acted(
        code=done.returncode,
        jobs={line["jobID"]: line["jobResult"] for line in lines if "jobResult" in line},
        summaries=[one.partition(SUMMARY)[2] for one in said if SUMMARY in one],
        steps={line["step"]: line["stepResult"] for line in lines if "stepResult" in line},
        log="".join(one if one.endswith("\n") else f"{one}\n" for one in said) + done.stderr,
    )
