"""What makes two scores comparable, or visibly not."""

from collections.abc import Mapping

from polyspan.types import Report

Signature = Mapping[str, str | int | float]


def make_signature(metric: str, normaliser: str, source: Signature | None, **settings: float) -> Signature:
    """A report's signature: metric, normaliser, what the caller knows of the ``source``, settings, version."""
    from importlib.metadata import version

    return {
        "metric": metric,
        "normaliser": normaliser,
        **(source if source is not None else {}),
        **settings,
        "polyspan": version("polyspan"),
    }


def signature_text(report: Report) -> str:
    """The signature in one line: ``metric:squad2|normaliser:squad-v2-official|n:11873|...``."""
    return "|".join(f"{key}:{value}" for key, value in report.signature.items())
