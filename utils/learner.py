"""What learns, and one step of it: model, loss, optimizer, precision and average."""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import paddle
from paddle.distributed.fleet.utils.hybrid_parallel_util import fused_allreduce_gradients

from models import model_input
from utils.average import Average
from utils.distributed import ALONE
from utils.errors import UserError
from utils.losses import LOSSES, known_mean

HEAD_LR = 10  # the heads learn this many times faster than the trunk
MASTER, AVERAGE = "@master", "@average"  # ends of names in a state


@dataclass(frozen=True)
class Precision:
    """Of the arithmetic in training: level None (float32), "O1" or "O2", with paddle.amp's meaning."""

    level: str | None = None
    dtype: str = "float16"

    def autocast(self):
        """The context in which the model runs."""
        if self.level is None:
            return nullcontext()
        return paddle.amp.auto_cast(level=self.level, dtype=self.dtype)


def make_optimizer(model, momentum, weight_decay):
    """SGD with momentum; weight decay on all parameters, batch norm and heads included, as the reference.

    model: trunk and heads, or heads alone.
    """
    backbone = getattr(model, "backbone", None)
    heads = model.classifier if backbone else model
    groups = [
        {"params": heads.parameters(), "learning_rate": float(HEAD_LR)}
    ]  # in Paddle a factor, not a rate
    if backbone:
        groups.insert(0, {"params": backbone.parameters(), "learning_rate": 1.0})
    return paddle.optimizer.Momentum(
        learning_rate=0.0, momentum=momentum, parameters=groups, weight_decay=weight_decay
    )


FLOAT32 = Precision()


class Learner:
    """A model (or its heads alone) and what a step needs besides; its state is what resuming needs.

    normalization: of photos, None for feature maps. loss: one of utils/losses.py.
    clip: the largest norm of all gradients together, or None. ema: the decay of the
    averaged weights, or None. averaged_after: average gradients over the processes after
    the backward pass instead of during it. DataParallel cannot during it where blocks are
    recomputed; and on a CPU, where a process is gone, gloo aborts this one within it before
    it can tell.
    """

    def __init__(
        self,
        model,
        optimizer,
        normalization,
        loss=LOSSES["bce"],
        precision=FLOAT32,
        clip=None,
        ema=None,
        processes=ALONE,
        averaged_after=False,
    ):
        self.model = model
        self.optimizer = optimizer
        self.normalization = normalization
        self.loss = loss
        self.precision = precision
        self.clip = clip
        self.scaler = paddle.amp.GradScaler(
            enable=precision.level is not None and precision.dtype == "float16"
        )
        if precision.level == "O2":
            paddle.amp.decorate(model, optimizer, level="O2", dtype=precision.dtype, master_weight=True)
        self.average = None if ema is None else Average(model, ema)
        self.network = paddle.DataParallel(model) if processes.world > 1 else model
        self.averaged_after = averaged_after
        self.given = None  # the state that was set, as long as no step has changed it

    def step(self, known, batches, lr):
        """One step at the trunk's rate `lr` on batches of photos; returns the loss, a float.

        known: what the sum of the losses is divided by, see Batches.steps.
        """
        self.given = None
        self.optimizer.set_lr(lr)
        loss = 0.0
        for number, batch in enumerate(batches, 1):
            with self._averaging(last=number == len(batches)):
                loss += self._backward(batch, known)
        if self.averaged_after and self.network is not self.model:
            fused_allreduce_gradients([p for p in self.model.parameters() if not p.stop_gradient], None)
        if self.clip is not None:
            self.scaler.unscale_(self.optimizer)
            paddle.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.clear_grad()
        if self.average:
            self.average.update()
        return float(loss)

    def evaluating(self):
        """The context to evaluate the model in: float32, as in val.py, unless the weights are not."""
        return self.precision.autocast() if self.precision.level == "O2" else nullcontext()

    def _averaging(self, last):
        """The context of a backward pass: that of the last batch averages gradients over the processes.

        With averaged_after it is done after the pass.
        """
        if self.network is self.model or (last and not self.averaged_after):
            return nullcontext()
        return self.network.no_sync()

    def _backward(self, batch, known):
        with self.precision.autocast():
            logits = self.network(model_input(batch.photos, self.normalization))  # (B, C)
        labels = paddle.to_tensor(batch.labels)  # (B, C)
        loss = known_mean(self.loss(logits.astype("float32"), labels), labels, known)
        self.scaler.scale(loss).backward()
        return loss.detach()

    def state(self):
        """(tensors, about): name -> array, named after the model's parameters, and a dict of plain values."""
        if self.given:  # Paddle 2.6's optimizer gives a state that was set only after a step
            return self.given
        names = {value.name: name for name, value in self.model.named_parameters()}
        state = self.optimizer.state_dict()
        masters = state.pop("master_weights", {})
        tensors = {names[own] + MASTER: value.numpy() for own, value in masters.items()}
        for key, value in state.items():
            if isinstance(value, paddle.Tensor):
                own = _owner(key, names)
                tensors[names[own] + key[len(own) :]] = value.numpy()
        if self.average:
            tensors.update({name + AVERAGE: value.numpy() for name, value in self.average.values.items()})
        scaler = {name: np.asarray(value).tolist() for name, value in self.scaler.state_dict().items()}
        return tensors, {"scaler": scaler}

    def set_state(self, tensors, about, source):
        """Go on from what state() gave. UserError naming `source` when it is of another kind of run."""
        parameters = dict(self.model.named_parameters())
        average = {key.removesuffix(AVERAGE): tensors[key] for key in tensors if key.endswith(AVERAGE)}
        masters = {key.removesuffix(MASTER): tensors[key] for key in tensors if key.endswith(MASTER)}
        owners = {key: _owner(key, parameters) for key in tensors if not key.endswith((AVERAGE, MASTER))}
        if set(owners.values()) != {n for n, value in parameters.items() if not value.stop_gradient}:
            raise UserError(
                f"{source} is of a run that trained another part of the model; give --freeze_backbone as it "
                "did, or start anew without --resume"
            )
        for name, its, own in (
            ("--ema", average, self.average),
            ("--amp O2", masters, self.precision.level == "O2"),
            ("--amp in float16", about["scaler"], self.scaler.is_enable()),
        ):
            if bool(its) != bool(own):
                raise UserError(f"{source} is of a run with{'' if its else 'out'} {name}; give its options")
        state = {
            parameters[own].name + key[len(own) :]: paddle.to_tensor(tensors[key])
            for key, own in owners.items()
        }
        if masters:
            state["master_weights"] = {
                parameters[name].name: _master(parameters[name], value) for name, value in masters.items()
            }
        self.optimizer.set_state_dict(state)
        if self.average:
            self.average.values = {name: paddle.to_tensor(value) for name, value in average.items()}
        self.given = (tensors, {"scaler": about["scaler"]})
        if about["scaler"]:
            self.scaler.load_state_dict(about["scaler"])


def _master(parameter, value):
    """The float32 weights behind a parameter of O2; the optimizer knows them by this name."""
    tensor = paddle.to_tensor(value)
    tensor.name = f"{parameter.name}_fp32_master_0"
    return tensor


def _owner(key, names):
    """The parameter that an entry of an optimizer's state belongs to, by the longest name; None for none."""
    return max((name for name in names if key.startswith(name)), key=len, default=None)
