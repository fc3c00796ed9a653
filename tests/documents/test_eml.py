"""EML: headers, which text is taken, encodings, attachments."""

from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.documents import read_bytes
from polyspan.errors import DocumentError

HEADERS = "Subject: Der neue Fährplan\nFrom: Jörg <j@ferry.example>\nTo: a@b.example, c@d.example\n"
HEADERS += "Date: Tue, 05 Mar 2024 10:00:00 +0100"


def make_message() -> EmailMessage:
    message = EmailMessage()
    message["Received"] = "from a by b"
    message["From"] = "Jörg <j@ferry.example>"
    message["To"] = "a@b.example, c@d.example"
    message["Date"] = "Tue, 05 Mar 2024 10:00:00 +0100"
    message["Subject"] = "Der neue Fährplan"
    return message


def read(message: EmailMessage | MIMEMultipart) -> str:
    return read_bytes(message.as_bytes(), "a.eml").text


def test_eml_is_headers_and_text() -> None:
    message = make_message()
    message.set_content("Guten Tag,\n\ndie Fähre fährt um 9.\n")
    document = read_bytes(message.as_bytes(), "a.eml")
    assert document.text == f"{HEADERS}\n\nGuten Tag,\n\ndie Fähre fährt um 9."
    assert document.meta == {"format": "eml", "title": "Subject: Der neue Fährplan"}


def test_eml_text_comes_before_its_html_and_html_where_the_text_is_blank() -> None:
    for text, shown in (("Plain.", "Plain."), (" \n", "Rich text.")):
        message = make_message()
        message.set_content(text)
        message.add_alternative("<html><body><o:p/><p>Rich <b>text</b>.</p></body></html>", subtype="html")
        assert read(message) == f"{HEADERS}\n\n{shown}"


def test_eml_attachments_are_named_but_not_read() -> None:
    forwarded = make_message()
    forwarded.set_content("Inner text.")
    message = make_message()
    message.set_content("See the plan.")
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="Plän.pdf")
    message.add_attachment("secret", filename="notes.txt")
    message.add_attachment(forwarded)
    assert read(message) == f"{HEADERS}\n\nSee the plan.\n\nAttachments: Plän.pdf, notes.txt, Der neue Fährplan"


def test_eml_pictures_in_html_are_no_attachments() -> None:
    message = make_message()
    message.set_content('<p>Look:</p><img src="cid:a"/>', subtype="html")
    message.add_related(b"GIF", maintype="image", subtype="gif", cid="<a>", filename="logo.gif", disposition="inline")
    assert read(message) == f"{HEADERS}\n\nLook:"


def test_eml_all_texts_of_a_mixed_message_are_read() -> None:
    message = MIMEMultipart()
    message["Subject"] = "Two"
    message.attach(MIMEText("First.", _charset="utf-8"))
    message.attach(MIMEText("<p>Second.</p>", "html", _charset="iso-8859-1"))
    assert read(message) == "Subject: Two\n\nFirst.\n\nSecond."


@pytest.mark.parametrize("charset", ["utf-8", "koi8-r", "no-such-charset", "us-ascii"])
def test_eml_text_is_decoded_as_declared_or_else_by_a_guess(charset: str) -> None:
    text = "Кёльн стоит на Рейне. В городе живёт больше миллиона человек."
    body = text.encode("koi8-r" if charset == "koi8-r" else "utf-8")
    head = f"Subject: x\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    assert read_bytes(head.encode() + body, "a.eml").text == f"Subject: x\n\n{text}"


def test_eml_may_begin_with_a_mark_or_a_line_of_a_mailbox() -> None:
    for start in (b"\xef\xbb\xbf", b"From j@ferry.example Tue Mar  5 10:00:00 2024\n"):
        assert read_bytes(start + b"Subject: x\n\nText.", "a.eml").text == "Subject: x\n\nText."


def test_eml_nested_very_deeply_is_read_or_refused() -> None:
    parts = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(1200))
    with pytest.raises(DocumentError, match=r"^a\.eml: not a readable EML file"):
        read_bytes(f"Subject: x\n{parts}\ntext".encode(), "a.eml")


@given(st.binary(max_size=200), st.sampled_from([b"", b"Content-Type: multipart/mixed; boundary=b\n\n--b\n", b"To: "]))
def test_eml_any_content_is_read_or_refused(data: bytes, start: bytes) -> None:
    try:
        text = read_bytes(b"Subject: x\n" + start + data, "a.eml").text
    except DocumentError as error:
        text = str(error)
    assert text.startswith(("Subject: x", "a.eml: "))
