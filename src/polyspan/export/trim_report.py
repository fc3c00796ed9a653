"""What is asked of trimming a vocabulary, and what came of it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polyspan.cards import table
from polyspan.errors import InputError
from polyspan.evaluation import Comparison
from polyspan.export.proof import Proof

MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class TrimSettings:
    """What is to be read later, and how much of the vocabulary may stay.

    ``languages`` (ISO 639-1) are known by their ``words`` most frequent words, ``corpus`` are files as
    ``pieces.read_texts`` takes them; at least one of both. ``pieces`` is how many to keep at most (None: all that are
    needed). ``seed`` draws the sample sentences.
    """

    languages: tuple[str, ...] = ()
    corpus: tuple[Path, ...] = ()
    words: int = 100_000
    pieces: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse to trim for nothing."""
        if not (self.languages or self.corpus):
            raise InputError("trimming needs to know what is to be kept; give --languages de,fr or --corpus FILE")


@dataclass(frozen=True, slots=True)
class TrimReport:
    """What trimming changed.

    ``pieces`` and ``size`` are before and after, ``size`` in bytes of what a reader opens: weights, tokenizer,
    configuration. ``kept_share`` is, by source, the share of the text's tokens, 0 to 1, whose pieces are kept.
    ``scores`` compare the whole model (A) with the trimmed one (B), by dataset.
    """

    settings: TrimSettings
    pieces: tuple[int, int]
    size: tuple[int, int]
    proof: Proof
    kept_share: Mapping[str, float]
    scores: Mapping[str, Comparison]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values, without the questions that changed."""
        content = asdict(self)
        content["settings"]["corpus"] = [path.as_posix() for path in self.settings.corpus]
        for one in content["scores"].values():
            del one["right_to_wrong"], one["wrong_to_right"]
        return content


def trim_section(report: TrimReport) -> str:
    """What a model's card says of trimming, as Markdown."""
    return "\n\n".join(_paragraphs(report))


def _paragraphs(report: TrimReport) -> Iterator[str]:
    settings, proof = report.settings, report.proof
    kept = [f"the {settings.words:,} most frequent words of {', '.join(settings.languages)}"] * bool(settings.languages)
    kept += [path.name for path in settings.corpus]
    yield (
        f"The vocabulary was cut from {report.pieces[0]:,} to {report.pieces[1]:,} pieces, those for "
        f"{' and '.join(kept)}; the model from {report.size[0] / MEGABYTE:.1f} to {report.size[1] / MEGABYTE:.1f} MB. "
        "Texts in other languages fall apart into single characters or unknown ones. Whatever else this card says of "
        "scores and languages was measured before."
    )
    yield (
        f"On {proof.windows} windows of kept pieces the logits are those of the whole model (largest difference "
        f"{proof.largest:g})."
    )
    yield table(
        ["text", "tokens whose pieces are kept"], [(name, f"{share:.2%}") for name, share in report.kept_share.items()]
    )
    if report.scores:
        yield table(
            ["dataset", "questions", "F1 before", "F1 after", "difference (95 % interval)"],
            [(name, *score_cells(one)) for name, one in report.scores.items()],
        )


def score_cells(one: Comparison) -> tuple[str, str, str, str]:
    """Of a comparison how many questions, F1 before and after, and the difference with its interval."""
    f1 = one.difference["f1"]
    change = f"{f1.difference:+.2f} ({f1.low:+.2f} to {f1.high:+.2f})"
    return f"{one.signature['n']:,}", f"{one.a['f1']:.2f}", f"{one.b['f1']:.2f}", change
