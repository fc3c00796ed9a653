"""When ranked passages that are left need not be read, by numbers that were fitted once and stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from polyspan.errors import InputError, ModelError


@dataclass(frozen=True, slots=True)
class StopRule:
    """Reading stops where an answer is shown whose probability is above a limit.

    ``passages`` is how many ranked passages were read in the fit, and ``after`` after which numbers of them, rising,
    the best answer was looked at. ``limits`` holds the limit (0 to 1) for each of some risks (0 to 1). The risk is the
    probability, over questions like those of the fit, that the text of the best answer changes if all is read. An
    answer that is shown never becomes "no answer" by reading more.
    """

    passages: int
    after: tuple[int, ...]
    limits: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        """Refuse what no fit gives."""
        numbers = [0, *self.after, self.passages]
        if not self.after or any(type(one) is not int for one in numbers) or numbers != sorted(set(numbers)):
            raise ModelError(f"a stop rule needs rising numbers of passages, not {self.after} of {self.passages}")
        if not all(0 < risk < 1 and 0 <= limit <= 1 for risk, limit in self.limits):
            raise ModelError(f"a stop rule needs risks and limits between 0 and 1, not {self.limits}")

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "StopRule":
        """What ``dataclasses.asdict`` made of one; TypeError, ValueError or ModelError where it is none."""
        limits = tuple((float(risk), float(limit)) for risk, limit in content.get("limits", ()))
        return cls(**{**content, "after": tuple(content.get("after", ())), "limits": limits})

    def limit(self, risk: float) -> float:
        """That of the largest fitted risk that is no more than ``risk``; InputError where all are more."""
        held = [one for one in self.limits if one[0] <= risk + np.finfo(float).eps]
        if not held:
            fitted = ", ".join(f"{one:g}" for one, _ in self.limits) or "none"
            raise InputError(f"stop_risk {risk:g}: the model has limits for a risk of {fitted}; choose a higher one")
        return max(held)[1]
