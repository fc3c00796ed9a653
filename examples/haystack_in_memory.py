"""Haystack's own store in memory, its BM25 retriever, and PolyspanReader."""

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.document_stores.in_memory import InMemoryDocumentStore

from polyspan.interop.haystack import PolyspanReader

store = InMemoryDocumentStore()
store.write_documents(
    [
        Document(content="The bridge was designed by Ada Korte and opened in May 1931.", meta={"name": "bridge"}),
        Document(content="Trams stop at the fish market. The last one leaves at 23.40.", meta={"name": "trams"}),
        Document(content="The library lends books for four weeks.", meta={"name": "library"}),
    ]
)

pipeline = Pipeline()
pipeline.add_component("retriever", InMemoryBM25Retriever(store, top_k=3))
pipeline.add_component("reader", PolyspanReader(top_k=1))
pipeline.connect("retriever.documents", "reader.documents")

for question in ("When was the bridge opened?", "Who paid for the bridge?"):
    result = pipeline.run({"retriever": {"query": question}, "reader": {"query": question}})
    best = result["reader"]["answers"][0]
    if best.data is None:
        print(f"{question} No answer")
    else:
        place = best.document_offset
        print(f"{question} {best.data} ({best.document.meta['name']}, {place.start} to {place.end})")
# -> When was the bridge opened? May 1931 (bridge, 51 to 59)
# -> Who paid for the bridge? No answer
