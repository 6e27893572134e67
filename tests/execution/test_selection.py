"""What a run is asked to do: some steps only, other values, once more."""

from __future__ import annotations

from running import Project, ran, reasons, states


def test_some_steps_only(project: Project) -> None:
    nothing = project.run(only=("score",))
    assert ran(nothing) == {"clean", "fit", "score"}, "what is needed and was never made is made"
    assert reasons(nothing)["clean"] == "needed, and never run here"
    assert states(nothing)["register"] == "skipped"
    assert reasons(nothing)["register"] == "not selected"
    assert not project.artifacts.exists(), "only a whole run brings the outputs up to date"
    first = project.run()
    assert ran(first) == {"register"}

    project.code("LEAST = 0", "LEAST = 1")
    project.code("factor * sum", "1.5 * factor * sum")
    project.commit()
    only = project.run(only=("score",))
    assert ran(only) == set(), "the others as they were, and so is what it scores"
    assert reasons(only)["clean"] == f"not selected, made by {nothing.id}"
    assert ran(project.run(only=("score",), force=True)) == {"score"}

    begin = project.run(begin="fit")
    assert ran(begin) == {"fit", "score"}
    assert begin.steps["clean"].made == first.steps["clean"].made
    assert reasons(begin)["register"] == (
        "`clean` is as an earlier run made it, not as the project says now"
    )

    end = project.run(end="fit")
    assert ran(end) == {"clean", "fit"}
    assert {reasons(end)[name] for name in ("good", "register", "reject")} == {"not selected"}
    both = project.run(begin="fit", end="score")
    assert ran(both) == {"score"}
    assert ran(project.run()) == {"register"}
    assert project.tags() == ["mean@v1.0.0", "mean@v1.1.0"]
    assert ran(project.run(force=True)) == {"clean", "fit", "score"}
    project.assert_whole()


def test_what_cannot_be_asked(project: Project) -> None:
    cases = {
        ("params", "factr", "3"): "the pipeline has no parameter `factr` (did you mean `factor`?)",
        ("params", "raw", "x"): "the pipeline has no parameter `raw` "
        "(it is an input: write `--input raw=...`)",
        ("params", "factor", "much"): "parameter `factor` must be a number, not `much` "
        "(What each number is multiplied by)",
        ("params", "factor", "-1"): "parameter `factor` must be above 0, not -1 "
        "(What each number is multiplied by)",
        ("params", "limit", "yes"): "parameter `limit`: `yes` is text to some readers and "
        "true or false to others (write `--param limit=true`)",
        ("inputs", "rwa", "data/raw.json"): "the pipeline has no input `rwa` (did you mean `raw`?)",
        ("inputs", "raw", "data/none.json"): "input `raw` is data/none.json, which is not there "
        "(its path is from the project's root; `--input name=path` overrides it)",
    }
    for (option, name, value), said in cases.items():
        error = project.refused(**{option: {name: value}})
        assert error.exit_code == 2
        assert str(error) == said
    error = project.refused(params={"factor": "0", "limti": "1"}, inputs={"row": "x"})
    assert len(error.faults) == 3, "all at once"
    error = project.refused(only=("scor",), end="fti")
    assert [str(fault) for fault in error.faults] == [
        "no step `scor` in training (did you mean `score`?)",
        "no step `fti` in training (did you mean `fit`?)",
    ]


def test_a_selection_of_nothing_is_refused(project: Project) -> None:
    assert "no step is selected" in str(project.refused(begin="score", end="clean"))
