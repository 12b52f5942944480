"""Put tensors into a layer strictly: every name and every shape must fit."""

import numpy as np

from models.vit import resize_pos_embed
from utils.errors import UserError


def load_strict(layer, tensors, source):
    """Set all parameters and statistics of `layer` from `tensors` (name -> array).

    Raises UserError, naming `source`, when names are missing or unexpected,
    shapes differ, or values are not finite; the layer is then left as it was.
    The one shape that may differ is that of a ViT's position embedding, which is
    interpolated to the image size of the layer.
    """
    own = layer.state_dict()
    try:
        tensors = {name: _resized(name, value, own) for name, value in tensors.items()}
    except ValueError as error:
        raise UserError(f"{source} does not fit the model: {error}") from None
    problems = [
        _listed("missing", [name for name in own if name not in tensors]),
        _listed("unexpected", [name for name in tensors if name not in own]),
        _listed(
            "wrong shape",
            [
                f"{name} is {list(tensors[name].shape)}, not {list(own[name].shape)}"
                for name in own
                if name in tensors and list(tensors[name].shape) != list(own[name].shape)
            ],
        ),
    ]
    if any(problems):
        raise UserError(
            f"{source} does not fit the model: {'; '.join(filter(None, problems))}; is it another --model?"
        )
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, and is told
        broken = [
            name
            for name, value in tensors.items()
            if not np.isfinite(value.astype("float32", copy=False)).all()
        ]
    if broken:
        raise UserError(f"{source} has values that are {_listed('not finite', broken)}")
    for name, value in own.items():
        value.set_value(np.ascontiguousarray(tensors[name], dtype="float32"))  # one at a time: memory


def _resized(name, value, own):
    if name.endswith("pos_embed") and name in own and value.ndim == 3:
        return resize_pos_embed(value, own[name].shape[1])
    return value


def _listed(what, names, most=5):
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what}: {', '.join(names[:most])}{more}"
