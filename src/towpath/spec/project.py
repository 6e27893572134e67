"""A project as ``towpath.yaml`` declares it: its name, stages, stores, registry and runner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PlainValidator, ValidationError

from towpath import documents
from towpath.errors import DeclarationError, Fault, Place
from towpath.spec import words
from towpath.spec.declaration import Declaration
from towpath.spec.declared import Places
from towpath.spec.faults import faults_of
from towpath.spec.kinds import Kinds
from towpath.spec.words import (
    BranchName,
    Environment,
    ModelName,
    ProjectName,
    Repository,
    StageName,
)

if TYPE_CHECKING:
    from towpath.spec.deployment import AnyDeployment
    from towpath.spec.gates import AnyGate
else:
    AnyDeployment = Annotated[
        Any, PlainValidator(Kinds("towpath.spec.deployment", "deployment", "to"))
    ]
    AnyGate = Annotated[Any, PlainValidator(Kinds("towpath.spec.gates", "gate"))]

FILE = "towpath.yaml"
STAGES = ("dev", "uat", "prod")


class Credentials(Declaration):
    """The environment variables that hold a store's credentials: names, never values."""

    access_key: Environment
    secret_key: Environment
    session_token: Environment | None = None


class Store(Declaration):
    """Where bytes are kept: a folder or an S3 URL, and how to be let in."""

    url: str = Field(min_length=1)
    profile: str | None = None
    endpoint: str | None = None
    region: str | None = None
    credentials: Credentials | None = None


Approval: TypeAlias = Literal["forge", "signed", "recorded"]


def _long_store(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


AnyStore: TypeAlias = Annotated[Store, BeforeValidator(_long_store)]


class Stage(Declaration):
    """An environment: its store, its Prefect API, who approves what enters it, and its gates.

    ``code`` says which code of a version's own may run in it: that of any commit, or only what
    main's history holds, which every stage but the first asks for unless it says otherwise.
    """

    description: str | None = None
    store: AnyStore | None = None
    api: str | None = None
    work_pool: str | None = None
    approvers: Annotated[tuple[str, ...], Field(strict=False)] = ()
    approval: Approval | None = None
    gates: Mapping[str, AnyGate] = Field(default_factory=dict)
    deploy: AnyDeployment | None = None
    code: Literal["main", "any"] | None = None


class Policy(Declaration):
    """What holds for every stage that does not say otherwise.

    ``approval`` is the least level; ``self_approval`` lets an author approve; ``ladder`` asks
    that a version has been in the stage below; ``versions: signed`` that its tag is signed by an
    allowed signer.
    """

    approval: Approval = "recorded"
    self_approval: bool = False
    ladder: bool = True
    versions: Literal["any", "signed"] = "any"


class Forge(Declaration):
    """Where pull requests live; ``api`` is the address of a GitHub Enterprise server's.

    ``tag_writers`` are who may make version and stage tags: ``admin``, ``maintain``, ``write``,
    ``@owner/team`` or ``app/<id>``; by default whoever may push.
    """

    kind: Literal["github"]
    repository: Repository | None = None
    api: str | None = None
    tag_writers: Annotated[tuple[words.TagWriter, ...], Field(strict=False)] = ()


class Runner(Declaration):
    """What carries out steps: threads or processes of this machine, or a Dask cluster.

    ``workers`` is how many steps run at once, by default one for each core.
    """

    kind: Literal["threads", "processes", "dask"] = "threads"
    workers: int | None = Field(default=None, ge=1)
    address: str | None = None


def _kind_only(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


def _dask_has_address(runner: Any) -> Any:
    if isinstance(runner, Mapping) and (runner.get("kind") == "dask") != ("address" in runner):
        hint = "write `{kind: dask, address: tcp://host:8786}`"
        words.refuse("a Dask cluster, and nothing else, has an `address`", hint)
    return runner


def _long_stages(value: Any) -> Any:
    """A list of names is a mapping to stages that say nothing further."""
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        twice = next((name for name in value if list(value).count(name) > 1), None)
        if twice:
            words.refuse(f"stage `{twice}` is written twice")
        value = dict.fromkeys(value)
    if isinstance(value, Mapping):
        if not value:
            words.refuse("a project needs a stage", "remove the key for dev, uat and prod")
        return {name: {} if stage is None else stage for name, stage in value.items()}
    return value


class Project(Declaration):
    """A project. ``stages`` are in the order in which a version climbs them.

    ``registry`` is ``.`` for the project's own repository, or the Git URL of a shared one.
    ``main`` is the main branch, where that is not the remote's HEAD.
    ``owners`` says, in a shared registry, which repositories may register a model; one that is
    not named belongs to who registered it first. ``trust`` names types that a model file may hold
    beside the known ones. ``formats`` names the class that reads and writes a format of the
    project's own, from its root.
    """

    name: ProjectName
    description: str | None = None
    stages: Annotated[Mapping[StageName, Stage], BeforeValidator(_long_stages)] = Field(
        default_factory=lambda: {name: Stage() for name in STAGES}
    )
    stores: Mapping[StageName, AnyStore] = Field(default_factory=dict)
    registry: str = Field(default=".", min_length=1)
    main: BranchName | None = None
    owners: Mapping[ModelName, Annotated[tuple[str, ...], Field(strict=False, min_length=1)]] = (
        Field(default_factory=dict)
    )
    forge: Annotated[Forge, BeforeValidator(_kind_only)] | None = None
    runner: Annotated[Runner, BeforeValidator(_dask_has_address), BeforeValidator(_kind_only)] = (
        Field(default_factory=Runner)
    )
    trust: Annotated[tuple[words.TypeName, ...], Field(strict=False)] = ()
    formats: Mapping[words.OwnFormatName, words.ClassPath] = Field(default_factory=dict)
    policy: Policy = Field(default_factory=Policy)

    def runs_main_only(self, stage: str) -> bool:
        """Whether a stage runs only such code of a version's own as main's history holds."""
        declared = self.stages[stage].code if stage in self.stages else None
        is_first = stage == next(iter(self.stages))
        return declared == "main" or (declared is None and not is_first)


def read_project(root: Path) -> Project:
    """What ``towpath.yaml`` in a folder declares; raises DeclarationError with every fault."""
    return parse_project(documents.text_of(root / FILE, FILE))


def parse_project(text: str) -> Project:
    """What the text of a ``towpath.yaml`` declares; raises DeclarationError with every fault."""
    document = documents.parse(text, FILE)
    faults = list(document.faults)
    if not isinstance(document.node, documents.Mapping):
        faults = faults or [Fault("the file must hold a mapping with `name`", Place(FILE, 1))]
        raise DeclarationError(*faults)
    places = Places(document.node)
    refused = {*(fault.place for fault in faults), *documents.unsound(document.node)}
    try:
        data = documents.plain(document.node)
        project = Project.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        found = faults_of(error, Project, "a project", places.at)
        faults += [fault for fault in found if fault.place not in refused]
        project = None
    if faults or project is None:
        raise DeclarationError(*sorted(dict.fromkeys(faults), key=_line))
    return project


def _line(fault: Fault) -> int:
    return fault.place.line if fault.place else 0
