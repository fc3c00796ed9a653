import pytest

from polyspan.evidence.agreement import Agreement, compare

SAME, MORE, OTHER = Agreement.SAME, Agreement.MORE, Agreement.OTHER


@pytest.mark.parametrize(
    ("claim", "quote", "sentence", "question", "expected"),
    [
        ("1931", "1931", "It was opened in 1931.", "When was it opened?", SAME),
        ("It was opened in the year 1931.", "1931", "It was opened in 1931.", "When was it opened?", SAME),
        ("1932", "1931", "It was opened in 1931.", "When was it opened?", OTHER),
        ("1204 tonnes", "1,204 tonnes", "In all 1,204 tonnes were used.", "How much steel?", SAME),
        ("1.204 Tonnen", "1204 Tonnen", "Es waren 1204 Tonnen.", "Wie viel Stahl?", SAME),
        ("12.5 km", "12,5 km", "Sie ist 12,5 km lang.", "How long is it?", SAME),
        ("2 years", "two years", "It lasts two years.", "How long does it last?", SAME),
        ("ten months", "six months", "For the battery it lasts six months.", "How long does it last?", OTHER),
        ("Anna Berg", "the architect Anna Berg", "It is by the architect Anna Berg.", "Who built it?", SAME),
        ("Otto Berg", "Anna Berg", "It was designed by Anna Berg.", "Who designed it?", OTHER),
        ("It was Anna Berg and Otto Lang", "Anna Berg", "It is by Anna Berg.", "Who built it?", MORE),
        ("It was not Anna Berg", "Anna Berg", "It is by Anna Berg.", "Who built it?", OTHER),
        ("cod with potatoes", "cod", "On Fridays it serves cod with potatoes.", "Which fish is served?", SAME),
        ("the roof", "the door", "The door is blue, the roof is red.", "What is blue?", OTHER),
        ("once a year", "once a month", "It should be cleaned once a month.", "How often?", OTHER),
        (
            "the roof leaked",
            "because the hall's roof leaked",
            "Cancelled because the hall's roof leaked.",
            "Why?",
            SAME,
        ),
        ("六月一日", "五月二十日", "五月二十日结束。", "什么时候结束？", OTHER),
        ("五月二十日", "五月二十日", "展览五月二十日结束。", "什么时候结束？", SAME),
        ("1345", "۱۳۴۵", "موزه در سال ۱۳۴۵ ساخته شد.", "چه سالی؟", SAME),
        ("в Москве", "Москва", "Столица — Москва.", "Какой город столица?", SAME),
    ],
)
def test_agreement_of_claims_and_quotes(
    claim: str, quote: str, sentence: str, question: str, expected: Agreement
) -> None:
    assert compare(claim, quote, sentence, question) is expected
