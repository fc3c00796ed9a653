import numpy as np
import pytest

from polyspan import Document
from polyspan.retrieval import StoredDocument, cut_passages, to_document
from polyspan.retrieval.rows import to_rows

SPACES = "One sentence. " * 12 + " " * 250 + "Another one. " * 12


@pytest.mark.parametrize("overlap", [0, 40])
@pytest.mark.parametrize(
    "document",
    [
        Document(SPACES, "spaces", meta={"format": "txt"}),
        Document(SPACES, "pages", (0, 40, 168, 168, 420)),  # the fourth page is empty
        Document("x. " * 100, "from page 3", (0, 0, 0, 150)),
        Document("No page before this. " * 20, "late", (210,)),
    ],
    ids=lambda document: document.id,
)
def test_rows_become_the_document_again(document: Document, overlap: int) -> None:
    passages = cut_passages(document, 100, overlap)
    assert len(passages) > 2
    rows = to_rows(passages, StoredDocument(document.id, "0"), np.ones((len(passages), 4), np.float32))
    assert to_document(rows.to_pylist()) == document
