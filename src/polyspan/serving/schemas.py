"""What requests and answers look like."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from polyspan.evidence import Highlight

QUESTION = "Who designed the bridge?"
TEXT = "The bridge was designed by Ada Korte and opened in May 1931."

TopK = Annotated[int, Field(ge=1, description="How many answers at most.")]


class Strict(BaseModel):
    """Unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid")


class GivenDocument(Strict):
    """A text to answer from."""

    text: str
    id: str | None = Field(
        default=None, description="Comes back as the answer's document; the place in the list without one."
    )
    title: str = Field(default="", description="What the text is about; read with each of its passages.")


class AnswerRequest(Strict):
    """A question, to the indexed documents or to those given."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"question": QUESTION}, {"question": QUESTION, "documents": [{"text": TEXT}], "top_k": 1}]
        },
    )

    question: str = Field(min_length=1)
    top_k: TopK = 5
    documents: list[GivenDocument] | None = Field(default=None, description="Without them the index is asked.")
    return_no_answer: bool = Field(default=True, description="Whether 'no answer' is allowed.")
    passages: int = Field(default=10, ge=1, description="How many of the best ranked passages are read.")


class BatchRequest(Strict):
    """Several questions."""

    questions: list[AnswerRequest] = Field(min_length=1)


class SourceBody(BaseModel):
    """Another place that says the same."""

    document: str
    start: int
    end: int
    page: int | None


class AnswerBody(BaseModel):
    """A quote: ``text`` is characters ``start`` to ``end`` (exclusive) of the document's text."""

    text: str
    start: int
    end: int
    score: float = Field(ge=0, le=1, description="Probability that the quote is exactly right.")
    document: str
    page: int | None = Field(description="Counted from 1; null where there are no pages.")
    context: str
    context_start: int
    also: list[SourceBody]


class NoAnswerBody(BaseModel):
    """Whether there is no answer, and the probability that this is right."""

    score: float = Field(ge=0, le=1)
    chosen: bool


class ReadingBody(BaseModel):
    """What was found; ``candidates`` are the nearest spans where no answer was chosen."""

    question: str
    answers: list[AnswerBody]
    no_answer: NoAnswerBody
    candidates: list[AnswerBody]
    passages_read: int
    conflicts: list[int] = Field(description="Places in answers of what other documents say instead of the best.")
    model: str
    elapsed_ms: float


class BatchBody(BaseModel):
    """What was found for each question, in order."""

    readings: list[ReadingBody]


class QuoteBody(BaseModel):
    """A quote in its sentence or the text around it, and whether the reader holds it to be to the point."""

    text: str
    start: int
    end: int
    score: float = Field(ge=0, le=1, description="Probability that an answer stands here.")
    document: str
    page: int | None
    context: str
    context_start: int
    found: bool = Field(description="False for what is only the nearest there is.")

    @classmethod
    def of(cls, found: Highlight) -> "QuoteBody":
        """A place that the reader found."""
        return cls(
            text=found.text,
            start=found.start,
            end=found.end,
            score=found.probability,
            document=found.document,
            page=found.page,
            context=found.sentence,
            context_start=found.sentence_start,
            found=True,
        )


class EvidenceBody(BaseModel):
    """Quotes that speak to a claim, best first; the verdict is null where no question was given."""

    claim: str
    verdict: Literal["supported", "contradicted", "insufficient"] | None
    quotes: list[QuoteBody]
    model: str


class DocumentBody(BaseModel):
    """A document that can be asked."""

    id: str
    uploaded: bool


class DocumentsBody(BaseModel):
    """All of them."""

    documents: list[DocumentBody]


class ListingBody(DocumentsBody):
    """Some of them, and how many there are in all."""

    total: int


class UploadBody(BaseModel):
    """What became of each file: its document's id, or why it was refused."""

    added: list[str]
    refused: list[dict[str, str]]


class TextBody(BaseModel):
    """A document's text as offsets count it, and the characters at which its pages begin."""

    id: str
    text: str
    page_starts: list[int]


class PieceBody(BaseModel):
    """Characters ``start`` to ``end`` (exclusive) of a document's text of ``length`` characters and ``pages`` pages."""

    id: str
    text: str
    start: int
    end: int
    page: int | None = Field(description="Of the first character, counted from 1; null where there are no pages.")
    length: int
    pages: int
    next_start: int | None = Field(description="Where to read on; null at the end.")


class BoxBody(BaseModel):
    """A rectangle on a page, counted from 1; its sides are fractions of the page's width and height, from top left."""

    page: int
    left: float
    top: float
    right: float
    bottom: float


class BoxesBody(BaseModel):
    """Where a quote stands, a box for each of its lines."""

    boxes: list[BoxBody]


class ExplainRequest(Strict):
    """A question and a passage: a text, or the one of a document that holds characters ``start`` to ``end``."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"question": QUESTION, "text": TEXT},
                {"question": QUESTION, "document": "uploads/bridge.txt", "start": 27, "end": 36},
            ]
        },
    )

    question: str = Field(min_length=1)
    text: str | None = Field(default=None, min_length=1, max_length=10_000)
    document: str | None = None
    start: int | None = Field(default=None, ge=0)
    end: int | None = Field(default=None, ge=1)


class TokenBody(BaseModel):
    """A token's characters, and how probable an answer starts, and ends, with it."""

    start: int
    end: int
    start_probability: float
    end_probability: float


class ExplanationBody(BaseModel):
    """A passage, which begins at character ``start`` of its document, and its tokens.

    All start probabilities and ``null_start`` (that the passage has no answer) sum to 1, and likewise the ends.
    """

    text: str
    start: int
    tokens: list[TokenBody]
    null_start: float
    null_end: float


class FeedbackRequest(Strict):
    """Whether an answer was right; ``correction`` is the span that would have been, or null for no answer."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"question": QUESTION, "document": "uploads/bridge.txt", "verdict": "right", "start": 27, "end": 36}
            ]
        },
    )

    question: str = Field(min_length=1)
    document: str
    verdict: Literal["right", "wrong", "corrected", "unanswerable"]
    start: int | None = Field(default=None, ge=0, description="Of the answer, or of the correction.")
    end: int | None = Field(default=None, ge=1)


class FeedbackBody(BaseModel):
    """The number of what was kept."""

    id: int


class ProblemBody(BaseModel):
    """A refusal (RFC 9457): what is wrong and what to do about it."""

    title: str
    status: int
    detail: str


class HealthBody(BaseModel):
    """The server runs; ``documents`` are asked by ``model``."""

    status: Literal["ok"]
    model: str
    documents: int


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals that an operation documents."""
    return {
        status: {"model": ProblemBody, "content": {"application/problem+json": {}}, "description": "Refused"}
        for status in statuses
    }
