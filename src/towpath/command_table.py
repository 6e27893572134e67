"""The verbs of `towpath`, for the command line that has them and the pages that name them."""

from __future__ import annotations

#: Each verb, the family whose module holds it (`run`: cli/run_commands.py), and its word in
#: `towpath --help`. A module is imported when its verb is called, so that the help costs nothing.
VERBS: dict[str, dict[str, tuple[str, str]]] = {
    "Begin": {
        "new": ("project", "Make a project from a template."),
        "init": ("project", "Make a project of the repository that you have."),
        "check": ("project", "Say all that is wrong with the project's declarations."),
        "graph": ("project", "Draw a pipeline: text, Mermaid or SVG."),
        "schema": ("project", "Print the JSON Schema of a declaration, for editors."),
        "doctor": ("project", "Say what stands in the way: Git, stages, stores, the forge."),
    },
    "Look": {
        "studio": ("studio", "See pipelines, runs, models and stages in a browser."),
    },
    "Run": {
        "plan": ("run", "Say for each step whether it would run, and why."),
        "run": ("run", "Run a pipeline."),
        "answer": ("run", "Answer a step that waits for it; list those that do."),
        "runs": ("record", "List the runs."),
        "logs": ("record", "Show the log of a run, or of one of its steps."),
        "diff": ("record", "Show in what two runs differ."),
        "report": ("record", "Write a page about a run or a version: graph, curves, logs."),
        "get": ("record", "Copy what a run or a version made to a file of your own."),
        "step": ("run", "Run one step on the files of the work tree, as DVC does."),
        "shell": ("debug", "Open Python with what a step of a run took."),
    },
    "Registry": {
        "models": ("version", "List the models and their versions."),
        "show": ("version", "Show a version or a run: metrics, parameters, data, code."),
        "compare": ("version", "Lay versions side by side."),
        "search": ("version", "Find versions by metric, parameter, label, stage, author or date."),
        "transform": ("version", "Score a table with a registered model."),
        "register": ("registry", "Register what a run made, without running anything."),
        "claim": ("registry", "Write down that a model is of this project."),
        "restore": ("registry", "Put a tag right: make a lost one again, set a false aside."),
        "reject": ("version", "Mark a version as bad, or put a promotion away, with the reason."),
    },
    "Promotion": {
        "promote": ("promotion", "Propose that a version enter a stage: a pull request."),
        "approve": ("promotion", "Approve a promotion and merge it; list those that wait."),
        "rollback": ("promotion", "Propose that a stage go back to the version before."),
        "demote": ("promotion", "Propose that a model leave a stage."),
        "reconcile": ("reconcile", "Make each stage run what the main branch says."),
        "forge": ("promotion", "Say or set what the forge must enforce."),
    },
    "Audit": {
        "history": ("audit", "Say what each stage ran, when, and who let it in."),
        "lineage": ("audit", "Draw where a version came from, and where it went."),
        "verify": ("audit", "Find what was forged, altered or lost."),
        "reproduce": ("audit", "Make a version again, and say whether it is the same."),
    },
    "Store": {
        "push": ("registry", "Push data, models and versions, which get their numbers."),
        "pull": ("registry", "Bring versions, data, models, and what a run need not do again."),
        "fetch": ("registry", "Bring the registry's tags."),
        "update": ("run", "Look again at where inputs come from, and pin what is there now."),
    },
    "Prefect": {
        "deploy": ("server", "Make the deployments that prefect.yaml declares."),
        "up": ("server", "Start the local Prefect API and a worker."),
        "down": ("server", "Stop them."),
        "status": ("server", "Say what runs, and what waits for a person."),
    },
}
