"""Tells the lock keeper: writes the message on the slate."""

import sys
from pathlib import Path

Path(".towpath", "slate.txt").write_text(sys.stdin.read())
