import math

import pytest

from fake_encoder import FakeEncoder
from polyspan import Document, InputError
from polyspan.errors import PassageIndexError
from polyspan.retrieval import IndexRanking, IndexSettings, PassageStore, RetrievalOptions, index_documents
from polyspan.retrieval.options import Ranking

DOCUMENTS = [
    Document("The dog sleeps in the harbour.", "en/dog", meta={"format": "txt", "year": 1931}),
    Document("Der Hund schläft.", "de/hund", meta={"format": "pdf"}),
    Document("Bees dance. " * 30, "en/bees"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PassageStore:
    encoder = FakeEncoder()
    settings = IndexSettings("", encoder.digest, encoder.dimension, 120, 20)
    store = PassageStore.create(tmp_path_factory.mktemp("index"), settings)
    index_documents(store, encoder, DOCUMENTS)
    return store


def found(store: PassageStore, question: str, count: int = 3, **options: object) -> list[str]:
    ranking = IndexRanking(store, FakeEncoder(), RetrievalOptions(**options))  # type: ignore[arg-type]
    return [passage.document.id for passage in ranking.best(question, count)]


@pytest.mark.parametrize(("ranking", "finds"), [("words", ["en/dog"]), ("vectors", None), ("hybrid", None)])
def test_ranking_finds_by_words_and_by_meaning(store: PassageStore, ranking: Ranking, finds: list[str] | None) -> None:
    ids = found(store, "dog", ranking=ranking)
    assert ids[0] in ("en/dog", "de/hund")
    assert ids == finds if finds else {"en/dog", "de/hund"} == set(ids[:2])


def test_ranking_folds_near_duplicates_and_caps_documents(store: PassageStore) -> None:
    ranking = IndexRanking(store, FakeEncoder())
    bees = ranking.best("bees dance", 3)[0]
    assert bees.document.id == "en/bees"
    assert bees.copies
    assert {copy.document.id for copy in bees.copies} == {"en/bees"}
    assert found(store, "bees dance", per_document=1)[0] == "en/bees"
    capped = IndexRanking(store, FakeEncoder(), RetrievalOptions(per_document=1)).best("bees dance", 3)
    assert all(not passage.copies for passage in capped)


def test_ranking_handicaps_what_ranks_low(store: PassageStore) -> None:
    passages = IndexRanking(store, FakeEncoder(), RetrievalOptions(rank_weight=3)).best("dog", 3)
    assert [one.handicap for one in passages] == [3 * math.log(rank) for rank in (1, 2, 3)]


def test_ranking_keeps_to_conditions(store: PassageStore) -> None:
    assert found(store, "dog", where=["format=pdf"]) == ["de/hund"]
    assert found(store, "dog", where=["year=1931"]) == ["en/dog"]
    assert set(found(store, "dog", where=["document=en/*"])) == {"en/dog", "en/bees"}
    assert found(store, "dog", where=["document=en/?og"]) == ["en/dog"]
    assert found(store, "dog", where=["document=en/*", "format=pdf"]) == []
    assert found(store, "dog", where=["document=.*"]) == []
    assert found(store, "dog", where=["author=it's"]) == []
    for bad in ("format", "=pdf"):
        with pytest.raises(InputError, match="expected KEY=VALUE"):
            RetrievalOptions(where=[bad])


def test_ranking_refuses_another_encoder(store: PassageStore) -> None:
    with pytest.raises(PassageIndexError, match=r"made with another encoder than fake .* --rebuild"):
        IndexRanking(store, FakeEncoder("fake1"))
    with pytest.raises(InputError, match="ranking by hybrid needs the encoder"):
        IndexRanking(store)
    assert IndexRanking(store, None, RetrievalOptions("words")).best("dog", 2)[0].document.id == "en/dog"


@pytest.mark.parametrize(
    "options",
    [{"ranking": "best"}, {"pool": 0}, {"per_document": 0}, {"rank_weight": -1}],
    ids=lambda one: next(iter(one)),
)
def test_options_refuse_what_cannot_be_searched_by(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="must be"):
        RetrievalOptions(**options)  # type: ignore[arg-type]


def test_ranking_keeps_to_a_call_s_own_condition_too(store: PassageStore) -> None:
    own = "document = 'en/dog' OR document = 'de/hund'"
    ids = [one.document.id for one in IndexRanking(store, FakeEncoder()).best("dog", 3, own)]
    assert set(ids) == {"en/dog", "de/hund"}
    ranking = IndexRanking(store, FakeEncoder(), RetrievalOptions(where=["format=pdf"]))
    assert [one.document.id for one in ranking.best("dog", 3, own)] == ["de/hund"]
