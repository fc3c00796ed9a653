"""``polyspan bench``."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from polyspan.backends import BackendOptions, find_model
from polyspan.bench.contest import BARE, READER, Contest, Rivals
from polyspan.bench.plot import draw_bench
from polyspan.bench.run import Bench, BenchOptions, default_threads
from polyspan.bench.run import bench as measure
from polyspan.bench.workloads import made_up_material, squad_material
from polyspan.cli.output import check_picture, indented_json, print_json
from polyspan.cli.runs import name_and_value
from polyspan.datasets.writing import write_bytes, write_text
from polyspan.errors import InputError
from polyspan.reader import Reader


@click.command()
@click.argument("model", default="default")
@click.option(
    "--data", type=click.Path(path_type=Path), help="SQuAD JSON (also .gz) to read.  [default: made-up texts]"
)
@click.option("--questions", type=click.IntRange(min=1), default=100, show_default=True, help="How many to ask.")
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True, help="Beside one to warm up.")
@click.option("--pages", type=click.IntRange(min=1), default=200, show_default=True, help="Of the long document.")
@click.option("--threads", type=click.IntRange(min=1), help="Of the runtime.  [default: its own choice]")
@click.option("--seed", default=7, show_default=True, help="Of the choice of questions.")
@click.option("--also", metavar="NAME=MODEL", multiple=True, help="A further reader that takes part.")
@click.option("--peer", metavar="NAME=COMMAND", multiple=True, help="Another library's reader (see benchmarks/peers).")
@click.option("--peer-model", metavar="FOLDER", help="The model that peers open.  [default: MODEL]")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the result to this PNG file.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the result to this JSON file.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def bench(model: str, **given: Any) -> None:
    """Measure what MODEL (a folder, a hub id, or the shipped reader) costs on this machine.

    Throughput on questions with a paragraph each and on one question with 100 paragraphs, beside the bare model on the
    same windows; the latency of single calls; the time and the peak memory that a long document takes; and how costs
    grow with length and number of questions. All contestants take turns. Let nothing else run.
    """
    _check_files(given)
    readers, peers = _named(given, "also"), _named(given, "peer")
    commands = {name: _words(command) for name, command in peers.items()}
    options = BenchOptions(model, given["threads"], given["runs"], given["pages"], sys.stderr.isatty())
    if given["data"] is None:
        material = made_up_material(given["questions"], given["seed"])
    else:
        material = squad_material(given["data"], given["questions"], given["seed"])
    backend = BackendOptions(threads=given["threads"])
    rivals = Rivals(
        {name: Reader.from_pretrained(other, backend) for name, other in readers.items()},
        commands,
        find_model(given["peer_model"] or model).path,
        given["threads"] or default_threads(),
    )
    result = measure(Reader.from_pretrained(model, backend), material, options, rivals)
    content = result.to_json() | {"command": shlex.join(["polyspan", *sys.argv[1:]])}
    if given["out"] is not None:
        write_text(given["out"], [indented_json(content), "\n"])
    if given["plot"] is not None:
        write_bytes(given["plot"], [draw_bench(result)])
    if given["as_json"]:
        print_json(content)
    else:
        _print(result)


def _check_files(given: dict[str, Any]) -> None:
    """Refuse, before anything is read, what could not be written."""
    if given["plot"] is not None:
        check_picture("--plot", given["plot"])
    if given["out"] is not None and not given["out"].parent.is_dir():
        raise InputError(f"--out {given['out']}: expected a name in a folder that there is")


def _words(command: str) -> list[str]:
    """A command as a shell would split it."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise InputError(f"--peer, command {command}: {error}") from error


def _named(given: dict[str, Any], option: str) -> dict[str, str]:
    """The values of an option by their names, which are no other contestant's."""
    pairs = [name_and_value(text, f"--{option}") for text in given[option]]
    names = [BARE, READER, *(text.partition("=")[0] for text in (*given["also"], *given["peer"]))]
    for name, _ in pairs:
        if names.count(name) > 1:
            raise InputError(f"--{option} {name}=…: another contestant has this name; choose one of its own")
    return dict(pairs)


def _print(result: Bench) -> None:
    """A table of each contest, then single calls, documents and growth."""
    model, source = result.model, result.source
    click.echo(f"{model['name']} ({model['runtime']}) on {source['dataset']}, medians of {result.options.runs} runs\n")
    for contest in result.contests:
        _print_contest(contest)
    latency = result.latency.to_json()
    click.echo(
        f"1 question on 1 paragraph: p50 {latency['reader_p50_ms']:.1f} ms, p95 {latency['reader_p95_ms']:.1f} ms; "
        f"bare forward {latency['bare_p50_ms']:.1f} and {latency['bare_p95_ms']:.1f} ms; p50 ratio "
        f"{latency['p50_ratio']:.2f}"
    )
    click.echo(f"first answer of a new process: {result.cold_start:.2f} s")
    taken = result.document_medians
    for pages, footprint in result.documents.items():
        what = f"{pages:g} pages: {taken[pages]:.2f} s" if pages else "1 paragraph"
        peak = "unknown" if footprint.peak_bytes is None else f"{footprint.peak_bytes / 2**20:.0f} MiB"
        click.echo(f"{what}, peak memory {peak}")
    for what, exponent in result.growth.items():
        click.echo(f"cost grows with {what} to the power {exponent:.2f}")


def _print_contest(contest: Contest) -> None:
    content = contest.to_json()
    width = max(map(len, content["medians"]))
    click.echo(f"{contest.workload} ({contest.windows} windows, {contest.tokens:,} tokens)")
    click.echo(f"{'':{width}}   seconds  questions/s  tokens/s  reader is  equal answers")
    for name, seconds in content["medians"].items():
        ratio = content["ratios"].get(f"reader throughput / {name}")
        equal = contest.equal_answers.get(name)
        click.echo(
            f"{name:{width}} {seconds:9.3f} {content['questions_per_second'][name]:12.2f} "
            f"{content['tokens_per_second'][name]:9.0f} {'' if ratio is None else f'{ratio:9.2f}x':>10} "
            f"{'' if equal is None else f'{equal:.0%}':>14}".rstrip()
        )
    click.echo()
