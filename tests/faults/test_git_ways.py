"""Git as people have it: whatever a hook, a front end or a person's settings say to Git, Towpath's
answers are the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from git_ways_showcase import WAITING, answers, tell

from command_line import call_towpath
from own_home import IDENTITY, MAIN, move_in
from promotion_project import Project, begin
from towpath import registry
from towpath.audit.verification import verify_registry
from towpath.backends.git import Repository, git_command
from towpath.delivery import promotion
from towpath.doctor import examine_project
from towpath.errors import Place, RegistryError, UserError
from towpath.registry import shared_registry
from towpath.workspace import Workspace

Settings = Mapping[str, str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home whose owner Git knows; nothing of the machine's settings reaches a test."""
    return move_in(tmp_path / "home", IDENTITY + MAIN, monkeypatch)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The showcase, which nobody may change."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("showcase")
        move_in(folder / "home", IDENTITY + MAIN, patch)
        return tell(folder / "abalone")


@pytest.fixture(scope="module")
def plain(told: Project) -> dict[str, Any]:
    """What is so, without anybody's settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GIT_CONFIG")]:
            patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        told.git("config", "user.email", "ada@example.org")
        return answers(told.root)


@pytest.fixture
def project(told: Project, tmp_path: Path) -> Project:
    """A copy of the showcase."""
    folder = tmp_path / "abalone"
    shutil.copytree(told.root, folder, symlinks=True)
    return Project(folder)


ENVIRONMENTS: dict[str, Settings] = {
    "magit": {"GIT_LITERAL_PATHSPECS": "1"},
    "glob": {"GIT_GLOB_PATHSPECS": "1"},
    "noglob": {"GIT_NOGLOB_PATHSPECS": "1"},
    "icase": {"GIT_ICASE_PATHSPECS": "1"},
    "dir": {"GIT_DIR": "/nowhere/.git"},
    "bare dir": {"GIT_DIR": "."},
    "work tree": {"GIT_WORK_TREE": "/nowhere"},
    "implicit": {"GIT_IMPLICIT_WORK_TREE": "0", "GIT_DIR": ".git"},
    "index": {"GIT_INDEX_FILE": "/nowhere/index"},
    "index version": {"GIT_INDEX_VERSION": "nonsense"},
    "common dir": {"GIT_COMMON_DIR": "/nowhere/.git"},
    "objects": {"GIT_OBJECT_DIRECTORY": "/nowhere/objects"},
    "alternates": {"GIT_ALTERNATE_OBJECT_DIRECTORIES": "/nowhere/objects"},
    "quarantine": {"GIT_QUARANTINE_PATH": "/nowhere/incoming"},
    "namespace": {"GIT_NAMESPACE": "other"},
    "prefix": {"GIT_PREFIX": "flows/"},
    "super prefix": {"GIT_INTERNAL_SUPER_PREFIX": "sub/"},
    "graft file": {"GIT_GRAFT_FILE": "{grafts}"},
    "shallow file": {"GIT_SHALLOW_FILE": "{shallow}"},
    "replace base": {"GIT_REPLACE_REF_BASE": "refs/other/"},
    "config file": {"GIT_CONFIG": "/nowhere/config"},
    "attributes": {"GIT_ATTR_SOURCE": "no-such-tree"},
    "system attributes": {"GIT_ATTR_NOSYSTEM": "1"},
    "external diff": {"GIT_EXTERNAL_DIFF": "false"},
    "diff options": {"GIT_DIFF_OPTS": "--unified=nonsense"},
    "ellipsis": {"GIT_PRINT_SHA1_ELLIPSIS": "yes"},
    "ref paranoia": {"GIT_REF_PARANOIA": "1"},
    "ref format": {"GIT_DEFAULT_REF_FORMAT": "reftable"},
    "hash": {"GIT_DEFAULT_HASH": "sha256"},
    "notes": {"GIT_NOTES_DISPLAY_REF": "refs/notes/*", "GIT_NOTES_REF": "refs/notes/x"},
    "pager": {"GIT_PAGER": "false", "GIT_PAGER_IN_USE": "true", "PAGER": "false"},
    "editor": {"GIT_EDITOR": "false", "GIT_SEQUENCE_EDITOR": "false"},
    "dates": {"GIT_COMMITTER_DATE": "no date", "GIT_AUTHOR_DATE": "no date"},
    "reflog": {"GIT_REFLOG_ACTION": "rebase (pick)"},
    "trace": {"GIT_TRACE": "1", "GIT_TRACE_SETUP": "1", "GIT_CURL_VERBOSE": "1"},
    "trace to the output": {"GIT_TRACE": "1", "GIT_TRACE2": "1", "GIT_TRACE_REFS": "1"},
    "flush": {"GIT_FLUSH": "0"},
    "lazy": {"GIT_NO_LAZY_FETCH": "1"},
    "locks": {"GIT_OPTIONAL_LOCKS": "1"},
    "columns": {"COLUMNS": "20", "TERM": "xterm"},
    "tongue": {"LANGUAGE": "de", "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"},
    "merge": {"GIT_MERGE_AUTOEDIT": "yes", "GIT_MERGE_VERBOSITY": "5"},
    "of a git -c": {"GIT_CONFIG_PARAMETERS": "'log.follow'='true' 'log.showSignature'='true'"},
    "of CI": {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "log.follow",
        "GIT_CONFIG_VALUE_0": "true",
        "GIT_CONFIG_KEY_1": "diff.orderFile",
        "GIT_CONFIG_VALUE_1": "/nowhere",
    },
}

SETTINGS: dict[str, Settings] = {
    "log": {
        "log.follow": "true",
        "log.showSignature": "true",
        "log.date": "relative",
        "log.mailmap": "true",
        "log.decorate": "full",
        "log.diffMerges": "dense-combined",
        "log.showRoot": "false",
        "log.abbrevCommit": "true",
        "format.pretty": "fuller",
        "format.notes": "true",
        "notes.displayRef": "refs/notes/*",
    },
    "diff": {
        "diff.external": "false",
        "diff.renames": "copies",
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "diff.orderFile": "/nowhere/order",
        "diff.ignoreSubmodules": "all",
        "diff.submodule": "log",
        "diff.relative": "true",
        "diff.context": "0",
        "diff.statGraphWidth": "1",
        "diff.suppressBlankEmpty": "true",
        "diff.wordRegex": ".",
    },
    "core": {
        "core.quotePath": "true",
        "core.abbrev": "4",
        "core.precomposeUnicode": "true",
        "core.untrackedCache": "true",
        "core.commentChar": "P",
        "core.pager": "false",
        "core.editor": "false",
        "core.sharedRepository": "group",
        "core.logAllRefUpdates": "always",
        "core.attributesFile": "{attributes}",
        "core.checkStat": "minimal",
        "core.trustctime": "false",
        "core.preloadIndex": "false",
        "core.fsmonitor": "true",
        "core.splitIndex": "true",
        "core.warnAmbiguousRefs": "true",
        "core.useReplaceRefs": "true",
        "core.multiPackIndex": "true",
        "core.commitGraph": "false",
    },
    "lists": {
        "column.ui": "always",
        "column.status": "always",
        "column.branch": "always",
        "tag.sort": "-creatordate",
        "branch.sort": "-committerdate",
        "versionsort.suffix": "-rc",
        "pager.log": "true",
        "pager.for-each-ref": "true",
    },
    "status": {
        "status.relativePaths": "false",
        "status.showUntrackedFiles": "no",
        "status.submoduleSummary": "true",
        "status.short": "true",
        "status.branch": "false",
        "status.showStash": "true",
        "status.renames": "copies",
        "status.aheadBehind": "true",
        "status.displayCommentPrefix": "true",
    },
    "encoding": {
        "i18n.logOutputEncoding": "latin1",
        "i18n.commitEncoding": "latin1",
        "gui.encoding": "latin1",
    },
    "merge": {
        "merge.ff": "false",
        "merge.verifySignatures": "true",
        "merge.autoStash": "true",
        "branch.main.mergeOptions": "--squash",
        "pull.twohead": "ours",
        "merge.default": "union",
    },
    "refs": {
        "transfer.hideRefs": "refs/tags",
        "uploadpack.hideRefs": "refs/tags",
        "receive.denyCurrentBranch": "refuse",
        "uploadpack.allowFilter": "false",
    },
    "housekeeping": {
        "gc.auto": "1",
        "gc.autoDetach": "false",
        "gc.pruneExpire": "now",
        "maintenance.auto": "true",
        "extensions.worktreeConfig": "true",
        "safe.bareRepository": "explicit",
        "feature.manyFiles": "true",
        "feature.experimental": "true",
        "index.threads": "1",
        "core.hooksPath": "/nowhere/hooks",
    },
    "trailers": {
        "trailer.separators": "=#",
        "trailer.where": "start",
        "trailer.ifexists": "replace",
        "trailer.ifmissing": "doNothing",
        "trailer.promotion.key": "Other",
        "trailer.promotion.command": "echo other",
    },
    "colours": {
        "color.ui": "always",
        "color.diff": "always",
        "color.status": "always",
        "color.branch": "always",
        "color.remote": "always",
        "color.push": "always",
        "color.transport": "always",
        "color.advice": "always",
        "color.decorate": "always",
        "color.interactive": "always",
    },
    "aliases": {
        "alias.log": "!false",
        "alias.status": "!false",
        "alias.for-each-ref": "!false",
        "help.autoCorrect": "immediate",
    },
    "lines": {"core.autocrlf": "true", "core.eol": "crlf", "core.safecrlf": "true"},
    "signing": {"commit.gpgSign": "true", "tag.gpgSign": "true", "push.gpgSign": "if-asked"},
    "submodules": {
        "submodule.recurse": "true",
        "push.recurseSubmodules": "check",
        "fetch.recurseSubmodules": "true",
    },
}


def differing(plain: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The commands that answer otherwise."""
    return [name for name in plain if found[name] != plain[name]]


def files_of(folder: Path) -> dict[str, str]:
    """Files that settings name: attributes that turn all about, a graft, a shallow boundary."""
    texts = {
        "attributes": "* text eol=crlf -diff export-ignore\n*.yaml filter=nonsense\n",
        "grafts": "",
        "shallow": "",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {name: str(folder / name) for name in texts}


def together(named: Mapping[str, Settings]) -> list[dict[str, Settings]]:
    """As few rounds as can be, in none of which a setting has two values: to ask everything takes
    a second, and whoever hears one setting answers otherwise with the others beside it as well."""
    rounds: list[dict[str, Settings]] = []
    for name, settings in named.items():
        for members in rounds:
            if not any(settings.keys() & other.keys() for other in members.values()):
                members[name] = settings
                break
        else:
            rounds.append({name: settings})
    return rounds


@pytest.mark.parametrize("environments", together(ENVIRONMENTS), ids=", ".join)
def test_an_environment_changes_no_answer(
    environments: dict[str, Settings],
    told: Project,
    plain: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = files_of(tmp_path)
    head = told.git("rev-parse", "main")
    for file in ("grafts", "shallow"):
        (tmp_path / file).write_text(f"{head}\n")
    for settings in environments.values():
        for variable, value in settings.items():
            monkeypatch.setenv(variable, value.format(**files))
    assert differing(plain, answers(told.root)) == []


@pytest.mark.parametrize("groups", together(SETTINGS), ids=", ".join)
def test_a_group_of_settings_changes_no_answer(
    groups: dict[str, Settings], told: Project, plain: dict[str, Any], home: Path, tmp_path: Path
) -> None:
    files = files_of(tmp_path)
    lines = [
        f"[{section}]\n\t{key} = {json.dumps(value.format(**files))}\n"
        for settings in groups.values()
        for name, value in settings.items()
        for section, key in [_section(name)]
    ]
    with (home / ".gitconfig").open("a") as file:
        file.writelines(lines)
    assert differing(plain, answers(told.root)) == []


def _section(name: str) -> tuple[str, str]:
    """A setting's section as a file of settings has it, and its key in there."""
    section, _, rest = name.partition(".")
    middle, _, key = rest.rpartition(".")
    return f'{section} "{middle}"' if middle else section, key


def set_up(project: Project, settings: Settings) -> None:
    """A person's own settings of this repository."""
    for key, value in settings.items():
        project.git("config", key, value)


def tree_of(project: Project, name: str) -> str:
    return project.git("rev-parse", f"{name}^{{tree}}")


@pytest.mark.parametrize(
    "settings",
    [
        {"branch.main.mergeOptions": "--squash"},
        {"branch.main.mergeOptions": "-s ours"},
        {"branch.main.mergeOptions": "--no-ff --no-commit"},
        {"pull.twohead": "ours"},
        {"merge.ff": "false", "merge.verifySignatures": "true"},
        {"i18n.commitEncoding": "latin1", "core.commentChar": "P"},
        {"core.autocrlf": "true", "core.safecrlf": "true"},
        {"status.showUntrackedFiles": "no", "diff.ignoreSubmodules": "all"},
    ],
)
def test_an_approval_is_the_same_merge_whatever_merging_is_set_to(
    settings: Settings, project: Project
) -> None:
    project.git("checkout", "-q", "--", "steps.py")
    set_up(project, settings)
    main = project.git("rev-parse", "main")
    done = promotion.approve_promotion(project.workspace, WAITING)
    assert project.git("rev-parse", "main") == project.git("rev-parse", "HEAD") == done.commit
    assert project.git("rev-parse", f"{done.commit}^1") == main
    assert project.git("status", "--porcelain", "-uno") == ""
    assert (project.root / "registry/stages/dev/abalone.yaml").is_file()
    assert [p.trailers["approval"] for p in registry.read_promotions(project.repository)] == [
        ("recorded",)
    ] * 3
    assert project.git("cat-file", "commit", done.commit).count("encoding ") == 0


def test_a_touched_file_is_no_change_and_a_changed_one_stays(project: Project) -> None:
    (project.root / "registry/stages/dev/abalone.yaml").touch()
    promotion.approve_promotion(project.workspace, WAITING)
    assert project.git("status", "--porcelain").split("\n")[0] == "M steps.py"


def test_a_hook_that_refuses_leaves_all_as_it_was(project: Project) -> None:
    hook = project.root / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n[ "$1" = prepared ] && grep -q refs/heads/main && exit 1\nexit 0\n')
    hook.chmod(0o755)
    main = project.git("rev-parse", "main")
    stage = (project.root / "registry/stages/dev/abalone.yaml").read_text()
    with pytest.raises(RegistryError, match=r"cannot be moved forward: .*hook"):
        promotion.approve_promotion(project.workspace, WAITING)
    assert project.git("rev-parse", "main") == main
    assert (project.root / "registry/stages/dev/abalone.yaml").read_text() == stage
    assert project.git("status", "--porcelain", "-uno") == "M steps.py"


def test_what_git_was_told_not_to_look_at_is_not_committed_either(project: Project) -> None:
    """A version from it could not be made again."""
    project.git("checkout", "-q", "--", "steps.py")
    shutil.rmtree(project.root / "neu")
    project.commit({"ünsichtbar.py": "a = 1\n", "absent.py": "b = 1\n"})
    project.git("update-index", "--assume-unchanged", "ünsichtbar.py")
    project.git("update-index", "--skip-worktree", "steps.py", "absent.py")
    (project.root / "absent.py").unlink()  # as a sparse checkout has it
    assert isinstance(registry.judge_readiness(project.repository), registry.ReadyToRegister)
    project.write("ünsichtbar.py", "a = 2\n")
    project.write("steps.py", "hidden = 1\n")
    ready = registry.judge_readiness(project.repository)
    assert isinstance(ready, registry.RegistrationSkipped)
    assert ready.reason == "2 files not committed"
    assert ready.faults[0].hint == "steps.py, ünsichtbar.py"


def test_replaced_objects_are_not_believed_and_named(
    project: Project, plain: dict[str, Any]
) -> None:
    """`git replace` of the merge that let a version in, and a graft that hides it."""
    merge = project.git("rev-parse", "main")
    other = project.git("commit-tree", f"{merge}^1^{{tree}}", "-p", f"{merge}^1", "-m", "nothing")
    project.git("replace", merge, other)
    assert differing(plain, answers(project.root)) == ["verify"]
    (project.root / ".git/info/grafts").write_text(f"# a graft\n{merge} {merge}~2\n{other}\n")
    assert differing(plain, answers(project.root)) == ["verify"]
    findings = verify_registry(project.workspace, offline=True).findings
    named = {f.fault.place: str(f.fault.hint) for f in findings if "stock Git" in f.fault.what}
    assert named.keys() == {Place(merge), Place(other)}
    assert f"then git replace -d {merge}" in named[Place(merge)]
    assert ".git/info/grafts" in named[Place(other)]
    said = [one.said for one in examine_project(project.workspace, offline=True)]
    assert "stock Git shows others in place of 2 objects, Towpath does not" in said
    project.git("replace", "-d", merge)  # the hint leads to green
    (project.root / ".git/info/grafts").unlink()
    assert differing(plain, answers(project.root)) == []


def test_a_branch_cannot_hide_a_submodule_from_its_check(project: Project) -> None:
    """`.gitmodules` is the branch's own, and may say that its submodules are not looked at."""
    project.git("checkout", "-q", "--", "steps.py")
    shutil.rmtree(project.root / "neu")
    modules = '[submodule "lib"]\n\tpath = lib\n\turl = https://example.org/lib\n\tignore = all\n'
    project.commit({".gitmodules": modules})
    project.git("checkout", "-q", WAITING)
    head = project.git("rev-parse", "HEAD")
    project.git("update-index", "--add", "--cacheinfo", f"160000,{head},lib")
    project.git("commit", "-qm", "and something else")
    project.git("checkout", "-q", "main")
    checked = promotion.check_promotion_branch(project.workspace, base="main", head=WAITING)
    assert "this promotion also changes lib" in [fault.what for fault in checked.faults]


@pytest.mark.parametrize(
    ("content", "mode", "travels"),
    [("", 0o644, True), ("import os\n", 0o644, False), ("", 0o755, False)],
)
def test_only_an_empty_gitkeep_travels_with_a_promotion(
    content: str, mode: int, travels: bool, project: Project
) -> None:
    project.git("stash", "-qu")
    project.git("checkout", "-q", WAITING)
    project.write("registry/stages/prod/.gitkeep", content)
    (project.root / "registry/stages/prod/.gitkeep").chmod(mode)
    project.git("add", "registry")
    project.git("commit", "-qm", "and a folder")
    project.git("checkout", "-q", "main")
    faults = [
        fault.what
        for fault in promotion.check_promotion_branch(project.workspace, "main", WAITING).faults
    ]
    expected = "this promotion also changes registry/stages/prod/.gitkeep"
    assert (expected in faults) is not travels
    project.git("merge", "-q", "--no-ff", WAITING)
    brought = [f.fault.what for f in verify_registry(project.workspace, offline=True).findings]
    assert any("also changed registry/stages/prod/.gitkeep" in w for w in brought) is not travels


def test_a_gitkeep_with_content_is_no_change_of_code_either(project: Project) -> None:
    project.git("stash", "-qu")
    head = project.on_branch("sly", {"registry/models/.gitkeep": "anything\n"})
    faults = [
        fault.what
        for fault in promotion.check_promotion_branch(project.workspace, "main", head).faults
    ]
    assert faults == ["only a promotion changes registry/models/.gitkeep"]


def test_all_work_trees_of_a_bare_clone_share_the_stages(told: Project, tmp_path: Path) -> None:
    for bare, home in (("repo.git", "repo.git/towpath"), ("box/.bare", "box"), ("b/.git", "b")):
        subprocess.run(
            ["git", "clone", "-q", "--bare", str(told.root), str(tmp_path / bare)], check=True
        )
        git = Project(tmp_path / bare)
        trees = [tmp_path / bare.partition("/")[0] / name for name in ("one", "two")]
        for tree, branch in zip(trees, ("main", "code"), strict=True):
            git.git("worktree", "add", "-q", str(tree), branch)
        assert {Workspace(tree).main_folder for tree in trees} == {tmp_path / home}
        assert [Workspace(tree).checkout for tree in trees] == trees
        main, code = (registry.read_stage_files(Repository.open(tree)) for tree in trees)
        assert main == code and main.wanted


def test_linked_work_trees_of_a_clone_of_a_submodule_and_of_a_git_folder_elsewhere(
    project: Project, tmp_path: Path
) -> None:
    whole = begin(tmp_path / "whole")
    local = ("-c", "protocol.file.allow=always")
    whole.git(*local, "submodule", "--quiet", "add", str(project.root), "models")
    apart = tmp_path / "apart"
    clone = ["clone", "-q", f"--separate-git-dir={tmp_path / 'far.git'}", str(project.root)]
    subprocess.run(["git", *clone, str(apart)], check=True)
    for number, main in enumerate((project.root, whole.root / "models", apart)):
        linked = tmp_path / f"linked{number}"
        Project(main).git("worktree", "add", "-q", "--detach", str(linked), "HEAD")
        assert Workspace(main).main_folder == main
        if main == apart:
            with pytest.raises(UserError, match="does not say where its main work tree is") as why:
                _ = Workspace(linked).main_folder
            hint = str(why.value.faults[0].hint).replace("<path of the main work tree>", str(main))
            subprocess.run(hint, shell=True, check=True)
        assert Workspace(linked).main_folder == Workspace(linked).checkout == main
        assert Workspace(main).main_folder == main
        Project(main).git("worktree", "remove", str(linked))


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (("--depth=1",), "shallow"),
        (("--no-tags",), "this clone was made without tags"),
        (("--single-branch",), "this clone was made without tags"),
    ],
)
def test_a_clone_that_lacks_versions_says_so(
    how: tuple[str, ...], why: str, project: Project, tmp_path: Path
) -> None:
    clone = Project(tmp_path / "clone")
    project.git("clone", "-q", *how, "-b", "main", f"file://{project.root}", str(clone.root))
    for words in (("models",), ("search", "size > 1"), ("show", "abalone@latest")):
        done = towpath(clone, *words)
        printed = f"{done.stdout}{done.stderr}"
        assert why in printed and "towpath fetch" in printed, (words, printed)
        assert "towpath run" not in printed
    assert towpath(clone, "fetch").returncode == 0
    assert "abalone@v1.1.0" in towpath(clone, "models").stdout
    again = towpath(clone, "models")
    assert "this clone" not in f"{again.stdout}{again.stderr}"
    history = towpath(clone, "history", "abalone")
    assert history.returncode == 0 or "git fetch --unshallow" in history.stderr


def towpath(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line in a project."""
    return call_towpath(project.root, *words, COLUMNS="200")


def test_a_shared_registry_is_read_where_bare_repositories_must_be_named(
    told: Project, home: Path, tmp_path: Path
) -> None:
    with (home / ".gitconfig").open("a") as settings:
        settings.write("[safe]\n\tbareRepository = explicit\n")
    address = f"file://{told.root}"
    clone = shared_registry.at_hand(address, tmp_path / "registry")
    shared_registry.refresh_clone(clone, address)
    assert [str(v) for v in registry.read_models(clone)["abalone"].versions] == [
        "abalone@v1.0.0", "abalone@v1.1.0",
    ]  # fmt: skip
    assert registry.get_version(clone, "abalone@v1.0.0").record.metrics == {"mse": 4.5}


def test_from_a_hook_of_a_commit_all_is_as_without(project: Project) -> None:
    """A pre-commit hook gets the index, the dates and the `-c` of the commit that calls it."""
    hook = project.root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\n"{sys.executable}" -m towpath models >"$OUT" 2>&1\n')
    hook.chmod(0o755)
    before = towpath(project, "models").stdout
    out = project.root.parent / "out"
    project.git("add", "-A")
    subprocess.run(
        ["git", "-c", "log.follow=true", "-c", "core.quotePath=true", "commit", "-qm", "x",
         "--date=2001-01-01T00:00:00", "steps.py"],
        cwd=project.root, env={**os.environ, "OUT": str(out)}, check=True,
    )  # fmt: skip
    assert "abalone@v1.1.0" in before
    assert out.read_text() == before


def test_who_one_is_and_where_a_trace_goes_stays_the_persons_own(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "The robot of CI")
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    assert project.repository.read_identity().name == "The robot of CI"
    assert "GIT_COMMITTER_IDENT" in (tmp_path / "trace").read_text()
    monkeypatch.setenv("GIT_COMMITTER_NAME", "The robot itself")
    assert project.repository.read_identity().name == "The robot itself"


def test_what_git_calls_local_to_a_repository_never_reaches_it() -> None:
    """As the Git that is installed says; what is given by `-c` is overruled, not dropped."""
    done = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True)
    assert set(done.stdout.split()) - git_command.FOREIGN == {
        "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT",
    }  # fmt: skip
