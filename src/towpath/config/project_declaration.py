"""A project as ``towpath.yaml`` declares it: its name, stages, stores, registry and runner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PlainValidator, ValidationError

from towpath import documents
from towpath.config import names_and_paths as grammar
from towpath.config.declaration import Declaration, Kinds, Places, ShortForm, faults_of
from towpath.errors import DeclarationError, Fault, Place

if TYPE_CHECKING:
    from towpath.config.gate_declarations import AnyGate
    from towpath.config.target_declarations import AnyDeployment
else:  # a project without gates imports none of their types: 12 ms at the start of each command
    AnyDeployment = Annotated[
        Any, PlainValidator(Kinds("towpath.config.target_declarations", "deployment", "to"))
    ]
    AnyGate = Annotated[Any, PlainValidator(Kinds("towpath.config.gate_declarations", "gate"))]

FILE = "towpath.yaml"
STAGES = ("dev", "uat", "prod")


class Credentials(Declaration):
    """The environment variables that hold a store's credentials: names, never values."""

    access_key: grammar.Environment
    """The name of an environment variable."""
    secret_key: grammar.Environment
    """The name of an environment variable."""
    session_token: grammar.Environment | None = None
    """The name of an environment variable."""


class StoreDeclaration(Declaration):
    """Where bytes are kept: a folder or an S3 URL, and how to be let in."""

    url: str = Field(min_length=1)
    """A folder or an S3 URL."""
    profile: str | None = None
    """The AWS profile to use."""
    endpoint: str | None = None
    """The address of an S3 server that is not Amazon's."""
    region: str | None = None
    credentials: Credentials | None = None
    """The environment variables that hold the credentials: names, never values."""


Approval: TypeAlias = Literal["forge", "signed", "recorded"]


AnyStore: TypeAlias = Annotated[StoreDeclaration, BeforeValidator(ShortForm(str, "url"))]


class StageDeclaration(Declaration):
    """An environment: its store, its Prefect API, who approves what enters it, and its gates."""

    description: str | None = None
    """What the stage is for."""
    store: AnyStore | None = None
    """Where the bytes of its versions are kept."""
    api: str | None = None
    """The stage's Prefect API."""
    work_pool: str | None = None
    """The Prefect work pool of its deployments."""
    approvers: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Who may approve what enters it."""
    approval: Approval | None = None
    """The least level of approval; by default the policy's."""
    gates: Mapping[str, AnyGate] = Field(default_factory=dict)
    """What a version must pass, by name."""
    deploy: AnyDeployment | None = None
    """What runs a version in it."""
    code: Literal["main", "any"] | None = None
    """Whose code a model's own classes may come from: that of commits in main's history (the
    default of all stages but the first), or of any commit."""


class PolicyDeclaration(Declaration):
    """What holds for every stage that does not say otherwise."""

    approval: Approval = "recorded"
    """The least level of approval."""
    self_approval: bool = False
    """Whether an author may approve."""
    ladder: bool = True
    """Whether it must have been in the stage below."""
    versions: Literal["any", "signed"] = "any"
    """Whether an allowed signer must have signed its tag."""


class ForgeDeclaration(Declaration):
    """Where pull requests live."""

    kind: Literal["github"]
    repository: grammar.Repository | None = None
    """`owner/name`."""
    api: str | None = None
    """The address of a GitHub Enterprise server's API."""
    tag_writers: Annotated[tuple[grammar.TagWriter, ...], Field(strict=False)] = ()
    """Who may make version and stage tags (`admin`, `maintain`, `write`, `@owner/team`,
    `app/<id>`); by default whoever may push."""


class Runner(Declaration):
    """What carries out steps: threads or processes of this machine, or a Dask cluster."""

    kind: Literal["threads", "processes", "dask"] = "threads"
    workers: int | None = Field(default=None, ge=1)
    """Steps at once; by default one for each core."""
    address: str | None = None
    """The scheduler of a Dask cluster: `tcp://host:8786`."""


def dask_has_address(runner: Any) -> Any:
    if isinstance(runner, Mapping) and (runner.get("kind") == "dask") != ("address" in runner):
        hint = "write `{kind: dask, address: tcp://host:8786}`"
        grammar.refuse_value("a Dask cluster, and nothing else, has an `address`", hint)
    return runner


def long_stages(value: Any) -> Any:
    """A list of names is a mapping to stages that say nothing further."""
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        twice = next((name for name in value if list(value).count(name) > 1), None)
        if twice:
            grammar.refuse_value(f"stage `{twice}` is written twice")
        value = dict.fromkeys(value)
    if isinstance(value, Mapping):
        if not value:
            grammar.refuse_value("a project needs a stage", "remove the key for dev, uat and prod")
        return {name: {} if stage is None else stage for name, stage in value.items()}
    return value


_Stages: TypeAlias = Mapping[grammar.StageName, StageDeclaration]
_Repositories: TypeAlias = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class Project(Declaration):
    """A project as its ``towpath.yaml`` declares it."""

    name: grammar.ProjectName
    """Its name."""
    description: str | None = None
    """What the project is for."""
    stages: Annotated[_Stages, BeforeValidator(long_stages)] = Field(
        default_factory=lambda: {name: StageDeclaration() for name in STAGES}
    )
    """In the order in which a version climbs them; by default dev, uat, prod."""
    stores: Mapping[grammar.StageName, AnyStore] = Field(default_factory=dict)
    """Stores by name."""
    registry: str = Field(default=".", min_length=1)
    """`.`, or the Git URL of a shared registry."""
    main: grammar.BranchName | None = None
    """The main branch, where it is not the one that the remote's HEAD names."""
    owners: Mapping[grammar.ModelName, _Repositories] = Field(default_factory=dict)
    """In a shared registry: the repositories that may register a model, by its name; one that is
    not named belongs to who registered it first."""
    forge: Annotated[ForgeDeclaration, BeforeValidator(ShortForm(str, "kind"))] | None = None
    """Where pull requests live."""
    runner: Annotated[
        Runner, BeforeValidator(dask_has_address), BeforeValidator(ShortForm(str, "kind"))
    ] = Field(default_factory=Runner)
    """What carries out steps."""
    trust: Annotated[tuple[grammar.TypeName, ...], Field(strict=False)] = ()
    """Types that a model file may hold beside the known ones."""
    formats: Mapping[grammar.OwnFormatName, grammar.ClassPath] = Field(default_factory=dict)
    """Formats of the project's own, by name: a class with `read` and `write`, from its root."""
    policy: PolicyDeclaration = Field(default_factory=PolicyDeclaration)
    """What holds for every stage that does not say otherwise."""

    def runs_main_only(self, stage: str) -> bool:
        """Whether a stage runs only such code of a version's own as main's history holds."""
        declared = self.stages[stage].code if stage in self.stages else None
        is_first = stage == next(iter(self.stages))
        return declared == "main" or (declared is None and not is_first)

    def lower_stages(self, stage: str) -> tuple[str, ...]:
        """The stages below one on the ladder, the nearest first."""
        names = list(self.stages)
        return tuple(reversed(names[: names.index(stage)]))


def read_project(root: Path) -> Project:
    """What ``towpath.yaml`` in a folder declares; raises DeclarationError with every fault."""
    return parse_project(documents.text_of(root / FILE, FILE))


def parse_project(text: str) -> Project:
    """What the text of a ``towpath.yaml`` declares; raises DeclarationError with every fault."""
    document = documents.parse_yaml(text, FILE)
    faults = list(document.faults)
    if not isinstance(document.node, documents.Mapping):
        faults = faults or [Fault("the file must hold a mapping with `name`", Place(FILE, 1))]
        raise DeclarationError(*faults)
    places = Places(document.node)
    refused = {*(fault.place for fault in faults), *documents.unsound_places(document.node)}
    try:
        data = documents.plain_data(document.node)
        project = Project.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        validation_faults = faults_of(error, Project, "a project", places.find_place)
        # What the document was refused for is not said again by the types.
        faults += [fault for fault in validation_faults if fault.place not in refused]
        project = None
    if faults or project is None:
        by_line = sorted(dict.fromkeys(faults), key=lambda f: f.place.line if f.place else 0)
        raise DeclarationError(*by_line)
    return project
