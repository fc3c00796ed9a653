"""How fast the training loop is beside plain padding to 384 tokens, as transformers' run_qa example does it.

    python benchmarks/training.py MODEL_FOLDER SQUAD.json

Both learn from the same windows of the same model with frozen word embeddings, in bfloat16 autocast on the CPU.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator

from measure import interleaved, machine, medians, write_result
from polyspan.backends import ModelFolder
from polyspan.features import WindowSettings, collate
from polyspan.training.batches import BatchSettings
from polyspan.training.checkpoint import Progress
from polyspan.training.dropout import use_cheap_dropout
from polyspan.training.examples import TrainingSet, make_training_set
from polyspan.training.loop import Loop, RunSettings
from polyspan.training.model import open_student
from polyspan.training.objective import gold_objective
from polyspan.training.recipe import DataFile, Optimisation, Recipe

LENGTH, WINDOWS = 384, 12
RATE = 3e-5


def padded(folder: ModelFolder, recipe: Recipe, training: TrainingSet, pad_id: int) -> Callable[[], None]:
    """Batches in the order of the file, each window padded to 384 tokens; torch's dropout and attention."""
    model = open_student(folder, recipe.optimisation)
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=RATE)

    def run() -> None:
        for begin in range(0, len(training.windows), WINDOWS):
            chosen = training.windows[begin : begin + WINDOWS]
            batch = collate([one.window for one in chosen], pad_id, LENGTH)
            gold = torch.tensor([one.targets[0].tolist() for one in chosen if one.targets is not None])
            with torch.autocast("cpu", torch.bfloat16):
                output = model(
                    input_ids=torch.from_numpy(batch.input_ids),
                    attention_mask=torch.from_numpy(batch.attention_mask),
                    start_positions=gold[:, 0],
                    end_positions=gold[:, 1],
                )
            output.loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    return run


def looped(folder: ModelFolder, recipe: Recipe, training: TrainingSet, pad_id: int) -> Callable[[], None]:
    """The library's own loop."""
    model = open_student(folder, recipe.optimisation)
    use_cheap_dropout(model)
    loop = Loop(recipe, model, training, gold_objective, Accelerator(cpu=True), RunSettings(checkpoint_seconds=1e9))

    def run() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            loop.epoch(Progress("benchmark"), Path(scratch) / "checkpoint", pad_id)

    return run


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--windows", type=int, default=120)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "training.json")
    given = parser.parse_args()
    folder = ModelFolder(given.model)
    recipe = Recipe(
        model=str(given.model),
        data=(DataFile(str(given.dataset)),),
        precision="bfloat16",
        windows=WindowSettings(max_seq_len=LENGTH),
        batch=BatchSettings(tokens=LENGTH * WINDOWS),
        optimisation=Optimisation(learning_rate=RATE, freeze=("word_embeddings",)),
    )
    tokenizer = folder.pair_tokenizer()
    if tokenizer is None:
        raise SystemExit(f"{given.model} holds no tokenizer.json")
    whole = make_training_set(recipe, tokenizer, lambda items, *_: items)
    step = max(1, len(whole.windows) // given.windows)
    training = replace(whole, windows=whole.windows[::step], weights=whole.weights[::step])
    tokens = int(training.lengths.sum())
    seconds = interleaved(
        {
            "padded to 384": padded(folder, recipe, training, tokenizer.pad_id),
            "polyspan": looped(folder, recipe, training, tokenizer.pad_id),
        },
        given.runs,
    )
    middle = medians(seconds)
    write_result(
        given.out,
        {
            "what": f"{len(training.windows)} windows, {tokens} tokens, forward, backward and update, seconds",
            "medians": middle,
            "ratios": {
                "polyspan / padded to 384, tokens a second": round(middle["padded to 384"] / middle["polyspan"], 3)
            },
            "tokens a second": {name: round(tokens / taken) for name, taken in middle.items()},
            "seconds": seconds,
            "runs": given.runs,
            "seed": recipe.seed,
            **machine(("polyspan", "torch", "transformers", "accelerate")),
        },
    )


if __name__ == "__main__":
    main()
