"""The exponential moving average of the weights (EMA), which often scores better than the last weights."""

from contextlib import contextmanager

import paddle


class Average:
    """average = decay * average + (1 - decay) * weights, after each step; it starts at the weights.

    All floating-point entries of the state dict take part, statistics of batch norm included, as in
    timm's ModelEmaV2; they are kept in float32, whatever the model's precision.
    """

    def __init__(self, model, decay):
        self.model = model
        self.decay = decay
        self.values = {name: value.astype("float32").clone() for name, value in model.state_dict().items()}

    @paddle.no_grad()
    def update(self):
        """Take in the weights as they are now."""
        for name, value in self.model.state_dict().items():
            average = self.values[name]
            average.scale_(self.decay).add_(value.astype("float32") * (1 - self.decay))

    @contextmanager
    def applied(self):
        """Within the block the model has the averaged weights."""
        own = {name: value.clone() for name, value in self.model.state_dict().items()}
        self._set(self.values)
        try:
            yield
        finally:
            self._set(own)

    @paddle.no_grad()
    def _set(self, values):
        for name, value in self.model.state_dict().items():
            value.set_value(values[name].astype(value.dtype))
