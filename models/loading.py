"""Put tensors into a layer strictly: every name and every shape must fit."""

import numpy as np

from utils.errors import UserError


def load_strict(layer, tensors, source):
    """Set all parameters and statistics of `layer` from `tensors` (name -> array).

    Raises UserError, naming `source`, when names are missing or unexpected,
    shapes differ, or values are not finite; the layer is then left as it was.
    """
    own = layer.state_dict()
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
        _listed("not finite", [name for name, value in tensors.items() if not np.isfinite(value).all()]),
    ]
    if any(problems):
        raise UserError(f"{source} does not fit the model: " + "; ".join(filter(None, problems)))
    layer.set_state_dict({name: np.asarray(tensors[name], dtype="float32") for name in own})


def _listed(what, names, most=5):
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what}: {', '.join(names[:most])}{more}"
