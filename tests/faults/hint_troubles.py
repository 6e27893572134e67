"""What goes wrong with a registry, its stages and a clone, and what a person does about it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from hint_world import EVIDENCE, POLICY, RECORD, STAGE_FILE, Hand, towpath

from audit_project import Project
from towpath.backends.git import CommitStamp, make_tag_object, refs
from towpath.delivery import reconcile
from towpath.delivery.reconcile import lease
from towpath.plain_data import list_fields
from towpath.registry import version_record as records

AS_DOCUMENT = "--json"
DOCTOR = ("doctor", AS_DOCUMENT)
LOCALLY = ("doctor", "--offline", AS_DOCUMENT)
PLAN = ("reconcile", "dev", AS_DOCUMENT)
APPLY = ("reconcile", "dev", "--apply", AS_DOCUMENT)
NEW_PROJECT = "name: abalone\nstages: {dev: , prod: }\n"


def edit(path: str, old: str, new: str) -> Hand:
    """A file of main changed by hand."""

    def act(project: Project) -> None:
        text = project.read(path)
        assert old in text
        project.write(path, text.replace(old, new))
        project.commit("by hand")

    return act


def remove(path: str) -> Hand:
    """A file of main removed by hand."""

    def act(project: Project) -> None:
        project.git("rm", "-q", path)
        project.commit("by hand")

    return act


def git(*words: str) -> Hand:
    """Stock Git."""
    return lambda project: project.git(*words)


def write(path: str, text: str) -> Hand:
    """What a person writes and commits."""

    def act(project: Project) -> None:
        project.write(path, text)
        project.commit("as the hint says")

    return act


def after(*hands: Hand) -> Hand:
    """One thing after the other."""

    def act(project: Project) -> None:
        for hand in hands:
            hand(project)

    return act


def stage_tag(name: str, version: str, when: int = 0) -> Hand:
    """A stage tag of somebody's own making."""

    def act(project: Project) -> None:
        repository = project.repository
        commit = project.git("rev-parse", f"{version}^{{commit}}")
        last = int(project.git("log", "-1", "--format=%ct", "main"))
        stamp = CommitStamp(repository.read_identity(), when or last + 50)
        made = make_tag_object(repository, name, commit, "mine", stamp)
        assert refs.change_refs(repository, {f"refs/tags/{name}": made})

    return act


def version_tag(change: Callable[[str], str] = str, stands_on: str = "") -> Hand:
    """The tag of v1.1.0 made again: with another message, or on another commit."""

    def act(project: Project) -> None:
        text = project.git("cat-file", "tag", "abalone@v1.1.0").partition("\n\n")[2]
        commit = stands_on or project.git("rev-parse", "abalone@v1.1.0^{commit}")
        project.git("tag", "-f", "-a", "-m", change(text), "abalone@v1.1.0", commit)

    return act


def false_registration(old: str, new: str) -> Hand:
    """The tag of v1.1.0 put on a commit whose record says something else."""

    def act(project: Project) -> None:
        project.git("switch", "-q", "--detach", "abalone@v1.1.0")
        project.write(RECORD, project.read(RECORD).replace(old, new))
        project.commit("another record")
        commit = project.git("rev-parse", "HEAD")
        project.git("switch", "-q", "main")
        version_tag(stands_on=commit)(project)

    return act


def by_hand(project: Project) -> None:
    """A version that nobody promoted, written into the stage file."""
    three = project.register(b"three", parameters={"learning_rate": 0.07})
    version = three.partition("@")[2]
    text = project.git(
        "show", f"{three}^{{commit}}:{records.record_path('abalone', None)}", ok=False
    )
    text = project.git("show", f"{three}^{{commit}}:registry/models/abalone/{version}.yaml")
    digest = re.search(r"sha256: \"?(\w+)", text)
    assert digest
    project.write(
        STAGE_FILE, f"model: abalone\nversion: {version}\nsha256: {digest[1]}\nreplaces: v1.1.0\n"
    )
    project.commit("straight in")


def with_code(project: Project) -> None:
    """A promotion that brings code, merged."""
    from towpath.delivery import promotion

    made = promotion.propose_promotion(project.workspace, project.register(b"three"), "dev")
    project.git("switch", "-q", made.branch)
    project.write("steps.py", "sneaky = 1\n")
    project.commit("and some code")
    project.git("switch", "-q", "main")
    project.be("bo")
    project.git("merge", "-q", "--no-ff", "-m", "approved", made.branch)
    project.be("ada")
    reconcile.reconcile_stage(project.workspace, "dev")


def reparent(project: Project) -> None:
    """A merge that puts the last promotion out of main's first-parent line."""
    tree = project.git("rev-parse", "main^1^{tree}")
    merge = project.git("commit-tree", "-p", "main^1", "-p", "main", "-m", "Merge", tree)
    project.git("reset", "-q", "--hard", merge)


def date_back(project: Project) -> None:
    """A promotion whose merge is dated before what was there."""
    promote_only(project)
    subprocess.run(
        ["git", "commit", "-q", "--amend", "--no-edit"], cwd=project.root, check=True,
        env={**os.environ, "GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z"},
    )  # fmt: skip


def rewrite_only(project: Project) -> None:
    """The last commit of main is made anew, over another way to the same files."""
    tree, before = project.git("rev-parse", "main^{tree}"), project.git("rev-parse", "main~2^1")
    project.git("branch", "kept", "main")
    made = project.git("commit-tree", "-p", before, "-m", "anew", tree)
    project.git("reset", "-q", "--hard", made)


def rewrite(project: Project) -> None:
    """Main goes back to before the last promotion, and on from there."""
    project.git("branch", "kept", "main")
    project.git("reset", "-q", "--hard", "main^1")
    project.write("notes.txt", "another way\n")
    project.commit("another way")


def alter_cache(project: Project) -> None:
    """The bytes of v1.1.0 in the project's store are others."""
    for path in (project.root / ".dvc" / "cache" / "files").rglob("*"):
        if path.is_file() and path.read_bytes() == b"two":
            alter(path)


def drop_cache(content: bytes) -> Hand:
    """The bytes are gone from the project's store."""

    def act(project: Project) -> None:
        for path in (project.root / ".dvc" / "cache" / "files").rglob("*"):
            if path.is_file() and path.read_bytes() == content:
                path.unlink()

    return act


def alter(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"bad")


def with_bytes_remote(project: Project) -> None:
    """A remote for the bytes, which has them all."""
    cold = project.root.parent / "cold"
    shutil.copytree(project.root / ".dvc" / "cache", cold)
    project.write(".dvc/config", "[core]\n    remote = cold\n['remote \"cold\"']\n"
                                 "    url = ../../cold\n")  # fmt: skip
    project.commit("a remote for the bytes")


def store_of(project: Project, stage: str = "dev") -> Path:
    """The folder of a stage's store."""
    [lease_file] = [
        path
        for path in project.root.rglob("towpath/lease.json")
        if stage in path.relative_to(project.root).parts
    ]
    return lease_file.parents[1]


def in_store(content: bytes, act: Callable[[Path], object]) -> Hand:
    """Something done to the object of a content in the store of dev."""

    def hand(project: Project) -> None:
        for path in store_of(project).rglob("*"):
            if path.is_file() and path.read_bytes() == content:
                act(path)

    return hand


def in_record(change: Callable[[dict[str, object]], object], model: str = "abalone") -> Hand:
    """The deployment record of dev as somebody wrote it."""

    def hand(project: Project) -> None:
        folder = store_of(project) / "towpath" / "deployed"
        data = json.loads((folder / "abalone.json").read_text())
        change(data)
        (folder / f"{model}.json").write_text(json.dumps(data))

    return hand


def torn(path: str, text: str = '{"mo') -> Hand:
    """A small file of the store of dev that is torn."""
    return lambda project: (store_of(project) / path).write_text(text)


def put_aside(path: str) -> Hand:
    """A small file of the store of dev, moved out of it."""
    return lambda project: shutil.move(store_of(project) / path, project.root.parent / "clue")


def rename_main(project: Project) -> None:
    """The remote calls its main branch otherwise."""
    origin = project.root.parent / "origin.git"
    subprocess.run(["git", "branch", "-m", "main", "trunk"], cwd=origin, check=True)


def elsewhere(project: Project) -> None:
    """A folder that main has no project in."""
    project.git("switch", "-qc", "moved")
    write("sub/towpath.yaml", POLICY)(project)
    project.git("rm", "-q", "towpath.yaml")
    project.commit("moved")


def in_memory(head: str) -> Hand:
    """What dev remembers of main is another head."""

    def act(project: Project) -> None:
        path = store_of(project) / "towpath" / "main.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "main": head}))

    return act


def go_on_elsewhere(project: Project) -> None:
    """Another clone's main goes on, and is what dev was reconciled with last."""
    origin = project.root.parent / "origin.git"
    other = Project(project.root.parent / "other")
    subprocess.run(["git", "clone", "-q", str(origin), str(other.root)], check=True)
    other.be("ada")
    other.write("notes.txt", "more\n")
    other.commit("more")
    other.git("push", "-q", "origin", "HEAD")
    in_memory(other.git("rev-parse", "HEAD"))(project)


def penguins(project: Project) -> None:
    """A model of this registry that somebody put into dev, and that main never asked for."""
    project.register(b"three", model="penguins")
    in_record(lambda data: data.update(model="penguins", previous=[]), "penguins")(project)


def other_digest(project: Project) -> None:
    """The stage file asks for other bytes than the version has."""
    text = re.sub(r"[0-9a-f]{64}", "ab" * 32, project.read(STAGE_FILE))
    write(STAGE_FILE, text)(project)


def unsigned_rules(project: Project) -> None:
    """A plain commit changes rules that ask for signed ones."""
    key = project.root.parent / "ada"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for setting in (("gpg.format", "ssh"), ("user.signingKey", str(key))):
        project.git("config", *setting)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    project.write("registry/allowed_signers", f"ada@example.org {public}\n")
    policy = POLICY.replace("prod:", "prod: {approval: signed}")
    policy += "policy: {self_approval: true}\n"
    write("towpath.yaml", policy)(project)
    write("towpath.yaml", policy.replace("abalone", "abalone2"))(project)


def alter_target(project: Project) -> None:
    """What dev runs from is altered."""
    [model] = (project.root / "deploy/dev/abalone/current/").glob("model.bin")
    alter(model)


def held_elsewhere(project: Project) -> None:
    """A lease of another machine."""
    now = time.time()
    held = lease.Lease("eve@elsewhere", now, now + 100, "x", "elsewhere", 1, now)
    (store_of(project) / lease.PATH).write_text(json.dumps(list_fields(held)))


def other_repository(project: Project) -> None:
    """Another repository that keeps dev in the same store."""
    store = store_of(project)
    other = Project(project.root.parent / "other")
    other.root.mkdir()
    other.git("init", "-q", "-b", "main")
    other.be("ada")
    other.write("towpath.yaml", f"name: other\nstages: {{dev: {{store: '{store}'}}}}\n")
    other.write(".gitignore", "/.towpath/\n")
    other.commit("another project")
    assert towpath(other, "reconcile", "dev", "--apply", "--accept-history")[0] == 0


def clone_without(*words: str) -> Hand:
    """The project becomes a clone of its origin that lacks something."""

    def act(project: Project) -> None:
        origin = project.root.parent / "origin.git"
        shutil.rmtree(project.root)
        subprocess.run(["git", "clone", "-q", *words, f"file://{origin}", str(project.root)],
                       check=True)  # fmt: skip
        project.be("ada")

    return act


def two_projects(project: Project) -> None:
    """A second project in the repository, so that somebody must say whose each model is."""
    project.write("other/towpath.yaml", "name: other\nstages: [dev]\n")
    project.write("other/.gitignore", "/.towpath/\n")
    project.commit("a second project")
    project.git("rm", "-q", "--ignore-unmatch", "registry/models/abalone/project.yaml")
    if project.git("status", "--porcelain"):
        project.commit("nobody's")


def line_ends(project: Project) -> None:
    """Data whose line ends Git changes here."""
    steps = "inputs: {raw: data/raw.csv}\nsteps:\n  a: {run: f, inputs: [raw]}\n"
    project.write("flows/training/pipeline.yaml", steps)
    project.write("data/raw.csv", "a,b\n1,2\n")
    project.commit("data")
    project.git("config", "core.autocrlf", "true")
    (project.root / "data/raw.csv").unlink()
    project.git("checkout", "--", "data/raw.csv")


def pushed_elsewhere(name: str, on: str = "main") -> Hand:
    """A tag that is another one on the remote."""

    def act(project: Project) -> None:
        before = project.git("rev-parse", f"refs/tags/{name}")
        project.git("tag", "-f", "-a", "-m", "forged", name, f"{on}^{{commit}}")
        project.git("push", "-q", "-f", "origin", f"refs/tags/{name}")
        project.git("update-ref", f"refs/tags/{name}", before)

    return act


def submodule(project: Project) -> None:
    """A submodule that nobody set up here."""
    origin = project.root.parent / "origin.git"
    allow = ("-c", "protocol.file.allow=always")
    project.git(*allow, "submodule", "add", "-q", f"file://{origin}", "vendor")
    project.commit("a submodule")
    project.git("submodule", "deinit", "-q", "-f", "vendor")
    project.git("config", "--global", "protocol.file.allow", "always")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def workflows(project: Project) -> None:
    """Those of a new project, as the template has them."""
    import towpath as package

    templates = Path(package.__file__).parents[2] / "templates"
    [promotion_file] = list(templates.glob("tabular/*/.github/workflows/promotion.yml"))
    for path in promotion_file.parent.glob("*.yml"):
        project.write(f".github/workflows/{path.name}", path.read_text())
    project.commit("as the hint says")


def keeps_notes(project: Project) -> None:
    specs = project.git("config", "--get-all", "remote.origin.fetch").split("\n")
    assert "+refs/notes/*:refs/notes/*" in specs


def register_offline(project: Project) -> None:
    project.git("remote", "rename", "origin", "away")
    project.git("config", "--rename-section", "remote.away", "hidden.away")
    project.register(b"three")
    project.git("config", "--rename-section", "hidden.away", "remote.away")
    project.git("remote", "rename", "away", "origin")


def promote_only(project: Project) -> None:
    from towpath.delivery import promotion

    version = project.register(b"three", parameters={"learning_rate": 0.07})
    project.move(promotion.propose_promotion(project.workspace, version, "dev"))


def from_stage(project: Project, content: bytes) -> None:
    """The bytes copied from the stage's store into the project's."""
    cache = project.root / ".dvc" / "cache"
    for path in store_of(project).rglob("*"):
        if path.is_file() and path.read_bytes() == content and "files" in path.parts:
            there = cache / path.relative_to(store_of(project))
            there.parent.mkdir(parents=True, exist_ok=True)
            if not there.exists():
                shutil.copyfile(path, there)


TROUBLES: dict[str, Hand] = {
    "the version's tag is lost": git("tag", "-d", "abalone@v1.1.0"),
    "the version's tag is a lightweight one": git(
        "tag", "-f", "abalone@v1.1.0", "abalone@v1.1.0^{commit}"
    ),
    "the version's tag was moved": git("tag", "-f", "-a", "-m", "x", "abalone@v1.1.0", "HEAD"),
    "the version's tag says otherwise": version_tag(lambda text: text.replace("0.08", "0.09")),
    "the version's tag is of 2099": lambda project: (
        os.environ.update(GIT_COMMITTER_DATE="")
        or subprocess.run(
            ["git", "tag", "-f", "-a", "-m", "x", "abalone@v1.1.0", "abalone@v1.1.0^{commit}"],
            cwd=project.root,
            check=True,
            capture_output=True,
            env={**os.environ, "GIT_COMMITTER_DATE": "4070908800 +0000"},
        )
    ),
    "the tag holds a torn record": false_registration("schema: 1", "schema: ["),
    "the tag holds another's record": false_registration("version: v1.1.0", "version: v1.0.9"),
    "a stray version": git("tag", "-a", "-m", "x", "abalone@v7.0.0", "HEAD"),
    "a stray lightweight version": git("tag", "abalone@v7.0.0", "HEAD"),
    "a forged stage tag": stage_tag("abalone#prod#90", "abalone@v1.1.0"),
    "a stage tag that goes back": stage_tag("abalone#dev#90", "abalone@v1.0.0"),
    "a stage tag of 2099": stage_tag("abalone#dev#90", "abalone@v1.1.0", 4_070_908_800),
    "a lightweight stage tag": git("tag", "abalone#dev#90", "abalone@v1.1.0^{commit}"),
    "a stage tag on no version": git("tag", "-a", "-m", "x", "abalone#dev#90", "HEAD"),
    "a stage tag under another's name": lambda project: project.git(
        "update-ref",
        "refs/tags/abalone#dev#7",
        project.git("rev-parse", "refs/tags/abalone#dev#2"),
    ),
    "main's record was altered": edit(RECORD, "mse: 4.5", "mse: 0.5"),
    "main's record was removed": remove(RECORD),
    "the evidence was altered": edit(EVIDENCE, "abalone", "abaloné"),
    "the evidence was removed": remove(EVIDENCE),
    "a promotion was reverted": git("revert", "--no-edit", "-m", "1", "HEAD"),
    "a version was put in by hand": by_hand,
    "a stage file is torn": edit(STAGE_FILE, "version: v1.1.0", "version: x"),
    "a stage file's digest is none": edit(STAGE_FILE, "sha256: ", "sha256: 00"),
    "a stage file lies about the digest": other_digest,
    "a stage file was removed": remove(STAGE_FILE),
    "a promotion brought code": with_code,
    "a promotion is dated back": date_back,
    "a stage was dropped": write("towpath.yaml", "name: abalone\nstages:\n  prod:\n"),
    "the version was rejected": lambda project: towpath(
        project, "reject", "abalone@v1.1.0", "--reason", "leaked labels"
    ),
    "both versions were rejected": lambda project: [
        towpath(project, "reject", f"abalone@v1.{minor}.0", "--reason", "leaked")
        for minor in (0, 1)
    ],
    "an object is replaced": lambda project: project.git(
        "replace", project.git("rev-parse", "main^1"), project.git("rev-parse", "main")
    ),
    "the deployment record is another's promotion": in_record(
        lambda data: data.update(promotion="c0ffee" * 6 + "c0ff")
    ),
    "the deployment record is another stage's": in_record(lambda data: data.update(stage="prod")),
    "the deployment record lies about the past": in_record(
        lambda data: data["previous"][0].update(sha256="ab" * 32)  # type: ignore[index]
    ),
    "the stage's bytes were altered": in_store(b"two", alter),
    "the stage's bytes are gone": in_store(b"two", os.unlink),
    "the target was altered": alter_target,
    "the stage's memory of main is torn": torn("towpath/main.json"),
}
"""What ``towpath verify`` finds, and what is green again once its hints were followed."""
