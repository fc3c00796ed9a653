"""``polyspan convert``."""

from pathlib import Path

import click

from polyspan.cli.output import notice, print_json
from polyspan.interop.farm.folders import convert_folder


@click.command()
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "target",
    type=click.Choice(["transformers", "farm"]),
    help="Layout of OUT.  [default: the one that MODEL does not have]",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def convert(model: str, out: Path, target: str | None, as_json: bool) -> None:
    """Write MODEL, a folder of FARM or of transformers, to the new folder OUT in the other layout.

    Weights stay the same bits; temperature and no-answer boost are kept. FARM's folders are written with safetensors in
    place of its .bin files.
    """
    done = convert_folder(model, out, target)  # type: ignore[arg-type] # click's choice
    for note in done.notes:
        notice(note)
    if as_json:
        print_json(done.to_json())
    else:
        click.echo(
            f"{out}: written, from {done.source_layout} to {done.target_layout}; temperature {done.temperature:g}, "
            f"no-answer boost {done.no_ans_boost:g}"
        )
