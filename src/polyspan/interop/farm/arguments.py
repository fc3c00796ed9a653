"""Arguments of Haystack 1 that cannot be honoured, or that need translating."""

from collections.abc import Mapping
from typing import Any

from polyspan.errors import InputError
from polyspan.interop.opening import Opening

_REFUSED = {
    "proxies": "set HTTPS_PROXY instead",
    "force_download": "remove the model from the hub's cache instead",
    "processor": "windows are cut by max_seq_len, doc_stride and max_query_length",
    "dev_split": "give dev_filename, a file of its own",
    "distributed": "start the training with accelerate launch or torchrun",
}


def refuse(arguments: Mapping[str, Any]) -> None:
    """InputError for an argument that has a value and no meaning here, with what to do instead."""
    for name, advice in _REFUSED.items():
        if arguments.get(name):
            raise InputError(f"{name} has no meaning here; {advice}")
    token = arguments.get("use_auth_token")
    if token not in (None, True, False):
        raise InputError("use_auth_token: a token itself is not taken; set HF_TOKEN instead")


def opening_of(arguments: Mapping[str, Any]) -> Opening:
    """How a reader's arguments say that its model is opened.

    ``devices`` are torch's, of which one is used; ``use_gpu`` False means the processor whatever they say. InputError
    for several devices, and for ``model_kwargs`` other than torch_dtype.
    """
    refuse(arguments)
    devices, use_gpu = arguments.get("devices") or (), bool(arguments.get("use_gpu"))
    if len(devices) > 1:
        raise InputError(f"devices: {len(devices)} are named, and a reader uses one; name that")
    more = dict(arguments.get("model_kwargs") or {})
    dtype = more.pop("torch_dtype", None)
    if more:
        raise InputError(f"model_kwargs: {', '.join(sorted(more))} has no meaning here; only torch_dtype has")
    return Opening(
        device=devices[0] if devices and use_gpu else None,
        dtype=dtype,
        use_gpu=use_gpu,
        revision=arguments.get("model_version"),
        local_files_only=bool(arguments.get("local_files_only")),
    )
