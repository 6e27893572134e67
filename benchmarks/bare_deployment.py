"""The floor of a deployed run: the six steps' floor as the one task of a bare Prefect flow."""

import runpy
import sys

from prefect import flow, task


@task(persist_result=False)
def work(script: str, folder: str, trees: int) -> None:
    """All of the work, in Prefect's own process."""
    sys.argv = [script, folder, str(trees)]
    runpy.run_path(script, run_name="__main__")


@flow
def bare(script: str, folder: str, trees: int) -> None:
    """What a deployed run of ours is measured against."""
    work(script, folder, trees)
