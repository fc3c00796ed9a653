"""The mean of several readers' weights, as one reader."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polyspan.backends import ModelFolder, NativeSettings
from polyspan.backends.digest import model_digest
from polyspan.datasets.writing import new_folder
from polyspan.errors import InputError, ModelError
from polyspan.export.folder import refuse_farm, write_card
from polyspan.export.progress import Progress, unwatched
from polyspan.export.trim import tokenizer_content

SECTION = "Averaged weights"


def average(sources: Sequence[ModelFolder], out: Path, progress: Progress = unwatched) -> None:
    """Write the mean of readers' weights to the new folder ``out``: a "model soup" (Wortsman et al., 2022).

    It is no slower than one of them, and often better than each, if all began from the same weights: states of one run
    at a constant learning rate, or runs with other seeds or other data. Each counts as much as another. What was fitted
    to one reader's scores, its temperatures and its threshold, does not come along.

    Args:
        sources: two readers or more with weights for torch, of one architecture and tokenizer.
        out: appears when all is done.
        progress: is handed what takes long, its length and what it is, and gives the same items.

    Raises:
        InputError: if there are fewer than two, or ``out`` exists.
        ModelError: if one cannot be opened, or does not fit the first.
        MissingExtraError: without torch.
    """
    from polyspan.backends.torch import open_model, quietly, save_tokenizer

    if len(sources) < 2:
        raise InputError(f"averaging takes two models or more, not {len(sources)}")
    for source in sources:
        refuse_farm(source)
    first, *others = sources
    with new_folder(out) as folder:
        tokenizer = tokenizer_content(first)
        model = open_model(first, "auto")
        weights = model.state_dict()
        sums = {name: values.double() for name, values in weights.items() if values.is_floating_point()}
        for source in progress(others, len(others), "averaging"):
            if tokenizer_content(source) != tokenizer:
                raise ModelError(f"{source.path}: its tokenizer is not that of {first.path}; only alike ones average")
            _add(sums, open_model(source, "auto").state_dict(), source, first)
        for name, total in sums.items():
            weights[name].copy_(total / len(sources))
        with quietly():
            model.save_pretrained(folder)
        save_tokenizer(first, folder)
        settings = [source.settings for source in sources]
        abstains = settings[0].no_answer if len({one.no_answer for one in settings}) == 1 else None
        ModelFolder(folder).write_settings(NativeSettings(out.name, abstains, options=settings[0].options))
        write_card(first, folder, SECTION, _section(sources))


def _add(sums: dict[str, Any], weights: dict[str, Any], source: ModelFolder, first: ModelFolder) -> None:
    """Add one model's weights to the sums; ModelError where they are of other names or shapes."""
    held = {name: tuple(values.shape) for name, values in weights.items() if name in sums or values.is_floating_point()}
    expected = {name: tuple(values.shape) for name, values in sums.items()}
    if differing := sorted(name for name in {*held, *expected} if held.get(name) != expected.get(name)):
        name = differing[0]
        raise ModelError(
            f"{source.path}: {name} is {held.get(name, 'missing')}, and in {first.path} "
            f"{expected.get(name, 'missing')}; only models of one architecture average"
        )
    for name, total in sums.items():
        total.add_(weights[name])


def _section(sources: Sequence[ModelFolder]) -> str:
    """What a card says of the models that were averaged, as Markdown."""
    rows = "\n".join(f"- `{source.path.resolve().name}`, digest {model_digest(source)}" for source in sources)
    return (
        f"The mean of {len(sources)} models' weights, each counting the same; what is said above is of the first:\n\n"
        f"{rows}\n\nNeither temperatures nor a no-answer threshold were fitted to it."
    )
