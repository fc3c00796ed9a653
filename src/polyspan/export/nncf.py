"""8-bit graphs by NNCF, for OpenVINO."""

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout

import numpy as np
import numpy.typing as npt
import onnx

from polyspan.errors import MissingExtraError


def quantise(
    model: onnx.ModelProto, excluded: Sequence[str], feeds: Sequence[Mapping[str, npt.NDArray[np.int64]]]
) -> onnx.ModelProto:
    """A graph whose matrix products, those of attention too, are of 8-bit integers with fixed scales.

    NNCF's quantisation after training, for transformers: what is large in few channels of an activation is moved into
    the weights (SmoothQuant, Xiao et al., 2023), ranges are means over the inputs, and biases make up for what
    quantising shifts.

    Args:
        model: float32, in ONNX's own operators.
        excluded: names of nodes to leave as they are.
        feeds: inputs to take the ranges from, a few hundred windows in all languages that matter.

    Raises:
        MissingExtraError: without nncf.
    """
    os.environ.setdefault("NNCF_CI", "1")  # else it reports its use to a server
    try:
        import nncf
    except ImportError as error:
        raise MissingExtraError("quantising for OpenVINO", "openvino") from error
    nncf.set_log_level("ERROR")
    with redirect_stdout(io.StringIO()):  # its progress bars
        quantised: onnx.ModelProto = nncf.quantize(
            model,
            nncf.Dataset(feeds),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(feeds),
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(names=list(excluded), validate=False),
        )
    return quantised
