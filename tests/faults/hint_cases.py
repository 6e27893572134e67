"""How the hint of each thing that goes wrong is followed."""

from __future__ import annotations

import shutil
import subprocess

from hint_rule_cases import RULE_CASES
from hint_troubles import (
    APPLY,
    AS_DOCUMENT,
    DOCTOR,
    LOCALLY,
    PLAN,
    TROUBLES,
    after,
    alter_cache,
    by_hand,
    clone_without,
    date_back,
    drop_cache,
    edit,
    elsewhere,
    false_registration,
    free_port,
    from_stage,
    git,
    go_on_elsewhere,
    held_elsewhere,
    keeps_notes,
    line_ends,
    other_digest,
    other_repository,
    penguins,
    promote_only,
    pushed_elsewhere,
    put_aside,
    register_offline,
    remove,
    rename_main,
    reparent,
    rewrite,
    rewrite_only,
    submodule,
    torn,
    two_projects,
    with_bytes_remote,
    workflows,
    write,
)
from hint_world import POLICY, RECORD, STAGE_FILE, Case, run, towpath

from towpath.delivery.reconcile import lease

RESTORE = r"towpath restore '?abalone[@#][\w.#]+'?"
RECONCILE = r"towpath reconcile dev --apply"
ACCEPT = r"towpath reconcile dev --apply --accept-history"
CASES: dict[str, Case] = RULE_CASES | {
    # towpath verify, where a person does a part
    "a line of main was re-parented": Case(
        reparent,
        "main was re-parented",
        (
            r"git log --graph \w+",
            _again := (lambda project: run(project, "towpath promote abalone@v1.1.0 --to dev")),
            ACCEPT,
            "NOTE",
        ),
        fills=(("STAGE", "dev"),),
    ),
    "main was rewritten": Case(rewrite, "it was rewritten", (r"git log --graph \w+", ACCEPT)),
    "main was rewritten, and is put back": Case(
        rewrite,
        "it was rewritten",
        (
            r"git log --graph \w+",
            after(git("branch", "other"), git("reset", "-q", "--hard", "kept")),
        ),
    ),
    "another repository uses the store": Case(
        other_repository,
        "another repository uses the same store",
        (
            lambda project: write(
                "towpath.yaml", POLICY.replace("dev: {", "dev: {store: .towpath/own/dev, ")
            )(project),
            lambda project: run(project, "towpath reconcile --apply"),
        ),
    ),
    "a torn deployment record": Case(
        torn("towpath/deployed/abalone.json"),
        "is damaged",
        (put_aside("towpath/deployed/abalone.json"), RECONCILE),
    ),
    "a model that nobody asked for": Case(
        penguins,
        "penguins",
        (put_aside("towpath/deployed/penguins.json"),),
    ),
    "the bytes were altered": Case(
        after(with_bytes_remote, alter_cache),
        "were altered",
        (r"mv \S+ \S+\.altered", r"towpath pull"),
    ),
    "the bytes were altered, and there is no remote": Case(
        alter_cache,
        "were altered",
        (r"mv \S+ \S+\.altered", lambda project: from_stage(project, b"two")),
    ),
    "the bytes of what a stage wants are gone": Case(
        drop_cache(b"two"),
        "are not in the project's store",
        (lambda project: from_stage(project, b"two"),),
    ),
    "the bytes of a version are gone for good": Case(
        lambda project: (project.register(b"three"), drop_cache(b"three")(project)),
        "are not in the project's store",
        (r"towpath reject \S+ --reason '\.\.\.'",),
    ),
    "the bytes are neither here nor on the remote": Case(
        lambda project: (
            with_bytes_remote(project),
            project.register(b"three"),
            drop_cache(b"three")(project),
        ),
        "are neither in the project's store nor on",
        (r"towpath reject \S+ --reason '\.\.\.'",),
    ),
    "a promoted version without its record": Case(
        by_hand,
        "which was promoted, is not on main",
        (r"git show '[^']+' > \"\$\(git rev-parse --show-cdup\)\"'[^']+'", "COMMIT"),
    ),
    "verify in a clone without tags": Case(
        clone_without("--no-tags"), "without tags", (r"towpath fetch",)
    ),
    "verify elsewhere": Case(elsewhere, "", (git("switch", "-q", "main"),)),
    "verify after main was renamed": Case(
        rename_main, "the main branch of origin is `trunk` now", (r"towpath fetch",), remote=True
    ),
    "a clone is behind what a stage was reconciled with": Case(
        go_on_elsewhere, "it was not fetched yet, or never pushed", (r"towpath fetch",), remote=True
    ),
    "a promotion that is dated back": Case(
        date_back, "before the commit under it", (r"towpath promote \S+ --to dev",), APPLY
    ),
    "a tag that holds another record": Case(
        false_registration("mse: 4.5", "mse: 0.5"),
        "holds another record than main decided upon",
        (RESTORE,),
        PLAN,
    ),
    # towpath reconcile
    "a version whose tag is lost": Case(
        git("tag", "-d", "abalone@v1.1.0"), "which this clone does not have", (RESTORE,), PLAN
    ),
    "a digest of another": Case(
        other_digest,
        "the stage file asks for sha256",
        (r"towpath promote \S+ --to dev",),
        PLAN,
    ),
    "a tag that was moved": Case(
        git("tag", "-f", "-a", "-m", "x", "abalone@v1.1.0", "abalone@v1.0.0^{commit}"),
        "has no record",
        (RESTORE,),
        PLAN,
    ),
    "main's record was changed": Case(
        edit(RECORD, "mse: 4.5", "mse: 0.5"),
        "was changed after it was decided upon",
        (r"git checkout \w+ -- ':/[^']+'", "COMMIT"),
        PLAN,
    ),
    "a stage file that was removed by hand": Case(
        remove(STAGE_FILE), "is approved as `none`", (r"towpath promote \S+ --to dev",), APPLY
    ),
    "a promotion that was reverted": Case(
        git("revert", "--no-edit", "-m", "1", "HEAD"),
        "is approved as `none`",
        (r"towpath rollback abalone --stage dev --to v1.0.0",),
        APPLY,
    ),
    "a version that was put in by hand": Case(
        by_hand, "is approved as `none`", (r"towpath promote \S+ --to dev",), APPLY
    ),
    "a stage file that cannot be read": Case(
        edit(STAGE_FILE, "version: v1.1.0", "version: x"),
        "which is no version",
        (lambda project: run(project, "towpath promote abalone@v1.1.0 --to dev"),),
        PLAN,
    ),
    "a torn record of what runs": Case(
        torn("towpath/deployed/abalone.json"),
        "is damaged",
        (put_aside("towpath/deployed/abalone.json"), RECONCILE),
        PLAN,
    ),
    "a model nobody asked for": Case(
        penguins, "no change of main ever asked for it", (), PLAN, stays=True
    ),
    "a rejected version that does not run yet": Case(
        lambda project: (
            promote_only(project),
            towpath(project, "reject", "abalone@v1.2.0", "--reason", "leaked"),
        ),
        "was rejected: leaked",
        (r"towpath rollback abalone --stage dev",),
        PLAN,
    ),
    "another holds the stage": Case(
        held_elsewhere, "is being reconciled by eve@elsewhere", (put_aside(lease.PATH),), APPLY
    ),
    "a stage that is not there": Case(
        after(),
        "there is no stage `prd`",
        (),
        ("reconcile", "prd", AS_DOCUMENT),
        stays=True,
    ),
    "a memory of main that is torn": Case(torn("towpath/main.json"), "is damaged", (ACCEPT,), PLAN),
    # towpath doctor
    "no repository": Case(
        lambda project: shutil.rmtree(project.root / ".git"),
        "there is no Git repository here",
        (
            r"git init",
            git("config", "user.name", "Ada"),
            git("config", "user.email", "a@x"),
            "COMMIT",
        ),
        LOCALLY,
    ),
    "nothing is committed": Case(
        lambda project: (
            shutil.rmtree(project.root / ".git"),
            project.git("init", "-q"),
            project.be("ada"),
        ),
        "nothing is committed yet",
        ("COMMIT",),
        LOCALLY,
    ),
    "Git does not know who it is": Case(
        lambda project: project.git("config", "--remove-section", "user"),
        "does not know who you are",
        (r"git config --global user\.name '[^']+'", r"git config --global user\.email \S+"),
        LOCALLY,
    ),
    "a clone that is shallow": Case(
        clone_without("--depth=1"),
        "the clone is shallow",
        (r"git fetch --unshallow --tags",),
        LOCALLY,
    ),
    "a clone without tags": Case(
        clone_without("--no-tags"), "made without tags", (r"towpath fetch",), LOCALLY
    ),
    "objects that are replaced": Case(
        TROUBLES["an object is replaced"],
        "stock Git shows others",
        (r"git update-ref \S+ \S+", r"git replace -d \w+"),
        LOCALLY,
    ),
    "a graft": Case(
        lambda project: (project.root / ".git/info/grafts").write_text(
            project.git("rev-parse", "main") + "\n"
        ),
        "stock Git shows others",
        (lambda project: (project.root / ".git/info/grafts").write_text(""),),
        LOCALLY,
    ),
    "tags that are not here": Case(
        lambda project: project.git("tag", "-d", "abalone#dev#1"),
        "tags are not here",
        (r"towpath fetch",),
        DOCTOR,
        remote=True,
    ),
    "a tag that the remote has otherwise": Case(
        pushed_elsewhere("abalone@v1.1.0"),
        "is another tag there than here",
        (RESTORE, r"git fetch origin '[^']+'", r"git push origin '[^']+'"),
        DOCTOR,
        remote=True,
    ),
    "a tag that was moved here": Case(
        git("tag", "-f", "-a", "-m", "x", "abalone@v1.1.0", "HEAD"),
        "is another tag there than here",
        (RESTORE,),
        DOCTOR,
        remote=True,
    ),
    "a main branch of another name": Case(
        lambda project: (
            subprocess.run(
                ["git", "branch", "-m", "main", "trunk"],
                cwd=project.root.parent / "origin.git",
                check=True,
            ),
        ),
        "the main branch of origin is `trunk` now",
        (r"towpath fetch",),
        DOCTOR,
        remote=True,
    ),
    "a remote without a HEAD": Case(
        lambda project: (
            project.git("remote", "set-head", "origin", "-d"),
            subprocess.run(
                ["git", "symbolic-ref", "HEAD", "refs/heads/gone"],
                cwd=project.root.parent / "origin.git",
                check=True,
            ),
            write("towpath.yaml", POLICY + "main: main\n")(project),
            project.git("push", "-q", "origin", "main"),
        ),
        "does not say which of its branches is main",
        (r"git remote set-head origin main",),
        DOCTOR,
        remote=True,
        fills=(("<branch>", "main"),),
    ),
    "versions that are only here": Case(
        lambda project: register_offline(project),
        "only here, and not on origin",
        (r"towpath push",),
        DOCTOR,
        remote=True,
    ),
    "a candidate that waits": Case(
        lambda project: project.register(b"three"),
        "waits here for a number",
        (r"towpath push",),
        DOCTOR,
        remote=True,
    ),
    "a setting that prunes tags": Case(
        git("config", "fetch.pruneTags", "true"),
        "deletes tags",
        (r"git config fetch\.pruneTags false",),
        DOCTOR,
        remote=True,
    ),
    "a setting that mirrors everything": Case(
        lambda project: (
            project.git("config", "--add", "remote.origin.fetch", "+refs/notes/*:refs/notes/*"),
            project.git("config", "--add", "remote.origin.fetch", "+refs/*:refs/*"),
        ),
        "deletes what waits",
        (r"git config --replace-all .*", lambda project: keeps_notes(project)),
        DOCTOR,
        remote=True,
    ),
    "a submodule that is not set up": Case(
        submodule,
        "the submodule vendor is not set up",
        (r"git submodule update --init --recursive",),
        LOCALLY,
    ),
    "a submodule that is not as committed": Case(
        lambda project: (
            submodule(project),
            project.git("submodule", "update", "--init", "-q"),
            project.git("-C", "vendor", "checkout", "-q", "HEAD^"),
        ),
        "the submodule vendor",
        (r"git submodule update --init --recursive",),
        LOCALLY,
    ),
    "data whose line ends change": Case(
        line_ends,
        "Git changes the line ends of data/raw.csv",
        (
            lambda project: (project.root / ".gitattributes").write_text("data/raw.csv -text\n"),
            r"mv data/raw.csv data/raw.csv.before && git checkout -- data/raw.csv",
        ),
        LOCALLY,
    ),
    "reviews without a forge": Case(
        write("towpath.yaml", "name: abalone\nstages: {dev: {approval: forge}, prod: }\n"),
        "there is no forge",
        (write("towpath.yaml", "name: abalone\nstages: {dev: , prod: }\n"),),
        LOCALLY,
    ),
    "nobody who may approve": Case(
        write(
            "towpath.yaml",
            "name: abalone\nstages: {dev: {approval: forge}, prod: }\n"
            "forge: {kind: github, repository: a/b}\n",
        ),
        "nobody is named who may approve",
        (write("CODEOWNERS", "/registry/stages/dev/ @bo\n"),),
        LOCALLY,
    ),
    "no workflows": Case(
        write(
            "towpath.yaml",
            "name: abalone\nstages: {dev: , prod: }\nforge: {kind: github, repository: a/b}\n",
        ),
        "main has no .github/workflows",
        (lambda project: workflows(project),),
        LOCALLY,
    ),
    "two stages in one store": Case(
        write("towpath.yaml", "name: abalone\nstages: {dev: {store: ../x}, prod: {store: ../x}}\n"),
        "another stage has its store too",
        (
            write(
                "towpath.yaml", "name: abalone\nstages: {dev: {store: ../x}, prod: {store: ../y}}\n"
            ),
        ),
        DOCTOR,
    ),
    "keys that are elsewhere": Case(
        write(
            "towpath.yaml",
            "name: abalone\nstages: {dev: {store: {url: 's3://x', "
            "credentials: {access_key: HINT_A, secret_key: HINT_B}}}, prod: }\n",
        ),
        "its store is not looked at",
        (),
        DOCTOR,
        stays=True,
    ),
    "a store that two projects share": Case(
        lambda project: (
            two_projects(project),
            run(project, "towpath -C other claim abalone"),
            project.commit("claimed"),
        ),
        "also holds models of another project",
        (write("towpath.yaml", POLICY.replace("dev: {", "dev: {store: .towpath/own/dev, ")),),
        DOCTOR,
    ),
    "a memory of main of another repository": Case(
        other_repository,
        "another repository uses the same store",
        (
            lambda project: write(
                "towpath.yaml", POLICY.replace("dev: {", "dev: {store: .towpath/own/dev, ")
            )(project),
        ),
        DOCTOR,
    ),
    "main at a forge that took another way": Case(
        after(
            write(
                "towpath.yaml",
                POLICY.replace("dev: {", "dev: {store: .towpath/stages/dev, ")
                + "forge: {kind: github, repository: a/b}\n",
            ),
            rewrite_only,
        ),
        "main's line does not hold",
        (),
        DOCTOR,
        stays=True,
    ),
    "a promoted version without its tag": Case(
        git("tag", "-d", "abalone@v1.1.0"), "its tag is gone", (RESTORE,), LOCALLY
    ),
    "a model of a project that is not there": Case(
        lambda project: (
            two_projects(project),
            write("registry/models/abalone/project.yaml", "project: gone\n")(project),
        ),
        "and main has none there",
        (r"towpath claim abalone", "COMMIT"),
        LOCALLY,
    ),
    "a claim that says nothing": Case(
        lambda project: (
            two_projects(project),
            write("registry/models/abalone/project.yaml", "[]\n")(project),
        ),
        "does not say `project: <folder>`",
        (r"towpath claim abalone", "COMMIT"),
        LOCALLY,
    ),
    "a stage that is not declared": Case(
        write("towpath.yaml", "name: abalone\nstages:\n  prod:\n"),
        "no such stage is declared",
        (write("towpath.yaml", POLICY),),
        LOCALLY,
    ),
    "no place for the bytes": Case(
        lambda project: project.git("remote", "add", "origin", "../origin.git"),
        "no DVC remote",
        (r"dvc remote add --default store \S+",),
        LOCALLY,
        fills=(("s3://bucket/path", "../cold"),),
    ),
    "a Prefect API that does not answer": Case(
        lambda project: (project.root / "prefect.toml").write_text(
            f'api.url = "http://127.0.0.1:{free_port()}/api"\n'
        ),
        "127.0.0.1",
        (lambda project: (project.root / "prefect.toml").unlink(),),
        DOCTOR,
    ),
}
