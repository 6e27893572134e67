"""What reaches a remote, what is said of it, and what a person's Git settings change of that."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from publishing_project import Project, demand, origin_of

from command_line import call_towpath
from own_home import IDENTITY, MAIN, CopyWorld, move_in
from reconcile_project import initialised
from towpath import registry
from towpath.backends.git import remotes
from towpath.errors import RegistryError
from towpath.registry import UnpublishedTags
from towpath.versions import push_and_pull
from towpath.workspace import Workspace


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; nothing of the machine's settings reaches a test."""
    for name in ("SITE_CACHE_DIR", "GLOBAL_CONFIG_DIR", "SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(f"DVC_{name}", os.fspath(tmp_path / "dvc" / name.lower()))
    return move_in(tmp_path / "home", IDENTITY + MAIN, monkeypatch)


def build(folder: Path) -> None:
    initialised(folder / "shells", "[dev]").register(b"one")


@pytest.fixture
def project(home: Path, tmp_path: Path, copy_world: CopyWorld) -> Project:  # noqa: ARG001
    """A project with v1.0.0, numbered before there was a remote."""
    copy_world(build, tmp_path)
    return Project(tmp_path / "shells")


def towpath(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, as a person calls it."""
    return call_towpath(project.root, *words)


def candidate(project: Project, content: bytes) -> registry.RegisteredVersion:
    """A version that waits for its number."""
    from msgspec.structs import replace

    from towpath.registry import Registration

    last = registry.get_version(project.repository, "abalone@v1.0.0").record
    artifact = project.workspace.store.put_bytes(content, "model.bin")
    fresh = replace(last, key=artifact.digest * 2, version=None, bump=None, artifact=artifact)
    head = project.git("rev-parse", "HEAD")
    return registry.register_version(project.repository, Registration(fresh, head, {}))


def names(done: tuple[registry.RegisteredVersion, ...]) -> list[str]:
    return [str(one) for one in done]


# G11: push says truly what it did


def test_push_says_what_it_published(project: Project, tmp_path: Path) -> None:
    registry.reject_version(project.repository, "abalone@v1.0.0", "leaked")
    origin = origin_of(project, tmp_path / "origin.git")
    candidate(project, b"two")
    done = towpath(project, "push")
    assert done.returncode == 0, done.stderr
    said = "registry origin: pushed abalone@v1.0.0, abalone@v1.0.0!#1, abalone@v1.0.1"
    assert said in done.stderr
    assert "registry origin: pushed nothing new" in towpath(project, "push").stderr
    there = subprocess.run(
        ["git", "tag"], cwd=origin, capture_output=True, text=True
    ).stdout.split()
    assert there == ["abalone@v1.0.0", "abalone@v1.0.0!#1", "abalone@v1.0.1"]


def test_bytes_that_nobody_else_has_are_said_loudly(project: Project, tmp_path: Path) -> None:
    origin_of(project, tmp_path / "origin.git")
    done = towpath(project, "push")
    words = " ".join(done.stderr.split())
    assert "the bytes of abalone@v1.0.0 are on this machine alone: there is no DVC remote" in words
    assert "dvc remote add -d NAME URL" in words
    project.write(".dvc/config", f"[core]\nremote = r\n['remote \"r\"']\nurl = {tmp_path}/r\n")
    candidate(project, b"two")
    done = towpath(project, "push")
    assert "the bytes of" not in done.stderr
    assert "abalone@v1.0.1" in done.stderr
    lost = candidate(project, b"three")
    (project.root / ".dvc/cache/files/md5" / lost.key[:2] / lost.key[2:32]).unlink()
    done = towpath(project, "push")
    assert "the bytes of abalone@v1.0.2 are not on r" in " ".join(done.stderr.split())


@pytest.mark.parametrize("how", ["lightweight", "annotated", "another's record", "not a commit"])
def test_a_tag_that_towpath_did_not_make_stays_here(
    project: Project, tmp_path: Path, how: str
) -> None:
    origin = origin_of(project, tmp_path / "origin.git")
    words = {
        "lightweight": ("abalone@v7.0.0",),
        "annotated": ("-a", "-m", "by hand", "abalone@v7.0.0"),
        "another's record": ("-a", "-m", "x", "abalone@v7.0.0", "abalone@v1.0.0^{commit}"),
        "not a commit": ("-a", "-m", "x", "abalone@v7.0.0", "HEAD^{tree}"),
    }[how]
    project.git("tag", *words)
    done = towpath(project, "push")
    assert done.returncode == 0, done.stderr
    assert "registry origin: pushed abalone@v1.0.0\n" in done.stderr
    said = " ".join(done.stderr.split())
    assert "abalone@v7.0.0 was not pushed: " in said
    there = subprocess.run(["git", "tag"], cwd=origin, capture_output=True, text=True)
    assert there.stdout.split() == ["abalone@v1.0.0"]
    assert "towpath restore abalone@v7.0.0 sets it aside" in said
    before = project.git("rev-parse", "refs/tags/abalone@v7.0.0")
    assert towpath(project, "restore", "abalone@v7.0.0").returncode == 0
    assert "was not pushed" not in towpath(project, "push").stderr
    assert before in project.git("for-each-ref", "refs/towpath/set-aside")


@pytest.mark.parametrize(
    ("ref", "target"),
    [
        ("refs/towpath/candidates/abalone/0123456789abcdef", "HEAD"),
        ("refs/towpath/candidates/abalone", "HEAD"),
        ("refs/towpath/candidates/Not A Model/x".replace(" ", "-"), "HEAD"),
        ("refs/towpath/candidates/other/00", "abalone@v1.0.0"),
        ("refs/towpath/candidates/abalone/00", "HEAD^{tree}"),
    ],
)
def test_one_bad_candidate_keeps_no_other_from_being_published(
    project: Project, tmp_path: Path, ref: str, target: str
) -> None:
    origin_of(project, tmp_path / "origin.git")
    good = None if ref.endswith("candidates/abalone") else candidate(project, b"two")
    project.git("update-ref", ref, project.git("rev-parse", target))
    with pytest.raises(UnpublishedTags, match=ref) as left:
        registry.publish_registry(project.repository)
    assert names(left.value.published) == ["abalone@v1.0.0"] + ["abalone@v1.0.1"] * bool(good)
    done = towpath(project, "push")
    assert done.returncode == 1
    assert ref in done.stderr
    assert "Traceback" not in done.stderr
    assert towpath(project, "models").returncode == 0
    project.git("update-ref", "-d", ref)  # as the hint says
    assert registry.publish_registry(project.repository) == ()


def test_what_was_published_before_a_refusal_is_said(project: Project, tmp_path: Path) -> None:
    origin = origin_of(project, tmp_path / "origin.git")
    candidate(project, b"two")
    rule = "*v1.0.0) echo 'error: no old ones' >&2; exit 1;;"
    demand(origin, f"#!/bin/sh\nwhile read -r old new ref; do case $ref in {rule} esac; done\n")
    done = towpath(project, "push")
    assert done.returncode == 1
    assert "registry origin: pushed abalone@v1.0.1" in done.stderr
    assert "origin refused abalone@v1.0.0: " in done.stderr
    assert "no old ones" in done.stderr
    done = towpath(project, "push", "--json")
    assert '"kind": "error"' in done.stdout


def test_one_number_for_two_versions_keeps_no_candidate_back(
    project: Project, tmp_path: Path
) -> None:
    other = initialised(tmp_path / "other", "[dev]")
    other.register(b"something else")
    origin = origin_of(project, tmp_path / "origin.git")
    other.git("push", "-q", str(origin), "abalone@v1.0.0")
    candidate(project, b"two")
    with pytest.raises(UnpublishedTags, match="are two different versions"):
        registry.publish_registry(project.repository)


# G12: a version that is only here outlives `git fetch`


@pytest.mark.parametrize("where", ["fetch", "remote.origin"])
def test_a_plain_fetch_that_prunes_takes_no_version(
    project: Project, tmp_path: Path, where: str
) -> None:
    registry.reject_version(project.repository, "abalone@v1.0.0", "leaked")
    project.register(b"two")
    origin = origin_of(project, tmp_path / "origin.git")
    project.git("config", "fetch.prune", "true")
    project.git("config", f"{where}.pruneTags", "true")
    project.git("fetch", "-q", "origin")
    assert project.git("tag") == "", "Git deletes them"
    model = registry.known_model(project.repository, "abalone")
    assert [(str(v), v.rejected) for v in model.versions] == [
        ("abalone@v1.0.0", "leaked"),
        ("abalone@v1.0.1", None),
    ]
    shown = towpath(project, "models")
    assert "only here: abalone@v1.0.0, abalone@v1.0.0!#1, abalone@v1.0.1" in shown.stderr
    assert "towpath push" in shown.stderr
    assert "only here" in towpath(project, "show", "abalone@v1.0.1").stderr
    doctor = towpath(project, "doctor")
    assert doctor.returncode == 4
    assert "2 versions and 1 rejection are only here" in " ".join(doctor.stdout.split())
    waiting = candidate(project, b"three")
    assert waiting.version is None
    assert project.git("tag").split() == ["abalone@v1.0.0", "abalone@v1.0.0!#1", "abalone@v1.0.1"]
    done = registry.publish_registry(project.repository)
    assert names(done) == [
        "abalone@v1.0.0",
        "abalone@v1.0.0!#1",
        "abalone@v1.0.1",
        "abalone@v1.0.2",
    ]
    assert project.git("for-each-ref", "refs/towpath") == ""
    assert registry.only_here(project.repository) == ()
    project.git("fetch", "-q", "origin")
    assert len(project.git("tag").split()) == 4
    assert "only here" not in towpath(project, "models").stderr
    there = subprocess.run(["git", "tag"], cwd=origin, capture_output=True, text=True)
    assert len(there.stdout.split()) == 4


def test_a_tag_that_a_person_deleted_is_gone(project: Project, tmp_path: Path) -> None:
    """Without a remote nothing prunes: what is not there any more was taken away."""
    project.register(b"two")
    project.git("tag", "-d", "abalone@v1.0.0")
    assert towpath(project, "show", "abalone@v1.0.0").returncode == 2
    project.register(b"three")
    origin_of(project, tmp_path / "origin.git")
    done = names(registry.publish_registry(project.repository))
    assert "abalone@v1.0.0" not in done and len(done) == 2


def test_towpath_fetch_brings_a_pruned_version_back(project: Project, tmp_path: Path) -> None:
    origin_of(project, tmp_path / "origin.git")
    project.git("fetch", "-q", "--prune", "origin", "+refs/tags/*:refs/tags/*")
    assert project.git("tag") == ""
    registry.fetch_registry(project.repository)
    assert project.git("tag") == "abalone@v1.0.0"


def test_a_version_whose_number_another_took_goes_as_the_hint_says(
    project: Project, tmp_path: Path
) -> None:
    origin = origin_of(project, tmp_path / "origin.git")
    other = initialised(tmp_path / "other", "[dev]")
    other.register(b"something else")
    other.git("push", "-q", str(origin), "abalone@v1.0.0")
    mine = project.git("rev-parse", "refs/tags/abalone@v1.0.0")
    with pytest.raises(RegistryError, match="are two different versions") as refused:
        registry.fetch_registry(project.repository)
    hint = str(refused.value.faults[0].hint).partition("else ")[2].partition(" keeps yours")[0]
    subprocess.run(["bash", "-c", hint], cwd=project.root, check=True, capture_output=True)
    registry.fetch_registry(project.repository)
    assert project.git("for-each-ref", "--format=%(objectname)", "refs/towpath") == mine
    assert project.git("rev-parse", "refs/tags/abalone@v1.0.0") != mine
    assert registry.publish_registry(project.repository) == ()


# What a person's Git is configured to do on their own pushes and fetches changes nothing

# Those that take or bring most stand alone, for what is taken by one cannot be brought by another.
SETTINGS = {
    "pushing": (
        "push.default=nothing",
        "push.followTags=true",
        "push.gpgSign=if-asked",
        "push.pushOption=ci.skip",
        "push.recurseSubmodules=on-demand",
        "push.useForceIfIncludes=true",
        "push.negotiate=true",
        "branch.main.pushRemote=elsewhere",
    ),
    "fetching": (
        "fetch.all=true",
        "fetch.output=compact",
        "fetch.fsckObjects=true",
        "fetch.parallel=0",
        "fetch.recurseSubmodules=on-demand",
        "fetch.writeCommitGraph=true",
        "transfer.fsckObjects=true",
        "transfer.unpackLimit=1",
        "receive.fsckObjects=true",
    ),
    "pruning": (
        "remote.origin.prune=true",
        "remote.origin.pruneTags=true",
        "fetch.prune=true",
        "fetch.pruneTags=true",
    ),
    "the rest": (
        "remote.pushDefault=elsewhere",
        "submodule.recurse=true",
        "tag.sort=-version:refname",
        "log.showSignature=true",
        "gpg.format=ssh",
        "i18n.commitEncoding=ISO-8859-1",
    ),
    "signing": ("push.gpgSign=true",),
    "mirror": ("remote.origin.mirror=true",),
    "a place for pushes": ("remote.origin.push=refs/heads/*:refs/heads/stolen/*",),
    "branches over branches": ("remote.origin.fetch=+refs/heads/*:refs/heads/*",),
    "all over all": ("remote.origin.fetch=+refs/*:refs/*",),
    "all tags": ("remote.origin.tagOpt=--tags",),
    "no tags": ("remote.origin.tagOpt=--no-tags",),
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=list(SETTINGS))
def test_a_setting_of_ones_own_changes_nothing(
    project: Project, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    origin = origin_of(project, tmp_path / "origin.git")
    for setting in settings:
        key, _, value = setting.partition("=")
        project.git("config", "--add", key, value)
    project.git("config", "--add", "fetch.prune", "true")
    project.git("tag", "mine")
    project.git("branch", "work")
    local = project.git("for-each-ref", "refs/heads", "refs/tags/mine")
    second = candidate(project, b"two")
    done = registry.publish_registry(project.repository)
    assert names(done) == ["abalone@v1.0.0", "abalone@v1.0.1"]
    assert second.key == done[1].key
    fetched = registry.fetch_registry(project.repository)
    assert fetched == ()
    head = project.git("rev-parse", "HEAD")
    assert remotes.push_branch(project.repository, "origin", "promote/x", head, None) is None
    assert remotes.delete_branch(project.repository, "origin", "promote/x", head)
    assert project.git("for-each-ref", "refs/heads", "refs/tags/mine") == local
    there = subprocess.run(
        ["git", "for-each-ref", "--format=%(refname)"], cwd=origin, capture_output=True, text=True
    )
    assert there.stdout.split() == [
        "refs/heads/main",
        "refs/tags/abalone@v1.0.0",
        "refs/tags/abalone@v1.0.1",
    ]


@pytest.mark.parametrize("key", ["insteadOf", "pushInsteadOf"])
def test_an_address_that_is_another(project: Project, tmp_path: Path, key: str) -> None:
    origin = origin_of(project, tmp_path / "origin.git")
    url = str(origin) if key == "pushInsteadOf" else "acme:shells.git"
    project.git("config", "remote.origin.url", url)
    project.git("config", f"url.file://{origin}.{key}", url)
    assert names(registry.publish_registry(project.repository)) == ["abalone@v1.0.0"]


HOOKS = {
    "refuses": ("echo 'no pushes on Fridays' >&2; exit 1", "no pushes on Fridays"),
    "says nothing": ("exit 1", "it said nothing"),
    "is no program": ("exec /nowhere/at/all", "nowhere/at/all"),
}


@pytest.mark.parametrize("how", HOOKS)
def test_a_pre_push_hook_that_refuses_is_heard(project: Project, tmp_path: Path, how: str) -> None:
    script, words = HOOKS[how]
    origin_of(project, tmp_path / "origin.git")
    hook = project.root / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{script}\n")
    hook.chmod(0o755)
    with pytest.raises(RegistryError) as refused:
        registry.publish_registry(project.repository)
    assert words in str(refused.value)
    assert "cannot be reached" not in str(refused.value)


def test_a_slow_pre_push_hook_is_waited_for(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from towpath.backends.git import git_command

    monkeypatch.setattr(git_command, "SILENCE", 0.5)
    origin_of(project, tmp_path / "origin.git")
    hook = project.root / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nsleep 1.5\n")
    hook.chmod(0o755)
    assert names(registry.publish_registry(project.repository)) == ["abalone@v1.0.0"]


Refusal = Callable[[Project, Path], None]


def _transfer_credentials(project: Project, _: Path) -> None:
    project.git("config", "transfer.credentialsInUrl", "die")
    project.git("config", "remote.origin.url", "https://ada:secret@127.0.0.1:1/x.git")


def _protocol(project: Project, _: Path) -> None:
    project.git("config", "protocol.file.allow", "never")


def _hidden(_: Project, origin: Path) -> None:
    demand(origin, "#!/bin/sh\necho 'error: GH013: no tags' >&2\nexit 1\n")


@pytest.mark.parametrize(
    ("refuse", "words"),
    [
        (_transfer_credentials, "plaintext credentials"),
        (_protocol, "transport 'file' not allowed"),
        (_hidden, "GH013: no tags"),
    ],
)
def test_a_refusal_is_not_a_remote_that_is_away(
    project: Project, tmp_path: Path, refuse: Refusal, words: str
) -> None:
    origin = origin_of(project, tmp_path / "origin.git")
    refuse(project, origin)
    with pytest.raises(RegistryError) as refused:
        registry.publish_registry(project.repository)
    assert words in str(refused.value)
    assert "cannot be reached" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_unshallowing_takes_no_tag(project: Project, tmp_path: Path) -> None:
    origin = origin_of(project, tmp_path / "origin.git")
    project.write("more", "more")
    project.commit("more")
    project.git("push", "-q", "origin", "main")
    shallow = Project(tmp_path / "shallow")
    project.git("clone", "-q", "--depth", "1", f"file://{origin}", str(shallow.root))
    shallow.git("tag", "abalone@v3.0.0")
    for key in ("fetch.prune", "fetch.pruneTags"):
        shallow.git("config", key, "true")
    remotes.deepen_clone(shallow.repository, "origin")
    assert not shallow.repository.is_shallow()
    assert shallow.git("tag") == "abalone@v3.0.0"


def test_pushing_through_the_engine_says_the_same(project: Project, tmp_path: Path) -> None:
    origin_of(project, tmp_path / "origin.git")
    moved = push_and_pull.push_project(Workspace(project.root))
    assert (moved.versions, moved.failure) == (("abalone@v1.0.0",), None)


JUNK = {
    "a blob": ("abalone@v3.0.0", "HEAD:towpath.yaml"),
    "a tree": ("abalone@v3.1.0", "HEAD^{tree}"),
    "a tag of a tree": ("abalone@v3.2.0", None),
    "no model of ours": ("Übung@v1.0.0", "HEAD"),
    "a line's end": ("abalone@v3.3.0\u2028x", "HEAD"),
    "below a version": ("abalone@v2.0.0/x", "HEAD"),
    "a rejection of nothing": ("abalone@v3.4.0!#1", "HEAD"),
    "a stage's": ("abalone#dev#1", "HEAD^{tree}"),
}


def test_junk_on_a_remote_is_fetched_and_breaks_nothing(project: Project, tmp_path: Path) -> None:
    origin_of(project, tmp_path / "origin.git")
    registry.publish_registry(project.repository)
    for name, target in JUNK.values():
        if target is None:
            project.git("tag", "-a", "-m", 'x\n\ntowpath: {"schema":1}', name, "HEAD^{tree}")
        else:
            project.git("update-ref", f"refs/tags/{name}", project.git("rev-parse", target))
        project.git("push", "-q", "origin", f"refs/tags/{name}:refs/tags/{name}")
    other = Project(tmp_path / "other")
    project.git("clone", "-q", "--no-tags", str(tmp_path / "origin.git"), str(other.root))
    for words in (["fetch"], ["models"], ["show", "abalone@v1.0.0"], ["verify", "--signatures"]):
        done = towpath(other, *words)
        assert done.returncode in (0, 3), done.stderr
        assert "Traceback" not in done.stderr
    assert {name for name, _ in JUNK.values()} <= set(other.git("tag").split("\n"))
    assert names(registry.publish_registry(other.repository)) == []
    assert registry.known_model(other.repository, "abalone").find_number(
        registry.VersionNumber(1, 0, 0)
    )
