"""What a step made: listed beside it, and each on a page of its own with its first rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.config.artifact import Artifact
from towpath.errors import Malformed, TowpathError
from towpath.execution import output_copies
from towpath.execution.output_copies import Copyable
from towpath.quantities import readable_size
from towpath.storage.verified_bytes import read_manifest
from towpath.studio.pages.output_copy import OutputCopy, copy_output, embed_picture
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.pages.run_facts import find_page_run
from towpath.studio.previews.file_preview import (
    PAGES_OF_STEPS,
    PICTURES,
    FilePreview,
    preview_file,
)
from towpath.studio.site_outputs import (
    MOST_SITE_BYTES,
    RASTERS,
    OutputAddress,
    find_stored_bytes,
)

if TYPE_CHECKING:
    from towpath.execution.run_record import RecordedRun, StepRun
    from towpath.studio.project_facts import ProjectFacts

MOST_SHOWN = 20 << 20  # bytes of a picture or a page that a browser is given
_MEMBERS, _MANIFEST = 500, 16 << 20  # files of a folder that are listed; bytes of their list
_COLUMNS = 200  # of a model's signature


class StepOutput(Struct, frozen=True):
    """What a step made: its name, its file and how large it is. ``look`` is ``picture`` or
    ``page`` where a browser shows it, ``missing`` says why its bytes are not here. In a site of
    files one without ``has_page`` is named alone; ``thumbnail`` is a picture beside its page."""

    name: str
    file: str
    size: str
    digest: str
    look: str
    missing: str
    is_folder: bool = False
    has_page: bool = True
    thumbnail: str = ""


class SignatureColumn(Struct, frozen=True):
    """A column that a model takes or gives."""

    role: str
    name: str
    type: str


class FolderMember(Struct, frozen=True):
    """A file of a folder, by its place among their sorted names; ``embedded`` is a picture in a
    site of files, as an address of data."""

    number: int
    name: str
    is_picture: bool
    embedded: str = ""


class OutputPage(Struct, frozen=True):
    """One output: its first rows or lines, a picture, or what a folder holds."""

    run: str
    pipeline: str
    step: str
    output: StepOutput
    others: tuple[str, ...]
    preview: FilePreview
    members: tuple[FolderMember, ...]
    members_left: int
    signature: tuple[SignatureColumn, ...]
    model: str
    site_copy: OutputCopy = field(default_factory=OutputCopy)


def gather_output(facts: ProjectFacts, request: PageRequest) -> OutputPage:
    """The page of an output of a step of a run."""
    run = find_page_run(facts, request.names["run"])
    step, artifact = find_output(run, request.names["step"], request.names["output"])
    name = request.names["output"]
    output, signature = _describe_output(facts, name, artifact), _signature_of(step, name)
    others, copy = tuple(step.made.outputs), OutputCopy()
    if request.is_static:
        others, copy = _copy_for_site(facts, run, step, name)
    members: tuple[FolderMember, ...] = ()
    preview = FilePreview()
    if output.is_folder and not output.missing:
        members = tuple(_list_members(facts, artifact, request.is_static))
    elif not output.missing and not output.look and not signature:
        copyable = Copyable(name, artifact)
        with suppress(TowpathError, LookupError):  # nothing declares any more how it is read
            copyable = output_copies.find_copyable(facts.workspace, run.id, f"{step.name}.{name}")
        path = find_stored_bytes(facts.workspace, artifact)
        assert path is not None
        preview = preview_file(path, artifact.name, copyable.format, copyable.options)
    return OutputPage(
        run.id, run.pipeline, step.name, output, others, preview,
        members, max(0, (artifact.files or 0) - len(members)),
        tuple(_signature_columns(signature))[:_COLUMNS], str(signature.get("model", "")), copy,
    )  # fmt: skip


def find_output(run: RecordedRun, step_name: str, output: str) -> tuple[StepRun, Artifact]:
    """The step and what it made under a name. NoSuchPage where there is none."""
    step = run.steps.get(step_name)
    if step is None:
        raise NoSuchPage(f"run {run.id} has no step `{step_name}`")
    if output not in step.made.outputs:
        raise NoSuchPage(f"step `{step_name}` of run {run.id} made no `{output}`")
    return step, step.made.outputs[output]


def list_outputs(
    facts: ProjectFacts, run: RecordedRun, step: StepRun, is_static: bool
) -> Iterator[StepOutput]:
    """What ``step`` made; for a site of files each knows whether it has a page there."""
    for name, artifact in step.made.outputs.items():
        output = _describe_output(facts, name, artifact)
        if is_static:
            file = facts.site_outputs.get(OutputAddress(run.id, step.name, name))
            thumbnail = file if file and file.endswith(RASTERS) else ""
            output = replace(output, has_page=file is not None, thumbnail=thumbnail)
        yield output


def _copy_for_site(
    facts: ProjectFacts, run: RecordedRun, step: StepRun, name: str
) -> tuple[tuple[str, ...], OutputCopy]:
    """The step's outputs that have pages there, and what that of ``name`` holds. NoSuchPage where
    it has none."""
    files = facts.site_outputs
    paged = {other: OutputAddress(run.id, step.name, other) for other in step.made.outputs}
    others = tuple(other for other, address in paged.items() if address in files)
    artifact = step.made.outputs[name]
    path = find_stored_bytes(facts.workspace, artifact)
    if name not in others or path is None:
        raise NoSuchPage(f"the files have no page of `{name}`")
    if artifact.files is not None:
        return others, OutputCopy()
    return others, copy_output(path, artifact, files[paged[name]])


def _list_members(facts: ProjectFacts, folder: Artifact, is_static: bool) -> Iterator[FolderMember]:
    bytes_left = MOST_SITE_BYTES if is_static else 0
    listed = list(_read_members(find_stored_bytes(facts.workspace, folder)).items())[:_MEMBERS]
    for number, (name, digest) in enumerate(listed):
        is_picture, embedded = Path(name).suffix.lower() in PICTURES, ""
        if is_picture and bytes_left:
            embedded = embed_picture(facts.workspace.store.path(digest), name, bytes_left)
            bytes_left = max(0, bytes_left - len(embedded))
        yield FolderMember(number, name, is_picture, embedded)


def picture_type(artifact: Artifact) -> str:
    """The type that a browser shows a file as: a picture, a page of HTML, or "" for neither."""
    suffix = Path(artifact.name).suffix.lower()
    if artifact.files is not None or artifact.size > MOST_SHOWN:
        return ""
    return PICTURES.get(suffix) or PAGES_OF_STEPS.get(suffix, "")


def _describe_output(facts: ProjectFacts, name: str, artifact: Artifact) -> StepOutput:
    media_type = picture_type(artifact)
    look = "" if not media_type else "picture" if media_type.startswith("image/") else "page"
    missing = (
        ""
        if find_stored_bytes(facts.workspace, artifact)
        else "Its bytes are not here, or not whole."
    )
    files = f", {artifact.files} files" if artifact.files is not None else ""
    return StepOutput(
        name, artifact.name, readable_size(artifact.size) + files, artifact.digest, look, missing,
        artifact.files is not None,
    )  # fmt: skip


def find_member(facts: ProjectFacts, folder: Artifact, number: str) -> Artifact | None:
    """The file of a folder at a place among their sorted names; None where there is none here."""
    members = list(_read_members(find_stored_bytes(facts.workspace, folder)).items())
    if not (number.isascii() and number.isdecimal() and int(number[:9]) < len(members)):
        return None
    path, digest = members[int(number[:9])]
    try:
        size = facts.workspace.store.path(digest).stat().st_size
    except OSError:
        return None
    return Artifact(digest, size, Path(path).name)


def _read_members(path: Path | None) -> dict[str, str]:
    """Digests by path, sorted; none of what is no manifest."""
    if path is None or path.stat().st_size > _MANIFEST:
        return {}
    try:
        return dict(sorted(read_manifest(path.read_bytes()).items()))
    except (Malformed, OSError):
        return {}


def _signature_of(step: StepRun, name: str) -> Mapping[str, Any]:
    signatures: Any = step.made.facts.get("signature")
    signature = signatures.get(name) if isinstance(signatures, Mapping) else None
    return signature if isinstance(signature, Mapping) else {}


def _signature_columns(signature: Mapping[str, Any]) -> Iterator[SignatureColumn]:
    for role, part in (("takes", "inputs"), ("gives", "outputs")):
        columns = signature.get(part)
        for column in columns if isinstance(columns, list) else ():
            if isinstance(column, Mapping):
                yield SignatureColumn(role, str(column.get("name")), str(column.get("type")))
