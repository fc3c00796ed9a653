"""``polyspan text``."""

import sys
from pathlib import Path

import click

from polyspan.cli.output import print_json
from polyspan.documents import read_bytes, read_document


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="Print document, text and page starts as JSON.")
def text(file: Path, as_json: bool) -> None:
    """Print the text of FILE (- is stdin) exactly as the offsets of answers count it.

    FILE may be text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, EPUB or EML.
    """
    document = read_bytes(sys.stdin.buffer.read(), "-") if str(file) == "-" else read_document(file)
    if as_json:
        print_json({"document": document.id, "text": document.text, "page_starts": list(document.page_starts)})
        return
    sys.stdout.buffer.write(document.text.encode("utf-8"))
