"""The card of a trained encoder: what the run knows of itself."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from polyspan.cards import ENCODER, CardDataset, CardFacts, CardResult, CardTraining, model_card, table, with_section
from polyspan.training.card import flat, machine, shown
from polyspan.training.recipe import as_mapping
from polyspan.training.retriever_recipe import RetrieverRecipe
from polyspan.types import Report

MAIN = ("gold_recall_at_1", "gold_recall_at_10", "gold_mrr_at_10")
_TAGS = ("feature-extraction", "retrieval")
# What stands elsewhere in a card.
_OWN_PLACES = ("model", "name", "licence", "data", "dev")


def retriever_card(
    recipe: RetrieverRecipe,
    name: str,
    questions: Sequence[int],
    minutes: float,
    reports: tuple[Mapping[str, Report], Mapping[str, Report]],
) -> str:
    """The README.md of a trained encoder.

    ``questions`` are those of each data file, ``reports`` those of the development files, by path, before and after
    training.
    """
    data, (before, after) = recipe.data, reports
    settings = {key: value for key, value in flat(as_mapping(recipe)) if not key.startswith(_OWN_PLACES)}
    card = model_card(
        CardFacts(
            name=name,
            licence=recipe.licence,
            languages=tuple(sorted({file.language for file in data if file.language})),
            base_model=shown(recipe.model),
            tags=_TAGS,
            datasets=tuple(
                CardDataset(Path(file.path).name, file.language, file.licence, file.source, count, file.weight)
                for file, count in zip(data, questions, strict=True)
            ),
            training=CardTraining(settings, machine(), minutes),
            results=tuple(CardResult(Path(path).name, report) for path, report in after.items()),
            limits=tuple(_limits(recipe)),
            kind=ENCODER,
        )
    )
    if not after:
        return card
    rows = [
        (Path(path).name, *(f"{before[path].scores[key]:.1f} → {report.scores[key]:.1f}" for key in MAIN))
        for path, report in after.items()
    ]
    header = ["file", "recall at 1", "recall at 10", "reciprocal rank at 10"]
    return with_section(card, "What training changed", f"{_BEFORE}\n\n{table(header, rows)}")


_BEFORE = "Passages that hold the annotated answer, 0 to 100, before and after training:"


def _limits(recipe: RetrieverRecipe) -> Iterator[str]:
    yield f"Texts are cut after {recipe.max_seq_len} tokens."
    if not recipe.dev:
        yield "Nothing was measured before or after it was trained."
    if unstated := [Path(file.path).name for file in recipe.data if not file.licence]:
        yield f"The recipe states no licence of {', '.join(unstated)}."
