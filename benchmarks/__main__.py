"""``make bench``: every figure as one table, for the README."""

from __future__ import annotations

import os
import platform
import sys

from benchmarks import pipelines, promotions, registry, store, studio

SUITES = {
    "pipelines": pipelines.rows,
    "store": store.rows,
    "registry": registry.rows,
    "promotions": promotions.rows,
    "studio": studio.rows,
}


def main() -> int:
    """Measure the suites named (default: all) and print the table; 1 if a bound is not kept."""
    names = sys.argv[1:] or list(SUITES)
    print(f"Measured on {_machine()}.\n")
    print("| figure | measured | bound | |\n|---|---|---|---|")
    kept = True
    for name in names:
        for row in SUITES[name]():
            kept &= row.kept
            over = "" if row.kept else " **over**"
            print(
                f"| {row.name} | {row.value:.2f} {row.unit}{over} | {row.bound:.4g} | {row.note} |",
                flush=True,
            )
    return 0 if kept else 1


def _machine() -> str:
    cores = f"{os.cpu_count()} cores of {_processor()}"
    return f"{cores}, {platform.system()}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii") as info:  # noqa: PTH123 - a file of the kernel
            return next(
                line.split(":", 1)[1].strip() for line in info if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
