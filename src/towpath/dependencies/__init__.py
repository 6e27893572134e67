"""Which code of the project, and which packages, a step depends on; nothing is imported for it."""

from towpath.dependencies.code_reader import Reader
from towpath.dependencies.function_signature import Argument, Signature

__all__ = ["Argument", "Reader", "Signature"]
