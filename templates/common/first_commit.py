"""What every template does last: leave out what has no forge to run on, and commit.

Plain Python and Git: a stranger's cookiecutter brings neither Towpath nor DVC, and must get the
same project, so there is this one way for everybody.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

BY_PULL_REQUEST = ("promote.yml", "promotion.yml", "reconcile.yml", "drift.yml", "site.yml")
NO_IDENTITY = """\
Git does not know who you are, so the first commit waits; all is staged. Tell it, then commit:
    git config --global user.name "Your Name"
    git config --global user.email you@example.org
    git commit -m "{message}"
"""


def finish(answers: Mapping[str, str], template: str, then: str) -> None:
    """Leave out what these answers do not need, commit, and say what comes next."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is answered by who called us, once
    shares = answers.get("registry", ".") != "."  # stages and promotions are elsewhere
    if shares:
        shutil.rmtree("registry")
    if shares or answers["forge"] == "none":  # nothing is promoted by pull request here
        for name in BY_PULL_REQUEST:
            Path(".github/workflows", name).unlink()
    for compiled in list(Path().rglob("__pycache__")):  # pip compiles an installed template too
        shutil.rmtree(compiled)
    commit(f"Start {answers['name']} from the {template} template")
    if "TOWPATH_NEW" not in os.environ:  # `towpath new` says what comes next itself
        print("{0} is ready. Next: cd {0}, {1}".format(answers["name"], then))


def track(file: Path, sha256: str) -> None:
    """Put a table under DVC: the file, its pointer, a line in .gitignore, bytes in the cache. Every
    project has the same bytes; where they are others cookiecutter removes the folder."""
    table = file.read_bytes()
    if hashlib.sha256(table).hexdigest() != sha256:
        sys.exit(f"{file} is not the table that this template knows: get the template anew.")
    digest = hashlib.md5(table).hexdigest()
    cached = Path(".dvc/cache/files/md5", digest[:2], digest[2:])
    cached.parent.mkdir(parents=True)
    cached.write_bytes(table)
    cached.chmod(0o444)
    pointer = f"outs:\n- md5: {digest}\n  size: {len(table)}\n  hash: md5\n  path: {file.name}\n"
    Path(f"{file}.dvc").write_text(pointer)
    Path("data/.gitignore").write_text(f"/{file.name}\n")


def commit(message: str) -> None:
    """Make a repository on branch main with a first commit, or say why there is none."""
    if outer := repository_around():
        print(f"This is now a folder of the Git repository {outer}: nothing was committed.")
        return
    git("init", "--quiet")
    git("symbolic-ref", "HEAD", "refs/heads/main")  # `init -b` is younger than some Gits
    git("-c", "core.excludesFile=/dev/null", "add", "--all")  # not what one ignores at large
    if git("-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT", may_fail=True).returncode:
        print(NO_IDENTITY.format(message=message), file=sys.stderr)
        return
    made = git("commit", "--quiet", "--no-verify", "-m", message, may_fail=True)
    if made.returncode:
        print(f"{made.stderr.strip()}\nThe first commit waits; all is staged.", file=sys.stderr)


def repository_around() -> str | None:
    """The repository that this folder would be a part of, unless that ignores it."""
    top = git("rev-parse", "--show-toplevel", may_fail=True)
    # `towpath new` works in a folder beside the project's place; `/` says that it is a folder.
    place = os.environ.get("TOWPATH_NEW") or str(Path.cwd())
    ignored = git("check-ignore", "--quiet", f"{place}/", may_fail=True)
    return top.stdout.strip() if top.returncode == 0 and ignored.returncode else None


def git(*words: str, may_fail: bool = False) -> subprocess.CompletedProcess[str]:
    """Stock Git in this folder, whatever repository the caller stands in."""
    foreign = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # set where a Git hook calls us
    around = {name: value for name, value in os.environ.items() if name not in foreign}
    try:
        answer = subprocess.run(["git", *words], capture_output=True, text=True, env=around)
    except FileNotFoundError:
        sys.exit("Git is not installed, and a project is a Git repository.")
    if answer.returncode and not may_fail:
        sys.exit(f"git {words[0]}: {answer.stderr.strip()}")
    return answer
