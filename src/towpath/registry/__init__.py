"""The registry: versions of models as tags, found by name, given once, never taken back."""

from towpath.registry import policy_at_commit
from towpath.registry.backup_refs import only_here
from towpath.registry.data_sources import DataSource, UpstreamRun
from towpath.registry.model_signature import Column, Signature
from towpath.registry.promotion_log import Promotion, promotions
from towpath.registry.registration_readiness import Ready, Skipped, readiness
from towpath.registry.registry_publication import Fetched, Unpublished, fetch, publish
from towpath.registry.registry_state import Model, ModelVersion, known_model, models, read_record
from towpath.registry.stage_files import Stages, Wanted, stages
from towpath.registry.version_comparison import Comparison, Lineage, compare, lineage
from towpath.registry.version_lookup import Found, find, get
from towpath.registry.version_number import Version
from towpath.registry.version_record import Bump, Code, Record
from towpath.registry.version_reference import Reference, check_name, parse
from towpath.registry.version_registration import Registered, Registration, register
from towpath.registry.version_rejection import reject
from towpath.registry.version_signatures import signature_of

__all__ = [
    "Bump",
    "Code",
    "Column",
    "Comparison",
    "DataSource",
    "Fetched",
    "Found",
    "Lineage",
    "Model",
    "ModelVersion",
    "Promotion",
    "Ready",
    "Record",
    "Reference",
    "Registered",
    "Registration",
    "Signature",
    "Skipped",
    "Stages",
    "Unpublished",
    "UpstreamRun",
    "Version",
    "Wanted",
    "check_name",
    "compare",
    "fetch",
    "find",
    "get",
    "known_model",
    "lineage",
    "models",
    "only_here",
    "parse",
    "policy_at_commit",
    "promotions",
    "publish",
    "read_record",
    "readiness",
    "register",
    "reject",
    "signature_of",
    "stages",
]
