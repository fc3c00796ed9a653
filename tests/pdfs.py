"""A small writer of PDF files, in which every text has its place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

A4 = (0.0, 0.0, 595.0, 842.0)
LIGATURES = {"ﬁ": b"\1", "ﬂ": b"\2"}
_TURNS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


@dataclass(frozen=True)
class Text:
    """A text that begins at a point, ``turned`` by 0, 90, 180 or 270 degrees counterclockwise.

    ``codes`` are character codes of a font whose characters the PDF declares (``to_unicode`` of ``build_pdf``).
    """

    x: float
    y: float
    text: str = ""
    size: float = 10
    turned: int = 0
    codes: bytes = b""

    def operators(self) -> bytes:
        """What draws it."""
        font = "Declared" if self.codes else "Latin"
        shown = self.codes or b"".join(LIGATURES.get(letter) or letter.encode("cp1252") for letter in self.text)
        matrix = " ".join(map(str, (*_TURNS[self.turned], self.x, self.y)))
        return f"BT /{font} {self.size} Tf {matrix} Tm <{shown.hex()}> Tj ET".encode()


@dataclass(frozen=True)
class Page:
    """Texts in the order in which they are drawn; the page is shown ``turned`` clockwise, and cut to ``crop``."""

    texts: Sequence[Text] = ()
    turned: int = 0
    crop: tuple[float, float, float, float] = A4


def lines(texts: Sequence[str], x: float = 50, y: float = 750, size: float = 10, pitch: float = 14) -> list[Text]:
    """Texts one below the other."""
    return [Text(x, y - pitch * number, text, size) for number, text in enumerate(texts)]


def by_rows(*columns: Sequence[Text]) -> list[Text]:
    """The texts of columns in the order of the page: from the top, and from the left."""
    return sorted((text for column in columns for text in column), key=lambda text: (-text.y, text.x))


def build_pdf(pages: Sequence[Page], to_unicode: Mapping[int, str] | None = None, trailer: str = "") -> bytes:
    """A PDF; on a page without texts a rectangle is drawn."""
    kids = " ".join(f"{6 + 2 * number} 0 R" for number in range(len(pages)))
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica"
    encoding = "/Encoding << /BaseEncoding /WinAnsiEncoding /Differences [1 /fi /fl] >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        f"{font} {encoding} >>".encode(),
        f"{font} {encoding} /ToUnicode 5 0 R >>".encode(),
        _stream(_character_map(to_unicode or {})),
    ]
    for number, page in enumerate(pages):
        box = " ".join(map(str, page.crop))
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{' '.join(map(str, A4))}] /CropBox [{box}] /Rotate {page.turned}"
            " /Resources << /Font << /Latin 3 0 R /Declared 4 0 R >> >>"
            f" /Contents {7 + 2 * number} 0 R >>".encode()
        )
        objects.append(_stream(b"\n".join(text.operators() for text in page.texts) or b"0 0 100 100 re f"))
    return _assemble(objects, f"/Size {len(objects) + 1} /Root 1 0 R {trailer}")


def _stream(content: bytes) -> bytes:
    return f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream"


def _character_map(to_unicode: Mapping[int, str]) -> bytes:
    pairs = "\n".join(f"<{code:02x}> <{text.encode('utf-16-be').hex()}>" for code, text in to_unicode.items())
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def\n"
        "1 begincodespacerange <00> <ff> endcodespacerange\n"
        f"{len(to_unicode)} beginbfchar\n{pairs}\nendbfchar endcmap end end"
    ).encode()


def _assemble(objects: Sequence[bytes], trailer: str) -> bytes:
    file = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(file))
        file += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    xref = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    start = len(file)
    file += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{xref}".encode()
    file += f"trailer\n<< {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(file)
