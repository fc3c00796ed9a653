"""Model folders of FARM, and of Haystack 1's ``FARMReader.save``: encoder and span head in files of their own.

``language_model.bin`` and ``prediction_head_0.bin`` hold their weights, or files of these names in ``.safetensors``;
beside each stands its configuration, and ``processor_config.json`` says how texts were cut.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from polyspan.backends.folder import NATIVE_FILE, ModelFolder, NativeSettings
from polyspan.decoding import Calibration
from polyspan.errors import ModelError

ENCODER = "language_model"
PROCESSOR_FILE = "processor_config.json"
HEAD_NAME = "QuestionAnsweringHead"
TEMPERATURE = "temperature_for_confidence"
LAYER = "feed_forward.feed_forward.0"
"""How the head's numbers and its only layer are called there."""
_HEADS = "prediction_head_[0-9]*_config.json"
_OWN = {"name", "language"}
"""What FARM added to transformers' configuration."""
FARM_NAMES = {
    "albert": "Albert",
    "bert": "Bert",
    "big_bird": "BigBird",
    "camembert": "Camembert",
    "deberta-v2": "DebertaV2",
    "distilbert": "DistilBert",
    "electra": "Electra",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
    "xlnet": "XLNet",
}
"""FARM's names of encoders, by transformers' model_type."""
_LENGTHS = {"max_seq_len": "max_seq_len", "doc_stride": "step", "max_query_length": "max_question_len"}
"""FARM's names of reading options, and ours: its doc_stride is a step."""


class FarmFolder(ModelFolder):
    """The files of one reader in FARM's layout.

    Its settings hold what FARM's head does: logits are divided by the temperature, and the null score has the no-answer
    boost added after that, so that "no answer" begins at -boost x temperature of the null margin.
    """

    config_file = f"{ENCODER}_config.json"

    def __init__(self, path: Path, name: str | None = None) -> None:
        super().__init__(path, name or path.resolve().name)

    @classmethod
    def is_one(cls, path: Path) -> bool:
        """Whether a folder is of this kind, and not of Hugging Face's."""
        return (path / cls.config_file).is_file() and not (path / ModelFolder.config_file).is_file()

    @cached_property
    def config(self) -> dict[str, Any]:
        """Transformers' configuration; old ones told the model's type by FARM's name of it alone."""
        content = dict(super().config)
        name = content.get("name")
        kind = content.get("model_type") or next((kind for kind, farms in FARM_NAMES.items() if farms == name), None)
        if kind is None:
            raise ModelError(f"{self.path / self.config_file}: names no model_type; expected transformers' name of it")
        return {key: value for key, value in content.items() if key not in _OWN} | {"model_type": kind}

    @cached_property
    def settings(self) -> NativeSettings:
        """``polyspan.json`` where somebody wrote one, else what head and processor say; that needs torch."""
        if (self.path / NATIVE_FILE).is_file():
            return super().settings
        from polyspan.backends.torch import read_weights

        weights = read_weights(self.weights_file(self.head))
        temperature = float(weights[TEMPERATURE].item()) if TEMPERATURE in weights else 1.0
        boost = _number(self.head_config, "no_ans_boost", 0.0)
        return NativeSettings(
            self.name, calibration=Calibration(-boost * temperature, temperature, temperature), options=self._lengths
        )

    @cached_property
    def head(self) -> str:
        """The name of the span head's files, without their endings.

        Raises ModelError where there is not exactly one.
        """
        heads = sorted(self.path.glob(_HEADS))
        names = [one.name.removesuffix("_config.json") for one in heads if self._is_span_head(one.name)]
        if len(names) != 1:
            raise ModelError(
                f"{self.path}: {len(names)} of its {len(heads)} heads are for question answering; expected one"
            )
        return names[0]

    @cached_property
    def head_config(self) -> dict[str, Any]:
        """The span head's configuration."""
        content: dict[str, Any] = self._json(f"{self.head}_config.json")
        return content

    @property
    def onnx_file(self) -> Path | None:
        """None: the graphs of FARM have outputs that are no logits of starts and ends."""
        return None

    def weights_file(self, part: str) -> Path:
        """The file of a part's weights; ModelError where it is missing."""
        file = self.first_file(f"{part}.safetensors", f"{part}.bin")
        if file is None:
            raise ModelError(
                f"{self.path}: holds no {part}.bin and no {part}.safetensors; for a FARM model in ONNX give the model "
                "that it was made from"
            )
        return file

    def _is_span_head(self, name: str) -> bool:
        content = self._json(name)
        return isinstance(content, dict) and content.get("name") == HEAD_NAME

    @property
    def _lengths(self) -> dict[str, int]:
        """The processor's lengths, where they are whole numbers."""
        if not (self.path / PROCESSOR_FILE).is_file():
            return {}
        content = self._json(PROCESSOR_FILE)
        given = {ours: content.get(theirs) for theirs, ours in _LENGTHS.items()} if isinstance(content, dict) else {}
        return {name: value for name, value in given.items() if type(value) is int and value > 0}


def _number(content: Mapping[str, Any], name: str, usual: float) -> float:
    value = content.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ModelError(f"the span head's {name} is {value!r:.40}; expected a number")
    return float(value)
