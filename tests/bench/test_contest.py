from collections.abc import Callable
from pathlib import Path

from fake_scorer import FakeScorer
from polyspan import Reader
from polyspan.bench.contest import BARE, READER, Rivals, hold_contest
from polyspan.bench.workloads import Material, many_paragraphs, own_paragraphs


def test_contest_scores_the_same_batches_bare_and_read(reader: Reader, scorer: FakeScorer, material: Material) -> None:
    contest = hold_contest(reader, own_paragraphs(material), 1)
    bare, read, *again = scorer.batches
    assert bare == read
    assert again == [bare, bare]
    assert (contest.questions, contest.windows) == (4, 4)
    assert contest.tokens == 4 * 9  # 3 special ones, 2 of a question, 4 of a context
    assert list(contest.seconds) == [BARE, READER]
    assert contest.to_json()["ratios"].keys() == {f"reader throughput / {BARE}"}


def test_contest_with_rivals(
    reader: Reader, material: Material, write_peer: Callable[..., list[str]], tmp_path: Path
) -> None:
    rivals = Rivals({"same": reader}, {"peer": write_peer()}, tmp_path, 2)
    contest = hold_contest(reader, own_paragraphs(material), 2, rivals)
    assert list(contest.seconds) == [BARE, READER, "same", "peer"]
    assert contest.seconds["peer"] == [0.25, 0.25]
    assert contest.equal_answers == {"same": 1, "peer": 0.5}  # anna and trams are first words
    assert contest.versions == {"peer": {"package": "1.0", "given": f"{tmp_path} 2"}}
    content = contest.to_json()
    assert content["tokens_per_second"]["peer"] == 36 / 0.25
    assert content["ratios"]["reader throughput / peer"] == round(0.25 / content["medians"][READER], 3)
    many = hold_contest(reader, many_paragraphs(material), 1, rivals)
    assert (many.questions, many.windows, many.equal_answers["peer"]) == (1, 3, 1)
