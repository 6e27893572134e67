"""Finish a new project: track its customers as DVC does, and commit."""

import json
import sys
from pathlib import Path

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
sys.dont_write_bytecode = True
sys.path.insert(0, *json.loads(r"""[{{ template_folder | tojson }}]"""))

from first_commit import finish, track  # noqa: E402

# Data first: when they are not what they should be, cookiecutter removes the folder.
track(
    Path("data/customers.csv"), "54188dd6c66bab4d2dea88cd3c80cc4429f87a75583d3b2bd2c72cca5c1199cc"
)
finish(ANSWERS, "churn", "read README.md, towpath run")
