"""Components of Haystack 2 and 3: a reader, a retriever over an index of polyspan, and that index as a document store.

Importing this allows Haystack to load these components, and no others of polyspan, from YAML.
"""

from polyspan.errors import MissingExtraError

try:
    import haystack  # noqa: F401 -- says what is missing before anything of it is used
except ImportError as error:
    raise MissingExtraError("a component of Haystack", "haystack") from error

from polyspan.interop.haystack.reader import PolyspanReader
from polyspan.interop.haystack.retriever import PolyspanRetriever
from polyspan.interop.haystack.store import PolyspanDocumentStore

try:
    from haystack.core.serialization import allow_deserialization_module
except ImportError:  # Haystack 2 loads what it is told to
    pass
else:
    allow_deserialization_module(__name__)

__all__ = ["PolyspanDocumentStore", "PolyspanReader", "PolyspanRetriever"]
