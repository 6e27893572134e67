"""How the hint of each thing that goes wrong with main's rules and its signers is followed."""

from __future__ import annotations

import subprocess

from hint_troubles import (
    DOCTOR,
    LOCALLY,
    PLAN,
    after,
    git,
    remove,
    rename_main,
    two_projects,
    unsigned_rules,
    write,
)
from hint_world import POLICY, Case, Hand, run, towpath

from audit_project import Project

SIGNERS = "registry/allowed_signers"
_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIMJh6/w71oY7pzBypieMM7dnB42HpbpLOvBCJC2XAAAA"
SOUND = f"ada@example.org ssh-ed25519 {_KEY}\n"
"""A line of a signer, whose key nobody holds."""
TORN = "ada@example.org ssh-ed25519 AAAA\n"
BACK = r"git checkout \w+\^ -- ':/[^']+'"
CLAIM = r"towpath claim abalone"
ALL_SIGNED = f"{POLICY}policy: {{versions: signed}}\n"


def _own_key(project: Project) -> str:
    """Ada's key, with which Git signs where it is told to; her line among the signers."""
    key = project.root.parent / "ada"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    project.git("config", "gpg.format", "ssh")
    project.git("config", "user.signingKey", str(key))
    kind, public, *_ = key.with_suffix(".pub").read_text().split()
    return f"ada@example.org {kind} {public}\n"


def _demand(project: Project) -> None:
    """Each version must be signed from now on, and the one that dev runs is not."""
    project.write(SIGNERS, _own_key(project))
    write("towpath.yaml", ALL_SIGNED)(project)
    towpath(project, "reject", "abalone@v1.0.0", "--reason", "nobody signed it")


def _next_version(project: Project) -> None:
    """Run again what made the version, and promote what follows it."""
    made = project.register(b"two", parameters={"learning_rate": 0.08})
    assert "SSH SIGNATURE" in project.git("cat-file", "tag", made)
    run(project, f"towpath promote {made} --to dev")


def _break_rules(project: Project) -> None:
    """Main's declaration is no YAML; the work tree's is as it was."""
    before = project.read("towpath.yaml")
    write("towpath.yaml", "name: [\n")(project)
    project.write("towpath.yaml", before)


def _lose_rules(project: Project) -> None:
    """Main's declaration is gone; the work tree's is as it was."""
    before = project.read("towpath.yaml")
    remove("towpath.yaml")(project)
    project.write("towpath.yaml", before)


def _penguins_of_nobody(project: Project) -> None:
    """A model that came when there were two projects, and whose claim was taken away."""
    two_projects(project)
    run(project, "towpath claim abalone")
    project.commit("claimed")
    version = project.register(b"three", model="penguins")
    project.promote(version, "dev")
    remove("registry/models/penguins/project.yaml")(project)


def _stay_behind(project: Project) -> None:
    """The remote calls its main otherwise, which is known here; the branch is still the old one,
    with a commit that is nowhere else."""
    rename_main(project)
    run(project, "towpath fetch")
    write("notes.txt", "committed upon the old one\n")(project)


def _make_key(project: Project) -> None:
    """The key that the hint names."""
    line = "mkdir -p ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519"
    run(project, line)


def _read_rules(project: Project) -> None:
    """What waits is shown, before anybody agrees to it."""
    code, out, _ = towpath(project, "approve", "--rules")
    assert (code, "+name: abalone2" in out) == (4, True), out


def _write_signer(project: Project) -> None:
    write(SIGNERS, SOUND)(project)


_torn_signer: Hand = write(SIGNERS, TORN)

RULE_CASES: dict[str, Case] = {
    "a line that is no signer's": Case(
        _torn_signer, "this is no line of a signer", (_write_signer,)
    ),
    "a line that is no signer's, for doctor": Case(
        _torn_signer, "this is no line of a signer", (_write_signer,), LOCALLY
    ),
    "a signer's key that is never valid": Case(
        write(
            SIGNERS,
            SOUND.replace(" ssh-", ' valid-after="20260601",valid-before="20260101" ssh-'),
        ),
        "so the key is never valid",
        (
            write(
                SIGNERS,
                SOUND.replace(" ssh-", ' valid-after="20260601",valid-before="20270101" ssh-'),
            ),
        ),
    ),
    "a version that runs, and must be signed": Case(
        _demand,
        "the policy wants each version's tag signed",
        (
            r"git config tag\.gpgSign true",
            r"towpath reject '\S+' --reason '\.\.\.'",
            _next_version,
        ),
    ),
    "versions that must be signed, and Git does not": Case(
        after(write(SIGNERS, SOUND), write("towpath.yaml", ALL_SIGNED)),
        "Git here does not sign tags",
        (
            _make_key,
            r"git config gpg\.format ssh",
            r"git config user\.signingkey [^;]+",
            r"git config tag\.gpgSign true",
        ),
        LOCALLY,
    ),
    "no signer may sign": Case(
        write("towpath.yaml", "name: abalone\nstages: {dev: {approval: signed}, prod: }\n"),
        "no signer is allowed",
        (_write_signer,),
        LOCALLY,
    ),
    "main's declaration is broken": Case(_break_rules, "this is not YAML", (BACK, "COMMIT")),
    "main's declaration is gone": Case(_lose_rules, "holds no towpath.yaml", (BACK, "COMMIT")),
    "rules that nobody agreed to": Case(
        unsigned_rules, "was changed", (_read_rules, r"towpath approve --rules \S+\.yaml"), PLAN
    ),
    "stores that nobody agreed to": Case(
        unsigned_rules, "was changed", (_read_rules, r"towpath approve --rules \S+\.yaml"), DOCTOR
    ),
    "a branch that main is not any more": Case(
        _stay_behind,
        "is no main branch",
        (r"git switch \w+", r"git branch -m \S+ \S+"),
        DOCTOR,
        remote=True,
    ),
    "a model that is nobody's": Case(
        two_projects, "it was that of the project in `.`", (CLAIM, "COMMIT"), LOCALLY
    ),
    "a second project that is none": Case(
        two_projects,
        "it was that of the project in `.`",
        (git("rm", "-q", "other/towpath.yaml"), "COMMIT"),
        LOCALLY,
    ),
    "a model that came to two projects": Case(
        _penguins_of_nobody,
        "nothing on main says whose `penguins` is, and main holds the projects",
        (r"towpath claim penguins", "COMMIT"),
        LOCALLY,
    ),
}
