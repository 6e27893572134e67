"""Which code of the project, and which packages, a step depends on; nothing is imported for it."""

from towpath.dependencies.code_reader import CodeReader
from towpath.dependencies.step_function import StepArgument, StepSignature

__all__ = ["CodeReader", "StepArgument", "StepSignature"]
