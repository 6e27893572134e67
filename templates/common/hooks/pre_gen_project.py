"""Refuse answers that would make a project which cannot work, all of them at once."""

import json
import sys

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
sys.dont_write_bytecode = True
sys.path.insert(0, *json.loads(r"""[{{ template_folder | tojson }}]"""))

from towpath_template import faults  # noqa: E402

if wrong := faults(ANSWERS):
    sys.exit("\n".join(wrong))
