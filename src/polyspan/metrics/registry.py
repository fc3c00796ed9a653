"""All scoring regimes by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from polyspan.metrics.characters import CMRC2018, JSQUAD
from polyspan.metrics.mlqa import mlqa, mlqa_extended
from polyspan.metrics.regime import Regime
from polyspan.metrics.squad import SQUAD

REGIMES: Mapping[str, Callable[[str], Regime]] = MappingProxyType(
    {
        "squad": lambda _: SQUAD,
        "mlqa": mlqa,
        "mlqa-extended": mlqa_extended,
        "cmrc2018": lambda _: CMRC2018,
        "jsquad": lambda _: JSQUAD,
    }
)
"""Name to regime, given the language of the answers (ISO 639-1), which only MLQA's two ask for."""
