"""A tiny dataset in SQuAD's JSON."""

from typing import Any

FACTS = {"bridge": "1874", "letter": "Ada", "river": "1888", "option": "Antwerpen", "freedom": "models"}


def squad_content(facts: dict[str, str] = FACTS) -> dict[str, Any]:
    """A question on each fact, each context holding two of them, and one question that has no answer."""
    names = list(facts)
    paragraphs = []
    for number, name in enumerate(names):
        other = names[(number + 1) % len(names)]
        context = f"The {name} was opened in {facts[name]}. The {other} was written by {facts[other]}."
        answers = [{"text": facts[name], "answer_start": context.index(facts[name])}]
        questions: list[dict[str, Any]] = [{"id": name, "question": f"When was the {name} opened?", "answers": answers}]
        if number == 0:
            questions.append({"id": "none", "question": "Who wrote the users?", "answers": [], "is_impossible": True})
        paragraphs.append({"context": context, "qas": questions})
    return {"version": "v2.0", "data": [{"title": "facts", "paragraphs": paragraphs}]}
