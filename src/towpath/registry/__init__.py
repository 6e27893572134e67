"""The registry: versions of models as tags, found by name, given once, never taken back."""

from towpath.registry import policy_at_commit
from towpath.registry.main_decisions import Promotion, read_promotions
from towpath.registry.registry_publication import UnpublishedTags, fetch_registry, publish_registry
from towpath.registry.registry_state import (
    Model,
    ModelVersion,
    known_model,
    only_here,
    read_models,
    read_record,
)
from towpath.registry.stage_files import StageFile, StageFiles, read_stage_files
from towpath.registry.version_comparison import (
    VersionLineage,
    compare_versions,
    read_version_lineage,
    summarise_version,
)
from towpath.registry.version_lookup import RecordedVersion, find_version, get_version
from towpath.registry.version_record import (
    Column,
    DataSource,
    ModelSignature,
    RecordedBump,
    RecordedCode,
    VersionRecord,
)
from towpath.registry.version_reference import VersionNumber, VersionReference, parse_reference
from towpath.registry.version_registration import (
    ReadyToRegister,
    RegisteredVersion,
    Registration,
    RegistrationSkipped,
    judge_readiness,
    register_version,
    reject_version,
)
from towpath.registry.version_signatures import signature_of

__all__ = [
    "Column", "DataSource", "Model", "ModelSignature", "ModelVersion", "Promotion",
    "ReadyToRegister", "RecordedBump", "RecordedCode", "RecordedVersion", "RegisteredVersion",
    "Registration", "RegistrationSkipped", "StageFile", "StageFiles", "UnpublishedTags",
    "VersionLineage", "VersionNumber", "VersionRecord", "VersionReference", "compare_versions",
    "fetch_registry", "find_version", "get_version", "judge_readiness", "known_model", "only_here",
    "parse_reference", "policy_at_commit", "publish_registry", "read_models", "read_promotions",
    "read_record", "read_stage_files", "read_version_lineage", "register_version",
    "reject_version", "signature_of", "summarise_version",
]  # fmt: skip
