"""``FARMReader`` of Haystack 1."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from polyspan.backends import find_model, push_model
from polyspan.errors import InputError
from polyspan.features import WindowSettings
from polyspan.interop.farm.arguments import opening_of
from polyspan.interop.farm.evaluation import MeasuredReader
from polyspan.interop.farm.results import Showing, centred
from polyspan.interop.farm.training import Source, Stage, TrainingArguments, train
from polyspan.interop.opening import open_named
from polyspan.reader import Reader, ReadOptions

if TYPE_CHECKING:
    from polyspan.training import TrainingReport

LONGEST_ANSWER = 1000  # tokens; FARM's
EXACT_DUPLICATES, ANY_OVERLAP = 1.0, 0.01  # of the shorter span's characters


@dataclass(eq=False)
class FARMReader(MeasuredReader):
    """A reader with Haystack 1's arguments, which are attributes too and may be set between calls.

    ``model_name_or_path`` is a folder or hub id of revision ``model_version``, looked for in the cache alone if
    ``local_files_only``; "default" is the reader that comes with polyspan; or it is a ``polyspan.Reader``. ``use_gpu``
    takes a GPU, if there is one, for a model without an ONNX file; ``devices`` names one, in a list. ``model_kwargs``
    may hold "torch_dtype".

    ``top_k`` answers in all, ``top_k_per_candidate`` of one document, ``top_k_per_sample`` of one window.
    ``return_no_answer`` lets "no answer" be one of them; ``no_ans_boost`` logits are added to the null score before it
    decides. Scores are probabilities, 0 to 1, or sums of logits without ``use_confidence_scores``; those below
    ``confidence_threshold`` go. Of two answers that overlap the worse one goes; with ``duplicate_filtering`` above 0 so
    does one whose first or last token is no more than so many from a better one's, with -1 only the equal. A context
    has ``context_window_size`` characters.

    A window has ``max_seq_len`` tokens and begins ``doc_stride`` tokens behind the one before; a question is cut to
    ``max_query_length``. ``batch_size`` windows are scored at once (None: as many as suit the model). ``progress_bar``
    shows one in training, on a terminal.

    ``num_processes`` and ``preprocessing_batch_size`` have no effect, as documents are read as they come and in one
    process, nor has ``use_auth_token`` True, as the hub's own token counts. ``proxies``, ``force_download`` and a token
    as a text are refused.

    ``reader`` is the ``polyspan.Reader`` behind it, and ``test_scores`` are those of the last training's test file.

    Raises:
        InputError: if an argument makes no sense, or cannot be honoured.
        ModelError: if the model cannot be opened.
        MissingExtraError: if it needs torch and that is not installed.
    """

    model_name_or_path: str | Path | Reader
    model_version: str | None = None
    context_window_size: int = 150
    batch_size: int | None = None
    use_gpu: bool = True
    devices: Sequence[Any] | None = None
    no_ans_boost: float = 0.0
    return_no_answer: bool = False
    top_k: int = 10
    top_k_per_candidate: int = 3
    top_k_per_sample: int = 1
    num_processes: int | None = None
    max_seq_len: int = 256
    doc_stride: int = 128
    progress_bar: bool = True
    duplicate_filtering: int = 0
    use_confidence_scores: bool = True
    confidence_threshold: float | None = None
    proxies: Mapping[str, str] | None = None
    local_files_only: bool = False
    force_download: bool = False
    use_auth_token: str | bool | None = None
    max_query_length: int = 64
    preprocessing_batch_size: int | None = None
    model_kwargs: Mapping[str, Any] | None = None
    reader: Reader = field(init=False, repr=False)
    test_scores: dict[str, float] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Open the model."""
        self._open()
        self._read_options(self.top_k, None)

    @property
    def return_no_answers(self) -> bool:
        """``return_no_answer``, by its name as an attribute of Haystack 1."""
        return self.return_no_answer

    @return_no_answers.setter
    def return_no_answers(self, value: bool) -> None:
        self.return_no_answer = value

    @property
    def source(self) -> Source:
        """The model's name or folder, and revision."""
        if isinstance(self.model_name_or_path, Reader):
            raise InputError(
                "a Reader that is open already cannot be trained or taught from; give its folder or hub id"
            )
        return Source(str(self.model_name_or_path), self.model_version or "")

    def _open(self) -> None:
        self.reader, _ = open_named(self.model_name_or_path, None, opening_of(vars(self)))

    def _read_options(self, top_k: int, batch_size: int | None) -> ReadOptions:
        step, room = self.doc_stride, self.max_seq_len - self.max_query_length
        longest = self.reader.scorer.max_seq_len
        if not 0 < step < room:
            raise InputError(
                f"doc_stride {step} must be above 0 and below {room}, which max_seq_len {self.max_seq_len} leaves "
                f"beside max_query_length {self.max_query_length}"
            )
        if longest is not None and self.max_seq_len > longest:
            raise InputError(f"max_seq_len {self.max_seq_len} is more than the model can see: {longest} tokens")
        size = self.batch_size if batch_size is None else batch_size
        return replace(
            self.reader.defaults,
            top_k=top_k,
            top_k_per_document=self.top_k_per_candidate,
            top_k_per_window=self.top_k_per_sample,
            return_no_answer=self.return_no_answer,
            no_answer_bias=self.no_ans_boost,
            overlap_threshold=EXACT_DUPLICATES if self.duplicate_filtering < 0 else ANY_OVERLAP,
            max_seq_len=self.max_seq_len,
            max_question_len=self.max_query_length,
            step=step,
            max_answer_len=LONGEST_ANSWER,
            batch_tokens=self.reader.defaults.batch_tokens if size is None else size * self.max_seq_len,
        )

    def _showing(self, top_k: int) -> Showing:
        return Showing(
            top_k=top_k,
            return_no_answer=self.return_no_answer,
            context_of=centred(self.context_window_size),
            as_probability=self.use_confidence_scores,
            least_score=self.confidence_threshold,
            apart=self.duplicate_filtering if self.duplicate_filtering > 0 else None,
            token_of=self._token_of,
        )

    def _token_of(self, text: str) -> Callable[[int], int]:
        starts = self.reader.scorer.tokenizer.encode(text).offsets[:, 0]
        return lambda character: int(np.searchsorted(starts, character, "right")) - 1

    def update_parameters(
        self,
        context_window_size: int | None = None,
        no_ans_boost: float | None = None,
        return_no_answer: bool | None = None,
        max_seq_len: int | None = None,
        doc_stride: int | None = None,
    ) -> None:
        """Change arguments of the constructor. InputError where they make no sense together; then none is changed."""
        names = ("context_window_size", "no_ans_boost", "return_no_answer", "max_seq_len", "doc_stride")
        given = (context_window_size, no_ans_boost, return_no_answer, max_seq_len, doc_stride)
        before = {name: getattr(self, name) for name in names}
        for name, value in zip(names, given, strict=True):
            if value is not None:
                setattr(self, name, value)
        try:
            self._read_options(self.top_k, None)
        except InputError:
            for name, value in before.items():
                setattr(self, name, value)
            raise

    def save(self, directory: str | Path) -> None:
        """Write the model as a folder that this class, ``polyspan.Reader`` and transformers open."""
        self.reader.save_pretrained(directory)

    def save_to_remote(
        self, repo_id: str, private: bool = False, commit_message: str = "Add new model to Hugging Face."
    ) -> str:
        """Upload the model to the hub as the owner of ``HF_TOKEN``; the address of the commit.

        Raises ModelError where the hub does not take it.
        """
        with TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            self.save(folder)
            return push_model(folder, repo_id, private=private, message=commit_message, without_card=True).url

    def train(
        self,
        data_dir: str | Path,
        train_filename: str,
        dev_filename: str | None = None,
        test_filename: str | None = None,
        **arguments: Any,
    ) -> "TrainingReport":
        """Fine-tune the model, and read with the new one from then on.

        Args:
            data_dir: folder of the files, which are SQuAD's JSON.
            train_filename: questions to learn from.
            dev_filename: questions to choose the best epoch by.
            test_filename: questions to score the new model on; the scores are in ``test_scores``.
            arguments: those of ``TrainingArguments``; ``evaluate_every``, ``num_processes``, ``checkpoint_root_dir``,
                ``checkpoint_every``, ``checkpoints_to_keep`` and ``devices`` are taken and have no effect.

        Raises:
            InputError: if an argument is unknown or cannot be honoured, or ``save_dir`` holds something else.
            DatasetError, ModelError: if data or model cannot be used.
            MissingExtraError: without the packages of the extra ``train``.
        """
        files = {"data_dir": data_dir, "train_filename": train_filename, "dev_filename": dev_filename}
        return self._train("train", None, files | arguments, test_filename)

    def distil_prediction_layer_from(
        self, teacher_model: "FARMReader", data_dir: str | Path, train_filename: str, **arguments: Any
    ) -> "TrainingReport":
        """Train on a teacher's answers beside the gold ones.

        Args:
            teacher_model: the reader to learn from.
            data_dir: as for ``train``.
            train_filename: likewise.
            arguments: likewise, with ``dev_filename`` and ``test_filename``, and those of distillation.

        Raises:
            What ``train`` raises.
        """
        files = {"data_dir": data_dir, "train_filename": train_filename}
        return self._train("prediction", teacher_model, files | arguments, arguments.pop("test_filename", None))

    def distil_intermediate_layers_from(
        self, teacher_model: "FARMReader", data_dir: str | Path, train_filename: str, **arguments: Any
    ) -> "TrainingReport":
        """Train the inner layers after a teacher's with the same tokenizer, as TinyBERT's first stage does.

        No answers are learnt: ``distil_prediction_layer_from`` comes next. ``distillation_loss_weight`` and
        ``temperature`` have no effect, as in Haystack 1.

        Args:
            teacher_model: the reader to learn from.
            data_dir: as for ``train``.
            train_filename: likewise; its answers are not read.
            arguments: likewise, with ``dev_filename`` and ``test_filename``.

        Raises:
            What ``train`` raises.
        """
        files = {"data_dir": data_dir, "train_filename": train_filename}
        return self._train("intermediate", teacher_model, files | arguments, arguments.pop("test_filename", None))

    def _train(
        self, stage: Stage, teacher: "FARMReader | None", given: Mapping[str, Any], test_filename: str | None
    ) -> "TrainingReport":
        arguments = TrainingArguments.of(stage, {name: one for name, one in given.items() if name != "test_filename"})
        windows = WindowSettings(self.max_seq_len, 0, self.max_query_length, self.doc_stride)
        source = None if teacher is None else teacher.source
        folder, report = train(self.source, source, stage, arguments, windows, show_progress=self.progress_bar)
        if report.finished:
            self.model_name_or_path, self.model_version = folder, None
            self._open()
            if test_filename is not None:
                self.test_scores = self.eval_on_file(arguments.data_dir, test_filename)
        return report

    @classmethod
    def convert_to_onnx(
        cls,
        model_name: str | Path,
        output_path: str | Path,
        convert_to_float16: bool = False,
        quantize: bool = False,
        task_type: str = "question_answering",
        opset_version: int = 11,  # noqa: ARG003 -- Haystack's argument; the graph needs a newer one
    ) -> None:
        """Write a model as an ONNX folder that this class opens, its graph in ``onnx``.

        ``opset_version`` has no effect.

        Raises:
            InputError: for another task, for both formats at once, or if ``output_path`` holds something.
            ModelError: if there is no such model, or it cannot be exported.
            MissingExtraError: without the packages of the extra ``export``.
        """
        if task_type != "question_answering" or (convert_to_float16 and quantize):
            raise InputError("convert_to_onnx writes readers (question_answering), as float16 or quantised, not both")
        from polyspan.export import ExportSettings, export_reader

        precision = "float16" if convert_to_float16 else "int8" if quantize else "float32"
        export_reader(find_model(model_name), Path(output_path), ExportSettings(precision), lambda items, *_: items)
