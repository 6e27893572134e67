"""Git's configuration of signatures is obeyed for all that Towpath commits and tags."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from publishing_project import Keys, Project, demand, origin_of, signing_project, take

from command_line import call_towpath
from own_home import IDENTITY, MAIN, move_in
from towpath import registry
from towpath.backends.git import refs
from towpath.errors import RegistryError


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
    registry.reject_version(project.repository, f"abalone@{first}", "leaked labels")
    assert registry.find_version(project.repository, f"abalone@{first}").rejected == "leaked labels"
    assert headed(project, f"abalone@{first}!#2")


def test_a_refused_main_is_not_left_ahead(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys, "recorded")
    origin = origin_of(project, tmp_path / "origin.git")
    first = project.register(b"one")
    approve = take(project, first, "dev")
    demand(origin)
    project.git("config", "commit.gpgSign", "false")
    before = project.git("rev-parse", "main")
    with pytest.raises(RegistryError, match=r"origin refused main: .*GH006"):
        approve()
    assert project.git("rev-parse", "main", "origin/main").split() == [before, before]
    project.git("config", "commit.gpgSign", "true")
    project.git("branch", "-qD", f"promote/abalone-{first}-dev")
    project.git("push", "-q", "origin", f":promote/abalone-{first}-dev")
    assert take(project, first, "dev")().pushed


def test_a_work_tree_in_the_way_of_a_merge_that_was_pushed(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys)
    origin_of(project, tmp_path / "origin.git")
    first = project.register(b"one")
    approve = take(project, first, "dev")
    project.write("registry/stages/dev/abalone.yaml", "mine\n")
    with pytest.raises(RegistryError, match="main here could not follow"):
        approve()
    (project.root / "registry/stages/dev/abalone.yaml").unlink()
    project.git("pull", "-q", "--ff-only", "origin", "main")
    assert registry.read_promotions(project.repository)[-1].version


def test_a_candidate_is_signed_and_its_number_too(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys)
    origin_of(project, tmp_path / "origin.git")
    project.git("config", "remote.pushDefault", "origin")
    project.register(b"one")
    (tag,) = refs.list_refs(project.repository, "refs/tags/abalone@*")
    assert tag.signature.startswith("-----BEGIN SSH SIGNATURE-----")
    assert "SIGNATURE" not in tag.message
    version = registry.find_version(project.repository, "abalone@latest")
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
    assert registry.find_version(project.repository, "abalone@latest").summary["kind"] == "bin"


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
    assert refs.list_ref_names(project.repository, "refs/tags", "refs/towpath") == ()


def test_a_description_that_looks_like_a_signature(tmp_path: Path, keys: Keys) -> None:
    """Git takes the last line that begins so for where the message ends."""
    project = signing_project(tmp_path, keys)
    hostile = "fine\n-----BEGIN PGP SIGNATURE-----\n\nnot one"
    project.git("config", "tag.gpgSign", "false")
    plain = project.register(b"one", description=hostile)
    project.git("config", "tag.gpgSign", "true")
    signed = project.register(b"two", description=hostile)
    for number in (plain, signed):
        assert (
            registry.find_version(project.repository, f"abalone@{number}").summary["kind"] == "bin"
        )
    assert headed(project, f"abalone@{signed}")
    registry.reject_version(
        project.repository, f"abalone@{plain}", "-----BEGIN SSH SIGNATURE-----\nx"
    )
    assert "BEGIN SSH" in (
        registry.find_version(project.repository, f"abalone@{plain}").rejected or ""
    )


def test_a_shared_registrys_clone_signs_as_the_project_does(tmp_path: Path, keys: Keys) -> None:
    from towpath.backends.git import Repository, remotes

    project = signing_project(tmp_path, keys)
    clone = remotes.begin_clone(tmp_path / "clone.git", str(tmp_path))
    for name, value in (("tag.gpgSign", "true"), ("commit.gpgSign", "false")):
        project.git("config", name, value)
        remotes.follow_settings(clone, project.repository)
        assert clone.read_setting(name) == value
    project.git("config", "--unset", "tag.gpgSign")
    remotes.follow_settings(clone, Repository.open(project.root))
    assert clone.read_setting("tag.gpgSign") is None
    assert clone.read_setting("gpg.format") == "ssh"


# `towpath verify --signatures`


def verified(project: Project, *words: str) -> tuple[int, str]:
    """What the command says, and its exit code."""
    done = call_towpath(project.root, "verify", "--signatures", "--offline", *words)
    return done.returncode, done.stdout


def signed(project: Project) -> dict[str, str]:
    """How the signature of each thing stands."""
    found = json.loads(verified(project, "--json")[1])["verification"]["signatures"]
    return {one["name"]: one["signature"]["standing"] for one in found}


def test_verify_lists_who_signed_each(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys)
    origin_of(project, tmp_path / "origin.git")
    take(project, project.register(b"one"), "dev")()
    assert project.apply("dev").exit_code == 0
    registry.reject_version(project.repository, f"abalone@{project.register(b'two')}", "leaked")
    code, said = verified(project)
    assert code == 0, said
    assert said.count("bo@example.org") == 6
    assert set(signed(project).values()) == {"good"}
    shown = call_towpath(project.root, "show", "abalone@v1.0.0")
    assert "by bo@example.org (ED25519 key SHA256:" in shown.stdout


def test_an_unsigned_version_is_found_and_the_hint_leads_to_green(
    tmp_path: Path, keys: Keys
) -> None:
    project = signing_project(tmp_path, keys)
    project.git("config", "tag.gpgSign", "false")
    project.register(b"one")
    code, said = verified(project)
    assert code == 3
    assert "signature: abalone@v1.0.0" in said and "nobody signed it" in said
    assert "git config tag.gpgSign true; then towpath reject 'abalone@v1.0.0'" in said
    project.git("config", "tag.gpgSign", "true")
    registry.reject_version(project.repository, "abalone@v1.0.0", "unsigned")
    assert project.register(b"one") == "v1.0.1"
    assert verified(project)[0] == 0


def test_a_key_that_main_does_not_name(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys, "recorded")
    project.git("config", "user.signingkey", str(keys.make("mallory")))
    project.register(b"one")
    code, said = verified(project)
    assert code == 3
    assert "which registry/allowed_signers of main does not name" in said
    assert signed(project) == {"abalone@v1.0.0": "unknown"}
    allowed = keys.allowed(bo="bo@example.org", mallory="new@example.org")
    project.write("registry/allowed_signers", allowed)
    project.git("config", "user.signingkey", str(keys.make("bo")))
    project.commit("a signer")
    assert verified(project)[0] == 0


def test_a_signature_of_another_message_does_not_hold(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys)
    project.register(b"one")
    text = project.git("cat-file", "tag", "abalone@v1.0.0")
    altered = tmp_path / "altered"
    altered.write_text(text.replace('"kind":"bin"', '"kind":"skops"') + "\n")
    fake = project.git("hash-object", "-t", "tag", "-w", str(altered))
    project.git("update-ref", "refs/tags/abalone@v1.0.0", fake)
    code, said = verified(project)
    assert code == 3
    assert "its signature does not hold" in said
    assert signed(project) == {"abalone@v1.0.0": "bad"}


def test_a_program_of_ones_own_signs_and_judges_nothing(tmp_path: Path, keys: Keys) -> None:
    """Programs of agents only sign; and one may say what it likes."""
    project = signing_project(tmp_path, keys)
    project.git("config", "user.signingkey", str(keys.make("mallory")))
    program = tmp_path / "ssh-keygen.sh"
    said = 'Good "git" signature for bo@example.org with ED25519 key SHA256:x'
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in "-Y sign"*) exec ssh-keygen "$@";; esac\n'
        f"echo '{said}'; echo '{said}' >&2\n"
    )
    program.chmod(0o755)
    project.git("config", "gpg.ssh.program", str(program))
    project.register(b"one")
    assert signed(project)["abalone@v1.0.0"] == "unknown"


def test_no_signers_on_main_is_one_finding_that_says_so(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys)
    (project.root / "registry/allowed_signers").unlink()
    project.commit("no signers")
    project.register(b"one")
    code, said = verified(project)
    assert code == 3
    assert "it is not on main, so nobody's signature is known" in said


def test_many_signed_tags_are_listed_as_quickly_as_others() -> None:
    """The message is cut where it was signed, at next to no cost."""
    import time

    from towpath.backends.git import signatures

    line = 'towpath: {"schema":1,"key":"' + "a" * 64 + '","metrics":{"mse":4.5}}\n'
    block = "-----BEGIN SSH SIGNATURE-----\n" + "x" * 300 + "\n-----END SSH SIGNATURE-----\n"
    messages = [f"abalone v1.0.{n}\n\n{line}{block}" for n in range(10_000)]
    start = time.process_time()
    assert all(signatures.strip_signature(message).endswith("}}\n") for message in messages)
    assert time.process_time() - start < 0.2


def test_a_lost_tag_comes_back_with_its_signature(tmp_path: Path, keys: Keys) -> None:
    project = signing_project(tmp_path, keys)
    origin_of(project, tmp_path / "origin.git")
    first = project.register(b"one")
    take(project, first, "dev")()
    assert project.apply("dev").exit_code == 0
    before = project.git("rev-parse", f"refs/tags/abalone@{first}")
    project.git("tag", "-d", f"abalone@{first}")
    project.git("config", "user.signingkey", str(keys.make("mallory")))
    done = call_towpath(project.root, "restore", f"abalone@{first}")
    assert done.returncode == 0, done.stderr
    assert project.git("rev-parse", f"refs/tags/abalone@{first}") == before
