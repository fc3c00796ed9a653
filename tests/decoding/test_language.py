import sys

import pytest

from polyspan.decoding import detect_language, language
from polyspan.errors import MissingExtraError


@pytest.mark.parametrize(
    ("code", "questions"),
    [
        ("ar", ("متى تأسست الجامعة؟", "من هو مدير المدرسة؟")),
        ("de", ("Wie lange dauert die Überfahrt?", "Wer hat den Hafen gebaut?")),
        ("el", ("Πότε άνοιξε το μουσείο;", "Ποιος έγραψε το βιβλίο;")),
        ("en", ("When was the harbour built?", "How many students passed the exam?")),
        ("es", ("¿Dónde nació la pintora?", "¿Cuántos habitantes tiene la ciudad?")),
        ("fa", ("پل در چه سالی ساخته شد؟", "نویسنده این کتاب کیست؟")),
        ("fr", ("Quelle est la profondeur du lac ?", "Qui a écrit cette lettre ?")),
        ("he", ("מי כתב את הספר?", "מתי נבנה הגשר?")),
        ("hi", ("मेले में कितने लोग आए?", "पुल कब बनाया गया था?")),
        ("ja", ("東京タワーの高さは何メートルですか。", "本を書いたのは誰ですか。")),
        ("ko", ("서울의 강 이름은 무엇입니까?", "다리는 언제 지어졌습니까?")),
        ("pl", ("Ile osób pracuje w fabryce?", "Kto napisał ten list?")),
        ("ru", ("Где находится библиотека?", "Кто написал это письмо?")),
        ("sv", ("När byggdes bron över älven?", "Vilket år grundades skolan i Göteborg?")),
        ("th", ("ตลาดเปิดกี่โมง", "ใครเป็นผู้เขียนหนังสือเล่มนี้")),
        ("tr", ("Şenlik nerede yapıldı?", "Köprü ne zaman inşa edildi?")),
        ("vi", ("Ai là hiệu trưởng?", "Cây cầu được xây dựng vào năm nào?")),
        ("zh", ("这座桥有多长?", "这本书是谁写的?")),
    ],
)
def test_language_is_told_of_a_question(code: str, questions: tuple[str, ...]) -> None:
    assert [detect_language(question) for question in questions] == [code] * len(questions)


@pytest.mark.parametrize("text", ["", "  ", "1984?", "NASA", "ok", "🎉", "[SEP]", "3.14 + x = ?", "\ud800"])
def test_language_is_none_where_it_is_unsure(text: str) -> None:
    assert detect_language(text) is None


def test_language_is_that_of_a_variety() -> None:
    assert detect_language("مين اللي كتب الكتاب ده؟") == "ar"


def test_language_without_the_detector_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    language._identifier.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(MissingExtraError, match=r'pip install "polyspan\[language\]"'):
        detect_language("Wer hat den Hafen gebaut?")
