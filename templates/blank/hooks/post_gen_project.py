"""Finish a new project: a repository with a first commit."""

import json
import sys

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
sys.dont_write_bytecode = True
sys.path.insert(0, *json.loads(r"""[{{ template_folder | tojson }}]"""))

from first_commit import finish  # noqa: E402

finish(ANSWERS, "blank", "read README.md")
