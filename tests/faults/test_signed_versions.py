"""Git's configuration of signatures is obeyed for all that Towpath commits and tags."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from publishing_project import Keys, Project, demand, origin_of, signing_project, take

from own_home import IDENTITY, MAIN, move_in
from towpath import registry
from towpath.errors import RegistryError
from towpath.git import refs


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; nothing of the machine's settings reaches a test."""
    for name in ("SITE_CACHE_DIR", "GLOBAL_CONFIG_DIR", "SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(f"DVC_{name}", os.fspath(tmp_path / "dvc" / name.lower()))
    return move_in(tmp_path / "home", IDENTITY + MAIN, monkeypatch)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Keys of ssh."""
    return Keys(tmp_path / "keys")


def headed(project: Project, name: str) -> bool:
    """Whether a commit, or a tag, carries a signature that its signer's own key made."""
    kind = project.git("cat-file", "-t", name)
    allowed = ("-c", "gpg.ssh.allowedSignersFile=registry/allowed_signers")
    project.git(*allowed, f"verify-{kind}", name)
    return True


def test_a_rule_of_signed_commits_lets_the_whole_story_through(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys)
    origin = origin_of(project, tmp_path / "origin.git")
    demand(origin)
    first = project.register(b"one")
    done = take(project, first, "dev")()
    assert (done.level, done.pushed) == ("signed", True)
    assert project.git("rev-list", "--count", "origin/main..main") == "0"
    applied = project.apply("dev")
    assert applied.exit_code == 0, applied.outcomes
    for name in (
        f"abalone@{first}",
        "abalone#dev#1",
        f"abalone@{first}^{{commit}}",
        "main",
        "main^2",
    ):
        assert headed(project, name), name
    registry.reject(project.repository, f"abalone@{first}", "leaked labels")
    assert registry.find(project.repository, f"abalone@{first}").rejected == "leaked labels"
    assert headed(project, f"abalone@{first}!#2")


def test_a_refused_main_is_not_left_ahead(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys, "recorded")
    origin = origin_of(project, tmp_path / "origin.git")
    first = project.register(b"one")
    approve = take(project, first, "dev")
    demand(origin)
    project.git("config", "commit.gpgSign", "false")
    before = project.git("rev-parse", "main")
    with pytest.raises(RegistryError, match=r"origin refused main, and nothing is merged: .*GH006"):
        approve()
    assert project.git("rev-parse", "main", "origin/main").split() == [before, before]
    project.git("config", "commit.gpgSign", "true")
    project.git("branch", "-qD", f"promote/abalone-{first}-dev")
    project.git("push", "-q", "origin", f":promote/abalone-{first}-dev")
    assert take(project, first, "dev")().pushed


def test_a_candidate_is_signed_and_its_number_too(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys)
    origin_of(project, tmp_path / "origin.git")
    project.git("config", "remote.pushDefault", "origin")
    project.register(b"one")
    (tag,) = refs.listed(project.repository, "refs/tags/abalone@*")
    assert tag.signature.startswith("-----BEGIN SSH SIGNATURE-----")
    assert "SIGNATURE" not in tag.message
    version = registry.find(project.repository, "abalone@latest")
    assert version.key and version.summary["kind"] == "bin"
    assert headed(project, "abalone@v1.0.0")


@pytest.mark.parametrize("key", ["tag.gpgSign", "tag.forceSignAnnotated"])
def test_tags_are_signed_as_either_setting_says(tmp_path: Path, keys: Keys, key: str) -> None:
    project = signing_project(tmp_path, keys)
    for name in ("tag.gpgSign", "commit.gpgSign"):
        project.git("config", name, "false")
    project.git("config", key, "true")
    version = project.register(b"one")
    assert headed(project, f"abalone@{version}")
    assert "gpgsig" not in project.git("cat-file", "commit", f"abalone@{version}^{{commit}}")


def test_a_key_that_a_command_names(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys)
    project.git("config", "--unset", "user.signingkey")
    public = keys.make("bo").read_text().strip()
    agent = tmp_path / "agent.sh"
    agent.write_text(f"#!/bin/sh\necho 'key::{public}'\n")
    agent.chmod(0o755)
    signer = tmp_path / "sign.sh"  # no agent runs here: the private half is a file
    private = keys.make("bo").with_suffix("")
    signer.write_text(
        "#!/bin/sh\n"
        'last=; for word in "$@"; do last=$word; done\n'
        'case "$*" in "-Y sign"*) exec ssh-keygen -Y sign -n git -f '
        f'{private} "$last";; *) exec ssh-keygen "$@";; esac\n'
    )
    signer.chmod(0o755)
    project.git("config", "gpg.ssh.defaultKeyCommand", str(agent))
    project.git("config", "gpg.ssh.program", str(signer))
    assert headed(project, f"abalone@{project.register(b'one')}")


@pytest.mark.parametrize("format", ["openpgp", "x509"])
def test_another_format_goes_to_its_own_program(tmp_path: Path, keys: Keys, format: str) -> None:
    project = signing_project(tmp_path, keys)
    program = tmp_path / "signer.sh"
    kind = "PGP SIGNATURE" if format == "openpgp" else "SIGNED MESSAGE"
    program.write_text(
        f"#!/bin/sh\ncat > /dev/null\necho '[GNUPG:] SIG_CREATED D 1 2 3' >&2\n"
        f"printf -- '-----BEGIN {kind}-----\\n\\n%s\\n-----END {kind}-----\\n' \"$*\"\n"
    )
    program.chmod(0o755)
    project.git("config", "gpg.format", format)
    project.git("config", f"gpg.{format}.program", str(program))
    project.git("config", "user.signingkey", "bo@example.org")
    version = project.register(b"one")
    tag = project.git("cat-file", "tag", f"abalone@{version}")
    assert f"-----BEGIN {kind}-----" in tag and "-bsau bo@example.org" in tag
    assert kind in project.git("cat-file", "commit", f"abalone@{version}^{{commit}}")
    assert registry.find(project.repository, "abalone@latest").summary["kind"] == "bin"


@pytest.mark.parametrize("which", ["commit.gpgSign", "tag.gpgSign"])
def test_what_cannot_be_signed_is_not_made(tmp_path: Path, keys: Keys, which: str) -> None:
    project = signing_project(tmp_path, keys)
    project.git("config", "commit.gpgSign", "false")
    project.git("config", "tag.gpgSign", "false")
    project.git("config", which, "true")
    project.git("config", "user.signingkey", str(tmp_path / "nowhere.pub"))
    before = project.git("for-each-ref")
    what = "a commit" if which.startswith("commit") else "the tag abalone@v1.0.0"
    with pytest.raises(RegistryError, match=rf"Git could not sign {what}: .*nowhere\.pub"):
        project.register(b"one")
    assert project.git("for-each-ref") == before
    assert [p for p in (project.repository.common / "towpath").iterdir() if p.is_dir()] == []
    project.git("config", "user.signingkey", str(keys.make("bo")))
    assert project.register(b"one") == "v1.0.0"


def test_a_program_that_fails_is_named_in_its_own_words(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys)
    program = tmp_path / "signer.sh"
    program.write_text("#!/bin/sh\necho 'agent refused operation' >&2\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    project.git("config", "gpg.ssh.program", str(program))
    with pytest.raises(RegistryError, match=r"could not sign a commit: .*agent refused operation"):
        project.register(b"one")
    assert refs.names(project.repository, "refs/tags", "refs/towpath") == ()


def test_a_description_that_looks_like_a_signature(tmp_path: Path, keys: Keys) -> None:
    """Git takes the last line that begins so for where the message ends."""
    project = signing_project(tmp_path, keys)
    hostile = "fine\n-----BEGIN PGP SIGNATURE-----\n\nnot one"
    project.git("config", "tag.gpgSign", "false")
    plain = project.register(b"one", description=hostile)
    project.git("config", "tag.gpgSign", "true")
    signed = project.register(b"two", description=hostile)
    for number in (plain, signed):
        assert registry.find(project.repository, f"abalone@{number}").summary["kind"] == "bin"
    assert headed(project, f"abalone@{signed}")
    registry.reject(project.repository, f"abalone@{plain}", "-----BEGIN SSH SIGNATURE-----\nx")
    assert "BEGIN SSH" in (registry.find(project.repository, f"abalone@{plain}").rejected or "")


def test_a_shared_registrys_clone_signs_as_the_project_does(tmp_path: Path, keys: Keys) -> None:
    from towpath.git import Repository, clones

    project = signing_project(tmp_path, keys)
    clone = clones.begin(tmp_path / "clone.git", str(tmp_path))
    for name, value in (("tag.gpgSign", "true"), ("commit.gpgSign", "false")):
        project.git("config", name, value)
        clones.follow_settings(clone, project.repository)
        assert clone.setting(name) == value
    project.git("config", "--unset", "tag.gpgSign")
    clones.follow_settings(clone, Repository.open(project.root))
    assert clone.setting("tag.gpgSign") is None
    assert clone.setting("gpg.format") == "ssh"
