"""Logging in a step: all is shown, until the step sets it up as a plain script does."""

from __future__ import annotations

import pytest

LOGS = """
    import logging

    LOG = logging.getLogger("mine")

    def bare():
        logging.info("by the root")
        LOG.info("by a logger")
        logging.warning("loud")

    def debug():
        logging.getLogger().setLevel(logging.DEBUG)
        LOG.debug("deep")

    def script(asked):
        logging.basicConfig(**asked)
        LOG.debug("deep")
        LOG.info("quiet")
        LOG.warning("loud")
        logging.info("by the root")

    def kept_back():
        LOG.propagate = False
        LOG.info("quiet")
        LOG.warning("loud")

    def own_handler():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("own %(message)s"))
        LOG.addHandler(handler)
        LOG.warning("once")
"""


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        ({}, ["WARNING:mine:loud"]),
        ({"level": "DEBUG", "format": "%(message)s"}, ["deep", "quiet", "loud", "by the root"]),
        ({"format": "* %(message)s"}, ["* loud"]),
        ({"format": "* %(message)s", "force": True}, ["* loud"]),
        ({"level": "INFO", "filename": "own.log", "format": "%(message)s"}, []),
    ],
)
def test_a_step_sets_logging_up_as_a_script_does(project, warm, asked, lines):
    project.steps(LOGS)
    warm()
    made = project.carry_out("script", (), {"asked": asked})
    assert project.lines == lines
    if "filename" in asked:
        assert (project.root / "own.log").read_text() == "quiet\nloud\nby the root\n"
        assert "undeclared" not in made.facts, "a log that it writes is no input"


def test_without_a_word_all_is_shown_from_info_on(project, warm):
    project.steps(LOGS)
    warm()
    project.carry_out("bare")
    assert [line.partition(" ")[2] for line in project.lines] == [
        "INFO root: by the root", "INFO mine: by a logger", "WARNING root: loud",
    ]  # fmt: skip
    project.lines.clear()
    project.carry_out("debug")
    assert project.lines[0].endswith("DEBUG mine: deep")
    project.lines.clear()
    project.carry_out("kept_back")
    assert [line.partition(" ")[2] for line in project.lines] == ["WARNING mine: loud"]
    project.lines.clear()
    project.carry_out("own_handler")
    assert project.lines == ["own once"]
