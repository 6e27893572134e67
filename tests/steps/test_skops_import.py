"""What is left out where skops is imported is there for who asks for it."""

from __future__ import annotations

from pathlib import Path

from command_line import run_python

ASKS = """
import io, sys
from towpath.steps.model_io.skops_import import skops_io, trusting_named_types

assert "sklearn.neural_network" not in sys.modules
from sklearn.linear_model import LinearRegression
written = skops_io.dumps(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]))
with trusting_named_types():
    skops_io.loads(written, trusted=["sklearn.linear_model._base.LinearRegression"])
    assert skops_io.get_untrusted_types(data=written), "of itself it trusts nothing of this"
assert "sklearn.neural_network" not in sys.modules

assert skops_io.get_untrusted_types(data=written) == []
print(skops_io.loads(written).predict([[3.0]])[0].round())
"""


def test_without_the_whole_of_scikit_learn(tmp_path: Path) -> None:
    ended = run_python(tmp_path, ASKS)
    assert (ended.stdout, ended.returncode) == ("3.0\n", 0), ended.stderr
