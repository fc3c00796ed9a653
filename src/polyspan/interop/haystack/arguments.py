"""Arguments of Haystack's extractive reader that say how a model is opened."""

import warnings
from collections.abc import Mapping
from typing import Any

from haystack.utils import ComponentDevice

from polyspan.errors import InputError
from polyspan.interop.opening import Opening

MODEL_KWARGS = ("device_map", "dtype", "local_files_only", "revision", "torch_dtype")


def opening_of(device: ComponentDevice | None, model_kwargs: Mapping[str, Any] | None, token: str | None) -> Opening:
    """How a model is opened.

    Args:
        device: None takes a GPU, if there is one, for a model without an ONNX file.
        model_kwargs: "torch_dtype" or "dtype", "revision", "local_files_only", and "device_map", which counts for more
            than ``device``.
        token: for the hub; None leaves it to ``HF_TOKEN``.

    Raises:
        InputError: for several devices, and for other ``model_kwargs``.
    """
    more = dict(model_kwargs or {})
    if unknown := sorted(set(more) - set(MODEL_KWARGS)):
        raise InputError(f"model_kwargs: {', '.join(unknown)} has no meaning here; known are {', '.join(MODEL_KWARGS)}")
    name = None if device is None else _name_of(device)
    if more.get("device_map") is not None:
        if device is not None:
            warnings.warn("device and device_map are both given; device_map counts", UserWarning, stacklevel=3)
        name = _device_of(more["device_map"])
    return Opening(
        device=name,
        dtype=more.get("torch_dtype", more.get("dtype")),
        use_gpu=name is None,
        revision=more.get("revision"),
        local_files_only=bool(more.get("local_files_only")),
        token=token,
    )


def plain(model_kwargs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The same as YAML can hold it: torch's dtypes and devices by their names."""
    if model_kwargs is None:
        return None
    return {name: _plain(value) for name, value in model_kwargs.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return value if value is None or isinstance(value, str | int) else str(value)


def _name_of(device: ComponentDevice) -> str:
    if device.has_multiple_devices:
        raise InputError("device: several are named, and a reader uses one; name that")
    return device.to_torch_str()


def _device_of(device_map: Any) -> Any:
    """The one device of a map; None where it is "auto"."""
    named = set(map(str, device_map.values())) if isinstance(device_map, Mapping) else {device_map}
    if len(named) != 1:
        raise InputError("device_map: several devices are named, and a reader uses one; name that")
    (name,) = named
    if isinstance(name, str) and name.isdecimal():
        return int(name)
    return None if name == "auto" else name
