"""`towpath transform`."""

from __future__ import annotations

from pathlib import Path

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, json_option, pass_session, print_json


@click.command()
@click.argument("reference")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The file of scored rows: .parquet, .csv or .tsv.",
)
@click.option("--stage", help="Take the bytes from this stage's store and from nowhere else.")
@click.option(
    "--method",
    type=click.Choice(["predict", "predict_proba"]),
    default="predict",
    help="What the model is asked for (default: predict).",
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows in memory at a time.")
@json_option
@pass_session
def transform(
    session: Session, reference: str, data: Path, output: Path, stage: str | None,
    method: str, batch_size: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Score the table DATA with the model REFERENCE (abalone#prod, abalone@v1.0.0).

    The model's bytes come from the stage's own store, and are held against the version's record
    before anything is read from them.
    """
    from towpath.versions import table_scoring

    scoring_request = table_scoring.TransformRequest(
        reference,
        session.working_folder / data,
        session.working_folder / output,
        stage,
        method=method,
        batch_size=batch_size,
    )
    scored = table_scoring.transform_table(session.workspace, scoring_request)
    if scored.rejected is not None:  # whatever was asked for: nobody should read past it
        terminal.echo(f"warning: {scored.version} was rejected: {scored.rejected}", err=True)
    for words in scored.packages:
        terminal.echo(f"note: {words}", err=True)
    if as_json:
        return print_json("transform", scored)
    return session.say(f"{scored.rows:,} rows scored with {scored.version} from {scored.source}")
