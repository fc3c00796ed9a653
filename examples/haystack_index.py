"""An index of polyspan as Haystack's document store: written, searched by meaning and read, also from YAML."""

from pathlib import Path
from tempfile import TemporaryDirectory

from haystack import Document, Pipeline
from haystack.components.writers import DocumentWriter

from polyspan.interop.haystack import PolyspanDocumentStore, PolyspanReader, PolyspanRetriever

with TemporaryDirectory() as folder:
    store = PolyspanDocumentStore(Path(folder) / "index")
    documents = [
        Document(id="bridge", content="The bridge was opened in May 1931.", meta={"lang": "en"}),
        Document(id="trams", content="Trams stop at the fish market.", meta={"lang": "en"}),
        Document(id="bahn", content="Die letzte Straßenbahn fährt um 23.40 Uhr.", meta={"lang": "de"}),
    ]
    print(DocumentWriter(store).run(documents)["documents_written"], "written")

    pipeline = Pipeline()
    pipeline.add_component("retriever", PolyspanRetriever(store, top_k=2))
    pipeline.add_component("reader", PolyspanReader(top_k=1))
    pipeline.connect("retriever.documents", "reader.documents")
    pipeline = Pipeline.loads(pipeline.dumps())  # the same, from YAML

    german = {"field": "meta.lang", "operator": "==", "value": "de"}
    for question, filters in (("Where do trams stop?", None), ("Wann fährt die letzte Straßenbahn?", german)):
        result = pipeline.run({"retriever": {"query": question, "filters": filters}, "reader": {"query": question}})
        best = result["reader"]["answers"][0]
        print(best.data, "in", best.document.meta["source_id"])
# -> 3 written
# -> at the fish market in trams
# -> um 23.40 Uhr in bahn
