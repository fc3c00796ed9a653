"""``polyspan trim``."""

from pathlib import Path
from typing import Any

import click

from polyspan.backends import find_model
from polyspan.cli.output import print_json, progress
from polyspan.cli.scoring import dataset_and_language
from polyspan.errors import InputError
from polyspan.evaluation import TEXT_REGIMES, counted, read_questions
from polyspan.export.trim import trim as cut
from polyspan.export.trim_report import MEGABYTE, TrimReport, TrimSettings, score_cells
from polyspan.metrics import signature_text
from polyspan.types import Report


@click.command()
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--languages", default="", metavar="CODE,...", help="Languages to keep (ISO 639-1), such as de,fr.")
@click.option(
    "--corpus",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Texts to keep: a document or SQuAD JSON, also .gz; may be repeated.",
)
@click.option(
    "--words", type=click.IntRange(1), default=100_000, show_default=True, help="Frequent words of each language."
)
@click.option("--pieces", type=click.IntRange(1), help="Keep so many pieces at most, the most used.  [default: all]")
@click.option(
    "--eval", "tests", multiple=True, metavar="FILE[:LANG]", help="SQuAD JSON to score before and after; repeatable."
)
@click.option(
    "--regime", type=click.Choice(list(TEXT_REGIMES)), default="squad", show_default=True, help="Rules to score by."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def trim(model: str, out: Path, languages: str, corpus: tuple[Path, ...], as_json: bool, **given: Any) -> None:
    """Write MODEL (a folder, a hub id, or "default") to the new folder OUT with a smaller vocabulary.

    Kept are the pieces that frequent words of some languages, or the texts of a corpus, need, with digits, punctuation
    and single characters. On texts of kept pieces the logits stay equal, which is proved before anything is written.
    Languages written without spaces need a corpus, since their pieces do not end with a word. Trimmed is what a Reader
    would open: the ONNX file, else the weights for torch.
    """
    codes = tuple(dict.fromkeys(code.strip() for code in languages.split(",") if code.strip()))
    settings = TrimSettings(codes, corpus, given["words"], given["pieces"])
    tests = [read_questions(*dataset_and_language(text, "")) for text in given["tests"]]
    for questions in tests:
        counted(given["regime"], questions, {})
    names = [str(questions.source["dataset"]) for questions in tests]
    if len(set(names)) < len(names):
        raise InputError(f"--eval: two of {', '.join(names)} have one name; rename a file")
    report = cut(find_model(model), out, settings, tests, given["regime"], progress)
    if as_json:
        print_json({"folder": str(out), **report.to_json()})
    else:
        _print(report, out)


def _print(report: TrimReport, out: Path) -> None:
    """Pieces, size, proof, how much text is cut as before, scores."""
    (old, new), (large, small) = report.pieces, report.size
    click.echo(f"pieces {old:,} -> {new:,}, size {large / MEGABYTE:.1f} -> {small / MEGABYTE:.1f} MB")
    proof = report.proof
    click.echo(
        f"equal logits on {proof.windows} windows (largest difference {proof.largest:g}), equal tokens on "
        f"{proof.sentences:,} sentences"
    )
    for name, share in report.kept_share.items():
        click.echo(f"{share:8.2%} of the tokens of {name} are kept")
    for name, one in report.scores.items():
        questions, before, after, change = score_cells(one)
        click.echo(f"F1 {before} -> {after}, {change}, {questions} questions of {name}")
    for one in list(report.scores.values())[-1:]:
        click.echo(signature_text(Report({}, one.signature)))
    click.echo(f"written: {out}")
