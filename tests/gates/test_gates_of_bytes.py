"""Gates that open a model or a table, each in a process of its own."""

from __future__ import annotations

SAMPLES = "a,b,expected\n0,0,0\n1,0,3\n0.5,0.5,2.0\n"


def test_golden_samples_come_out(desk):
    verdict = desk.one("{kind: golden, samples: g.csv, absolute: 1e-9}", {"g.csv": SAMPLES})
    assert (verdict.passed, verdict.value, verdict.detail) == (True, "3 of 3", "")
    assert verdict.bound == "all of g.csv within 1e-09"
