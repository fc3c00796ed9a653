from typing import Any

import pytest

from polyspan.errors import InputError
from polyspan.training.recipe import as_mapping
from polyspan.training.retriever_recipe import parse_retriever_recipe

PLAIN: dict[str, Any] = {
    "model": "org/name",
    "data": [{"path": "train.json", "language": "de", "weight": 2}],
    "dev": [{"path": "dev.json"}],
    "batch": 32,
    "passage_prompt": "",
    "negatives": {"count": 2, "by": ["bm25", "encoder"]},
    "optimisation": {"learning_rate": 1e-4, "freeze": ["word_embeddings"]},
}


def test_retriever_recipe_is_what_its_mapping_says() -> None:
    recipe = parse_retriever_recipe(PLAIN)
    assert recipe.data[0].weight == 2.0
    assert recipe.negatives.by == ("bm25", "encoder")
    assert (recipe.question_prompt, recipe.passage_prompt) == (None, "")
    assert parse_retriever_recipe(as_mapping(recipe)) == recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": []}, "at least one data file"),
        ({"data": [{"path": "a", "labelled": False}]}, r"recipe\.data\[0\]: unknown field 'labelled'"),
        ({"data": [{"path": "a", "weight": -1}]}, "between 0 and 100, not -1"),
        ({"batch": 1}, "batch at least 2"),
        ({"micro_batch": 0}, "micro_batch must be at least 1"),
        ({"max_seq_len": 4}, "max_seq_len at least 8"),
        ({"dev_questions": -1}, "dev_questions must be at least 0"),
        ({"question_prompt": 3}, "recipe.question_prompt: expected a text"),
        ({"negatives": {"count": 5, "ranked": 4}}, "at most ranked"),
        ({"negatives": {"by": []}}, "by name a ranking"),
        ({"negatives": {"by": ["tfidf"]}}, "expected one of bm25, encoder"),
        ({"optimisation": {"warmup": 1.0}}, "warmup at least 0 and below 1"),
        ({"optimisation": {"scale": 0.0}}, "scale must be above 0"),
    ],
)
def test_retriever_recipe_refuses_what_cannot_train(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_retriever_recipe({**PLAIN, **changes})
