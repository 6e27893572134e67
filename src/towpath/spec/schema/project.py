"""The schema of ``towpath.yaml``."""

from __future__ import annotations

from towpath.spec.schema import deployments, gates
from towpath.spec.schema.terms import DRAFT, Schema, a, either, fields, listed, named, one_of, ref
from towpath.spec.schema.values import OWN_FORMAT

_PIECE = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_VARIABLE = a("string", "The name of an environment variable.", pattern="^[A-Z_][A-Z0-9_]*$")
BRANCH = r"^[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)*$"
_STAGE_NAMES: Schema = {"propertyNames": ref("stage_name")}

_STORE = fields(
    {
        "url": a("string", "A folder or an S3 URL.", minLength=1),
        "profile": a("string", "The AWS profile to use."),
        "endpoint": a("string", "The address of an S3 server that is not Amazon's."),
        "region": a("string", "The region."),
        "credentials": fields(
            {"access_key": _VARIABLE, "secret_key": _VARIABLE, "session_token": _VARIABLE},
            "The environment variables that hold the credentials: names, never values.",
            required=("access_key", "secret_key"),
        ),
    },
    required=("url",),
)

_STAGE = fields(
    {
        "description": a("string", "What the stage is for."),
        "store": ref("store", "Where the bytes of its versions are kept."),
        "api": a("string", "The stage's Prefect API."),
        "work_pool": a("string", "The Prefect work pool of its deployments."),
        "approvers": listed(a("string"), "Who may approve what enters it."),
        "approval": ref("approval"),
        "gates": a(
            "object", "What a version must pass, by name.", additionalProperties=ref("gate")
        ),
        "deploy": ref("deploy", "What runs a version in it."),
        "code": one_of(
            "main",
            "any",
            about="Whose code a model's own classes may come from: that of commits in main's "
            "history (the default of all stages but the first), or of any commit.",
        ),
    }
)

_RUNNER = {
    **fields(
        {
            "kind": one_of("threads", "processes", "dask"),
            "workers": a("integer", "Steps at once; by default one for each core.", minimum=1),
            "address": a("string", "The scheduler of a Dask cluster: `tcp://host:8786`."),
        }
    ),
    "if": {"required": ["kind"], "properties": {"kind": {"const": "dask"}}},
    "then": {"required": ["address"]},
    "else": {"not": {"required": ["address"]}},
}

_FORGE = fields(
    {
        "kind": one_of("github"),
        "repository": a("string", "`owner/name`.", pattern=r"^[\w.-]+/[\w.-]+$"),
        "api": a("string", "The address of a GitHub Enterprise server's API."),
        "tag_writers": listed(
            a("string", pattern=r"^(admin|maintain|write|app/\d+|@[\w.-]+/[\w.-]+)$"),
            "Who may make version and stage tags; by default whoever may push.",
        ),
    },
    required=("kind",),
)

SCHEMA: Schema = {
    "$schema": DRAFT,
    "title": "A project of Towpath",
    "description": "towpath.yaml, at the project's root.",
    **fields(
        {
            "name": a("string", "Its name.", pattern="^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$"),
            "description": a("string", "What the project is for."),
            "stages": either(
                listed(ref("stage_name"), minItems=1, uniqueItems=True),
                named(ref("stage"), minProperties=1, **_STAGE_NAMES),
                about="In the order in which a version climbs them; by default dev, uat, prod.",
            ),
            "stores": named(ref("store"), "Stores by name.", **_STAGE_NAMES),
            "registry": a("string", "`.`, or the Git URL of a shared registry.", minLength=1),
            "main": a(
                "string",
                "The main branch, where it is not the one that the remote's HEAD names.",
                pattern=BRANCH,
            ),
            "owners": named(
                listed(a("string"), minItems=1),
                "In a shared registry: the repositories that may register a model, by its name.",
                propertyNames={"pattern": f"^{_PIECE}$"},
            ),
            "forge": either(one_of("github"), _FORGE, about="Where pull requests live."),
            "runner": either(
                one_of("threads", "processes"), _RUNNER, about="What carries out steps."
            ),
            "trust": listed(
                a("string", pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$"),
                "Types that a model file may hold beside the known ones.",
            ),
            "formats": a(
                "object",
                "Formats of the project's own, by name: a class with `read` and `write`.",
                propertyNames=OWN_FORMAT,
                additionalProperties=a(
                    "string",
                    "`module:Class`, from the project's root.",
                    pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
                ),
            ),
            "policy": fields(
                {
                    "approval": ref("approval"),
                    "self_approval": a("boolean", "Whether an author may approve."),
                    "ladder": a("boolean", "Whether it must have been in the stage below."),
                    "versions": one_of(
                        "any", "signed", about="Whether an allowed signer must have signed its tag."
                    ),
                },
                "What holds for every stage that does not say otherwise.",
            ),
        },
        required=("name",),
    ),
    "definitions": {
        **gates.DEFINITIONS,
        **deployments.DEFINITIONS,
        "stage_name": a("string", pattern=f"^{_PIECE}$"),
        "store": either(a("string", "A folder or an S3 URL.", minLength=1), _STORE),
        "stage": either(a("null"), _STAGE),
        "approval": one_of("forge", "signed", "recorded", about="The least level of approval."),
    },
}
