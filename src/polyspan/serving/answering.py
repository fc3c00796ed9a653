"""What every way of asking shares: checked requests to readings."""

import time
from dataclasses import asdict, replace

from polyspan.errors import InputError
from polyspan.evidence import VerdictName, highlight_all, supports
from polyspan.explain import explain
from polyspan.microbatch import MicroBatcher
from polyspan.pipeline import PipelineOptions, QAPipeline
from polyspan.serving.collection import Collection
from polyspan.serving.options import ServeOptions
from polyspan.serving.schemas import (
    AnswerRequest,
    EvidenceBody,
    ExplainRequest,
    ExplanationBody,
    QuoteBody,
    ReadingBody,
    TokenBody,
)
from polyspan.types import TITLE, Document, Passage, Span


def check_request(request: AnswerRequest, options: ServeOptions) -> None:
    """Refuse what is beyond the limits, before any work.

    Raises:
        InputError: which field, and how much of it is allowed.
    """
    limits = {
        "question": (len(request.question), options.max_question_chars, "characters"),
        "top_k": (request.top_k, options.max_top_k, "answers"),
        "passages": (request.passages, options.max_passages, "passages"),
    }
    for field, (value, most, unit) in limits.items():
        if value > most:
            raise InputError(f"{field}: at most {most} {unit}, not {value}")
    if not request.question.strip():
        raise InputError("question: expected a text with something in it")


def answer(collection: Collection, request: AnswerRequest, batcher: MicroBatcher | None = None) -> ReadingBody:
    """What ``ask --json`` prints, from the index or from the documents of the request, read with others if batched."""
    began = time.perf_counter()
    reader = collection.reader
    options = replace(reader.defaults, top_k=request.top_k, return_no_answer=request.return_no_answer)
    limits = PipelineOptions(request.passages)
    if request.documents is None:
        pipeline = collection.pipeline_of(limits)
    else:
        given = enumerate(request.documents)
        documents = [
            Document(one.text, str(place) if one.id is None else one.id, meta={TITLE: one.title})
            for place, one in given
        ]
        pipeline = QAPipeline(reader, documents, limits)
    reading = pipeline.ask(request.question, options, batcher)
    elapsed = round(1000 * (time.perf_counter() - began), 1)
    return ReadingBody(**reading.to_json(), model=reader.scorer.name, elapsed_ms=elapsed)


def evidence(collection: Collection, request: AnswerRequest, question: str | None = None) -> EvidenceBody:
    """Quotes that speak to a claim, the request's question, most probable first, and at most ``top_k``.

    With the question that the claim answers they are the quotes that answer it, and a verdict says whether one says the
    same (see ``polyspan.evidence.supports``). Without it they are what the reader finds with the claim as question, and
    where it finds nothing the nearest spans, marked as such.
    """
    claim, reader = request.question, collection.reader
    verdict: VerdictName | None = None
    if question is None:
        found = highlight_all(claim, collection.ranking().best(claim, request.passages), reader)
    else:
        checked = supports(question, claim, collection.ranking().best(question, request.passages), reader)
        verdict, found = checked.verdict, [one for one in (checked.quote, *checked.others) if one is not None]
    places = {(one.document, one.start, one.end): one for one in sorted(found, key=lambda one: one.probability)}
    best = list(places.values())[::-1][: request.top_k]  # passages overlap
    quotes = [QuoteBody.of(one) for one in best]
    if not quotes and question is None:
        nearest = answer(collection, request)
        near = nearest.answers or nearest.candidates
        quotes = [QuoteBody(**one.model_dump(exclude={"also"}), found=False) for one in near]
    return EvidenceBody(claim=claim, verdict=verdict, quotes=quotes, model=reader.scorer.name)


def explanation(collection: Collection, request: ExplainRequest) -> ExplanationBody:
    """Where the reader sees an answer begin and end in the request's passage.

    Raises:
        InputError: where the request names no passage, or there is none.
    """
    span = None if request.start is None or request.end is None else Span(request.start, request.end)
    passage: Passage | None
    if request.document is not None and span is not None and request.text is None:
        passage = collection.passage(request.document, span)
        if passage is None:
            raise InputError(
                f"no passage holds characters {span.start} to {span.end} of {request.document!r:.200}; give an answer's"
            )
    elif request.text is not None and request.document is None and span is None:
        passage = Passage(Document(request.text), Span(0, len(request.text)))
    else:
        raise InputError("give either text, or document, start and end")
    found = explain(collection.reader, request.question, passage)
    return ExplanationBody(
        text=passage.text,
        start=passage.span.start,
        tokens=[TokenBody(**asdict(token)) for token in found.tokens],
        null_start=found.null_start,
        null_end=found.null_end,
    )
