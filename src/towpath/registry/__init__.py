"""The registry: versions of models as tags, found by name, given once, never taken back."""

from towpath.registry import policy
from towpath.registry.backup_refs import only_here
from towpath.registry.comparing import Comparison, Lineage, compare, lineage
from towpath.registry.data_sources import DataSource, UpstreamRun
from towpath.registry.finding import Found, find, get
from towpath.registry.promotions import Promotion, promotions
from towpath.registry.publishing import Fetched, Unpublished, fetch, publish
from towpath.registry.reading import Model, ModelVersion, known_model, models, read_record
from towpath.registry.ready import Ready, Skipped, readiness
from towpath.registry.record import Bump, Code, Record
from towpath.registry.references import Reference, check_name, parse
from towpath.registry.registering import Registered, Registration, register
from towpath.registry.rejecting import reject
from towpath.registry.signature import Column, Signature
from towpath.registry.version_signatures import signature_of
from towpath.registry.versions import Version
from towpath.registry.wanted import Stages, Wanted, stages

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
    "policy",
    "promotions",
    "publish",
    "read_record",
    "readiness",
    "register",
    "reject",
    "signature_of",
    "stages",
]
