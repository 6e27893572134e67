"""Finish a new project: choose its data, track it as DVC does, commit.

That stock DVC agrees with it is held by tests/projects.
"""

import hashlib
import json
import sys
from pathlib import Path

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
sys.dont_write_bytecode = True
sys.path.insert(0, *json.loads(r"""[{{ template_folder | tojson }}]"""))

from first_commit import finish  # noqa: E402

SHA256 = {
    "abalone": "ffa124af26414bfd9d9a8bf691a48e0c9c3e34967b7552dc39b7db0e5dcf21bd",
    "penguins": "97d467baa3522040aa892fa7f2ff57b5195be5fef3cceca3f78a6b1a6e32d7a2",
}


def choose_table(name: str) -> bytes:
    """The project's table, of those that the template carries: the same bytes for everybody."""
    for carried in Path("data").glob("*.csv"):
        if carried.stem != name:
            carried.unlink()
    table = Path("data", f"{name}.csv").read_bytes()
    if hashlib.sha256(table).hexdigest() != SHA256[name]:
        sys.exit(
            f"data/{name}.csv is not the table that this template knows: get the template anew."
        )
    return table


def track(name: str, table: bytes) -> None:
    """Put a table under DVC: the file, its pointer, a line in .gitignore, bytes in the cache."""
    digest = hashlib.md5(table).hexdigest()
    cached = Path(".dvc/cache/files/md5", digest[:2], digest[2:])
    cached.parent.mkdir(parents=True)
    cached.write_bytes(table)
    cached.chmod(0o444)
    file = Path("data", f"{name}.csv")
    pointer = f"outs:\n- md5: {digest}\n  size: {len(table)}\n  hash: md5\n  path: {file.name}\n"
    Path(f"{file}.dvc").write_text(pointer)
    Path("data/.gitignore").write_text(f"/{file.name}\n")


# Data first: when they are not what they should be, cookiecutter removes the folder.
track(ANSWERS["__data"], choose_table(ANSWERS["__data"]))
finish(ANSWERS, "tabular", "read README.md, towpath run")
