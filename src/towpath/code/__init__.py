"""Which code of the project, and which packages, a step depends on; nothing is imported for it."""

from towpath.code.code_reader import Reader
from towpath.code.signature import Argument, Signature

__all__ = ["Argument", "Reader", "Signature"]
