"""``polyspan average``."""

from pathlib import Path

import click

from polyspan.backends import find_model
from polyspan.cli.output import print_json, progress
from polyspan.export.average import average as mean


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def average(models: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Write the mean of the weights of MODELS (folders or hub ids) to the new folder OUT.

    For readers that began from the same weights: states of one run at a constant learning rate, or runs with other
    seeds or other data. The mean is as fast as one of them, and often better than each. Temperatures and threshold do
    not come along; fit them with polyspan calibrate.
    """
    mean([find_model(model) for model in models], out, progress)
    if as_json:
        print_json({"folder": str(out), "models": list(models)})
    else:
        click.echo(f"{out}: written, the mean of {len(models)} models")
