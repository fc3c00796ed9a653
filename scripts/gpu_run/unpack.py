#!/usr/bin/env python3
"""Makes a reader's folder from what run.py wrote.

    python scripts/gpu_run/unpack.py MODEL OUT_OF_RUN READER

MODEL is the recipe's model, folder or hub id, whose configuration, tokenizer and word embeddings are the reader's.
"""

import argparse
import sys
from pathlib import Path

from safetensors.torch import load_file

from polyspan.backends import find_model
from polyspan.backends.torch import save_model
from polyspan.datasets.writing import new_folder
from polyspan.errors import InputError, ModelError, PolyspanError
from polyspan.training.model import open_model

WORDS = "bert.embeddings.word_embeddings.weight"


def main(arguments: list[str] | None = None) -> int:
    """Do as the command line says; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the recipe's model")
    parser.add_argument("run", type=Path, help="the folder that run.py wrote")
    parser.add_argument("reader", type=Path, help="a new folder")
    given = parser.parse_args(arguments)
    try:
        unpack(given.model, given.run, given.reader)
    except PolyspanError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def unpack(model: str, run: Path, reader: Path) -> None:
    """Write the reader in Hugging Face's layout, its weights in float32.

    Raises:
        InputError: if ``run`` holds no weights, or ``reader`` exists.
        ModelError: if the weights are not those of such a model.
    """
    files = sorted(run.glob("reader-*.safetensors"))
    if not files:
        raise InputError(f"{run}: holds no reader-*.safetensors; expected the folder that run.py wrote")
    state = {name: values.float() for file in files for name, values in load_file(file).items()}
    source = find_model(model)
    made = open_model(source)
    own = made.state_dict()
    names, shapes = own.keys() - {WORDS}, {name: values.shape for name, values in state.items()}
    if names != state.keys() or any(own[name].shape != shape for name, shape in shapes.items()):
        raise ModelError(f"{run}: its weights are not those of {source.name}; expected the model that pack.py packed")
    made.load_state_dict({**state, WORDS: own[WORDS]})
    with new_folder(reader) as folder:
        save_model(made, source, folder)


if __name__ == "__main__":
    sys.exit(main())
