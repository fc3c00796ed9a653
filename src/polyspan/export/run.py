"""A reader to a smaller ONNX folder, written only if it loses little."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

from polyspan.backends import BackendOptions, ModelFolder, open_scorer
from polyspan.backends.digest import WEIGHTS
from polyspan.datasets.writing import new_folder
from polyspan.errors import InputError, ModelError
from polyspan.evaluation import Questions
from polyspan.export.folder import EXPORT_TITLE, export_section, refuse_farm, write_card, write_folder
from polyspan.export.fusion import fuse
from polyspan.export.gate import Gate, GateReport
from polyspan.export.onnx import export_onnx
from polyspan.export.precision import PRECISIONS, WORD_EMBEDDINGS, Embeddings, Plan, convert, parts
from polyspan.export.progress import Progress
from polyspan.export.ranking import feeds, rank_parts, sample
from polyspan.export.unpack import unpacked_graph
from polyspan.reader import Reader

CALIBRATION_QUESTIONS, CALIBRATION_TOKENS = 320, 20_000
_NOT_MEASURED = "What this costs was not measured."
_SCALE = (
    "Against the float model, in points of F1 (0 to 100, over characters where a script writes no spaces), with a\n"
    "paired 95 % interval of the loss; how often the best span is the same; start and end logits of all tokens:"
)


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What is exported, and what it may lose.

    ``precision`` is one of ``PRECISIONS``, ``embeddings`` the word embeddings' format (None: what goes with the
    precision). ``gate`` are the questions to measure on and ``max_loss`` the points of F1, 0 to 100, that may be lost;
    ``calibration`` those that static quantisation takes its ranges from, a few hundred of them.
    """

    precision: str = "float32"
    embeddings: Embeddings | None = None
    gate: Sequence[Questions] = ()
    max_loss: float = 0.5
    calibration: Sequence[Questions] = ()

    def __post_init__(self) -> None:
        """Refuse what is unknown or incomplete."""
        if self.precision not in PRECISIONS:
            raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}")
        if self.embeddings not in (None, "float", "8", "4"):
            raise InputError(f"embeddings must be 'float', '8' or '4', not {self.embeddings!r}")
        if PRECISIONS[self.precision].calibrated != bool(self.calibration):
            need = "needs" if PRECISIONS[self.precision].calibrated else "takes no"
            raise InputError(f"precision {self.precision} {need} calibration data, questions to take ranges from")
        if PRECISIONS[self.precision].backend == "openvino" and self.embeddings == "4":
            raise InputError("OpenVINO reads no embeddings of 4 bits; give 8 or float")


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export.

    ``failures`` say why nothing was written, if so; ``excluded`` what was left out of quantisation to get so far,
    worst first; ``report`` what was measured, and ``megabytes`` the size of the graph with its weights.
    """

    plan: Plan
    megabytes: float
    excluded: tuple[str, ...] = ()
    report: GateReport | None = None
    failures: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Precision, formats, size, what was left out and what was measured, as plain values."""
        return {
            "precision": self.plan.precision,
            "embeddings": self.plan.stored_embeddings,
            "megabytes": self.megabytes,
            "excluded": list(self.excluded),
            "report": None if self.report is None else asdict(self.report),
            "failures": self.failures,
        }


class Exporter:
    """One model on its way to ONNX: its float graph, and what the float model says, asked once for all attempts."""

    def __init__(self, source: ModelFolder, settings: ExportSettings, progress: Progress) -> None:
        """Export the float graph and ask the float model.

        Raises:
            ModelError: if ``source`` holds no float weights, or cannot be exported.
            MissingExtraError: without the packages of the extra ``export``.
        """
        refuse_farm(source)
        self.source = source
        self._max_loss, self._progress = settings.max_loss, progress
        in_torch = any(path for pattern in WEIGHTS for path in source.path.glob(pattern))
        if not in_torch and source.onnx_file is None:
            raise ModelError(f"{source.path}: holds no weights; expected model.safetensors or an ONNX file")
        graph = unpacked_graph(source.onnx_file) if source.onnx_file and not in_torch else export_onnx(source.path)
        # NNCF knows ONNX's own operators alone, and OpenVINO fuses what it opens.
        self._graph = graph if PRECISIONS[settings.precision].backend == "openvino" else fuse(graph)
        reader = Reader(open_scorer(source, BackendOptions("torch" if in_torch else "onnx")), source.settings)
        self._settings = reader.settings
        self._gate = Gate(reader, settings.gate, progress) if settings.gate else None
        few = [one.sample(-(-CALIBRATION_QUESTIONS // len(settings.calibration))) for one in settings.calibration]
        ranges = Gate(reader, few, progress).windows if few else []
        self._calibration = feeds(self._graph, sample(ranges, CALIBRATION_TOKENS))

    def attempt(self, folder: Path, plan: Plan, worst: Sequence[str] = ()) -> Exported:
        """Write a model by a plan into an empty folder, without a card; measure it. ``worst`` are what it excludes."""
        precision, native = PRECISIONS[plan.precision], self._settings
        if precision.batch_tokens is not None:
            native = replace(native, options={**native.options, "batch_tokens": precision.batch_tokens})
        native = replace(native, backend=None if precision.backend == "onnx" else precision.backend)
        write_folder(self.source, folder, convert(self._graph, plan, self._calibration), plan, native)
        size = sum(file.stat().st_size for file in (folder / "onnx").iterdir()) / 1e6
        if self._gate is None:
            return Exported(plan, size)
        report = self._gate.measure(Reader.from_pretrained(folder, BackendOptions(precision.backend)))
        return Exported(plan, size, tuple(worst), report, report.failures(self._max_loss))

    def first_that_passes(self, folder: Path, plan: Plan) -> Exported:
        """As ``attempt``; while it loses too much with the worst 1, 2, 4, ... parts left out, and at last all but one.

        The last attempt is what the folder holds, whether it passes or not.
        """
        result = self.attempt(folder, plan)
        if not result.failures or self._gate is None or not parts(self._graph, plan):
            return result
        ranked = rank_parts(self._graph, plan, self._gate.windows, self._progress)
        # One matrix has to stay quantised, or nothing is left of the precision.
        most = max(1, len(ranked) - 1 - (ranked[-1] == WORD_EMBEDDINGS))
        while result.failures and len(result.excluded) < most:
            worst = ranked[: min(max(1, 2 * len(result.excluded)), most)]
            rmtree(folder)
            folder.mkdir()
            result = self.attempt(folder, replace(plan, excluded=frozenset(worst)), worst)
        return result


def export_reader(source: ModelFolder, out: Path, settings: ExportSettings, progress: Progress) -> Exported:
    """Write an ONNX folder that ``Reader.from_pretrained``, plain onnxruntime and transformers.js open.

    While it loses too much on the gate's questions, parts are left out of quantisation, worst first. Everything is
    written beside ``out`` first, and is there whole or not at all; a model that loses too much is not.

    Raises:
        InputError: if ``out`` holds something, or cannot be written.
        ModelError: if ``source`` holds no float weights, or cannot be exported.
        MissingExtraError: without the packages of the extra ``export``.
    """
    with new_folder(out) as folder:
        work = Exporter(source, settings, progress)
        plan = Plan(settings.precision, settings.embeddings or PRECISIONS[settings.precision].embeddings)
        result = work.first_that_passes(folder, plan)
        if result.failures:
            rmtree(folder)
        else:
            section = export_section(result.plan, _measured(result.report, settings.max_loss))
            write_card(source, folder, EXPORT_TITLE, section)
    return result


def _measured(report: GateReport | None, max_loss: float) -> str:
    """What a card says of the gate."""
    if report is None:
        return _NOT_MEASURED
    doubt = report.doubt(max_loss)
    return f"{_SCALE}\n\n{report.table()}" + (f"\n\n{doubt[0].upper()}{doubt[1:]}." if doubt else "")
