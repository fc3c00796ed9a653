"""``polyspan push``."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from polyspan.backends import push_model
from polyspan.cli.output import notice, print_json


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("repo", metavar="ORG/NAME")
@click.option("--private", is_flag=True, help="Make the repository a private one; refuse a public one.")
@click.option("--revision", metavar="BRANCH", help="Push to this branch, and make it if there is none.")
@click.option("--message", metavar="TEXT", help="The commit's message.")
@click.option("--without-card", is_flag=True, help="Push also where there is no README.md.")
@click.option("--json", "as_json", is_flag=True, help="Print the commit's address and the files as JSON.")
def push(
    folder: Path,
    repo: str,
    private: bool,
    revision: str | None,
    message: str | None,
    without_card: bool,
    as_json: bool,
) -> None:
    """Upload the model in FOLDER to the repository ORG/NAME of a hub, as the owner of HF_TOKEN.

    Hidden files, pickled weights and training checkpoints stay here. HF_ENDPOINT names another hub than
    huggingface.co.
    """
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    pushed = push_model(folder, repo, private=private, revision=revision, message=message, without_card=without_card)
    if pushed.left_out:
        notice(f"left out, as pickles and checkpoints are not pushed: {', '.join(pushed.left_out)}")
    if as_json:
        print_json(asdict(pushed))
        return
    click.echo(f"{len(pushed.files)} files: {pushed.url}")
