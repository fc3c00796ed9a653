"""``polyspan index``."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click

from polyspan.backends import BackendOptions, open_encoder
from polyspan.cli.output import notice, print_json, progress
from polyspan.errors import InputError, PassageIndexError
from polyspan.retrieval import IndexReport, IndexSettings, PassageStore, index_paths

KEPT = timedelta(minutes=1)
INDEX_OPTION = click.option("--index", "uri", required=True, help="The index: a folder, or an address such as s3://…")
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")


class _PathsOrCommand(click.Group):
    """Whatever is no command's name begins the paths and options of ``add``, which needs no name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "index", add, args

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        add.format_help(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(100)) for name, one in sorted(self.commands.items())])


@click.group(cls=_PathsOrCommand, context_settings={"ignore_unknown_options": True})
def index() -> None:
    """Keep an index of files and folders, to ask many documents."""


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@INDEX_OPTION
@click.option("--encoder", help="Folder or hub id of a dense encoder; without it the shipped one, or the index's own.")
@click.option("--passage-bytes", type=int, help="Bytes of UTF-8 that a passage of a new index holds at most.  [1200]")
@click.option("--overlap-bytes", type=int, help="Bytes that a passage shares with the one before at most.  [a sixth]")
@click.option("--ray", "address", help="Read and encode on the Ray cluster of this address; local: by processes here.")
@click.option("--rebuild", is_flag=True, help="Begin with an empty index in the place of what is there.")
@JSON_OPTION
def add(paths: tuple[Path, ...], uri: str, as_json: bool, **given: Any) -> None:
    """Bring an index up to date with PATHS: files and folders, as for ask.

    Only what changed since the last time is read again, and what has vanished from a folder is removed. After an
    interruption the same command goes on. A file that cannot be read is named at the end; what was known of it stays.
    A path that is called like a command is written ./status.
    """
    store = _opened(uri, given)
    encoder = open_encoder(store.settings.encoder or None)
    prepare = None
    if given["address"] is not None:
        from polyspan.interop.ray import ClusterOptions, prepare_on_cluster

        opening = partial(open_encoder, store.settings.encoder or None, BackendOptions(threads=1))
        prepare = prepare_on_cluster(opening, store.settings, ClusterOptions(given["address"]))
    report = index_paths(store, encoder, paths, partial(progress, what="indexing", unit="file"), prepare)
    for error in report.errors:
        notice(f"skipped {error}")
    if report.errors and not (store.passages or as_json):
        raise PassageIndexError(f"{uri}: nothing could be indexed; see the lines above")
    _print_report(store, report, as_json)


@index.command()
@INDEX_OPTION
@click.option("--documents", is_flag=True, help="Name all documents too.")
@JSON_OPTION
def status(uri: str, documents: bool, as_json: bool) -> None:
    """Say what an index holds and what it was made with."""
    store = PassageStore.open(uri)
    held = store.documents()
    content = {
        "index": uri,
        "documents": len(held),
        "passages": store.passages,
        "bytes": _size(uri),
        "encoder": store.settings.encoder or "default",
        "encoder_digest": store.settings.encoder_digest,
        "dimension": store.settings.dimension,
        "passage_bytes": store.settings.passage_bytes,
        "overlap_bytes": store.settings.overlap_bytes,
    }
    if as_json:
        print_json({**content, **({"names": [one.id for one in held]} if documents else {})})
        return
    for name, value in content.items():
        if value is not None:
            click.echo(f"{name:16} {value:,}" if isinstance(value, int) else f"{name:16} {value}")
    for one in held if documents else ():
        click.echo(one.id)


@index.command()
@click.argument("names", metavar="DOCUMENT...", nargs=-1, required=True)
@INDEX_OPTION
@JSON_OPTION
def remove(names: tuple[str, ...], uri: str, as_json: bool) -> None:
    """Forget documents, or all documents of a folder, by the names that status --documents prints."""
    store = PassageStore.open(uri)
    with store.exclusive():
        held = [one.id for one in store.documents()]
        chosen = {name: _named(name, held) for name in names}
        unknown = [name for name, found in chosen.items() if not found]
        if unknown:
            raise InputError(f"{uri}: holds no document {unknown[0]}; see polyspan index status --documents")
        store.remove(sorted({one for found in chosen.values() for one in found}))
    _print_report(store, IndexReport(removed=len({one for found in chosen.values() for one in found})), as_json)


@index.command()
@INDEX_OPTION
@JSON_OPTION
def compact(uri: str, as_json: bool) -> None:
    """Give space back: rewrite small files together and delete what has not been used for a minute."""
    store = PassageStore.open(uri)
    before = _size(uri)
    with store.exclusive():
        store.optimise(KEPT)
    after = _size(uri)
    if as_json:
        print_json({"index": uri, "bytes_before": before, "bytes": after})
    else:
        click.echo(f"{uri}: compacted" if after is None else f"{uri}: {before:,} bytes before, {after:,} now")


def _opened(uri: str, given: dict[str, Any]) -> PassageStore:
    """The index that is there, or a new one."""
    sizes = {name: given[name] for name in ("passage_bytes", "overlap_bytes") if given[name] is not None}
    if not given["rebuild"] and PassageStore.exists(uri):
        store = PassageStore.open(uri)
        for name, value in {**sizes, "encoder": given["encoder"]}.items():
            kept = getattr(store.settings, name)
            if value not in (None, kept):
                raise InputError(f"{uri}: was made with {name} {kept or 'default'}, not {value}; add --rebuild")
        return store
    if "passage_bytes" in sizes:
        sizes.setdefault("overlap_bytes", sizes["passage_bytes"] // 6)
    encoder = open_encoder(given["encoder"])
    settings = IndexSettings(given["encoder"] or "", encoder.digest, encoder.dimension, **sizes)
    return PassageStore.create(uri, settings, replace=given["rebuild"])


def _named(name: str, held: Sequence[str]) -> list[str]:
    """The document of a name, else those of the folder of that name."""
    return [one for one in held if one == name] or [one for one in held if one.startswith(name.rstrip("/") + "/")]


def _size(uri: str) -> int | None:
    """Bytes on disk; None for what lies elsewhere."""
    folder = Path(uri)
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else None


def _print_report(store: PassageStore, report: IndexReport, as_json: bool) -> None:
    counts = {
        "added": report.added,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "passages_written": report.passages,
        "passages": store.passages,
    }
    if as_json:
        print_json({"index": store.uri, **counts, "errors": [str(error) for error in report.errors]})
        return
    shown = ", ".join(f"{counts[name]:,} {name}" for name in ("added", "changed", "unchanged", "removed"))
    skipped = f", {len(report.errors):,} skipped" if report.errors else ""
    click.echo(f"{store.uri}: {shown}{skipped}; {counts['passages']:,} passages")
