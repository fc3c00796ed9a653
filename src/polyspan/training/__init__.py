"""Readers that learn: fine-tuning on SQuAD-format files, and distillation from larger readers."""

from importlib.util import find_spec

from polyspan.errors import MissingExtraError

if missing := [name for name in ("torch", "transformers", "accelerate", "yaml") if find_spec(name) is None]:
    raise MissingExtraError(f"training (without {', '.join(missing)})", "train")

from polyspan.training.loop import RunSettings
from polyspan.training.recipe import Recipe, parse_recipe, read_recipe
from polyspan.training.run import TrainingReport, train

__all__ = ["Recipe", "RunSettings", "TrainingReport", "parse_recipe", "read_recipe", "train"]
