"""What a model says of itself: the README.md of a model folder, with the metadata that the hub reads."""

from polyspan.cards.card import ENCODER, CardDataset, CardFacts, CardResult, CardTraining, model_card, with_section
from polyspan.cards.text import table

__all__ = ["ENCODER", "CardDataset", "CardFacts", "CardResult", "CardTraining", "model_card", "table", "with_section"]
