"""One epoch of training, and the optimizer of the recipe."""

import math
import time

import paddle
import paddle.nn.functional as F
from tqdm import tqdm

from models import model_input
from utils.errors import UserError

HEAD_LR = 10  # the heads learn this many times faster than the trunk


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


def train_epoch(model, loader, optimizer, rate, normalization, epoch, print_freq):
    """Train one epoch; rate(iteration) is the trunk's learning rate at that iteration.

    Returns the epoch's averages as plain numbers: loss, lr and head_lr (of the last
    step), time (s), batch_time and data_time (s an iteration), photos_per_second.
    Raises UserError when the loss is no longer a finite number.
    """
    model.train()
    total_loss = data_time = 0.0
    begin = end = time.perf_counter()
    bar = tqdm(loader.epoch(epoch), total=len(loader), desc=f"epoch {epoch}", leave=False, disable=None)
    for iteration, batch in enumerate(bar):
        wait = time.perf_counter() - end
        optimizer.set_lr(rate(iteration))
        loss = train_step(model, optimizer, model_input(batch.photos, normalization), batch.labels)
        if not math.isfinite(loss):
            photos = ", ".join(loader.records.paths[i] for i in batch.indices)
            raise UserError(
                f"the loss is {loss} at epoch {epoch}, iteration {iteration}; lower --lr or look at {photos}"
            )
        total_loss += loss * len(batch.indices)
        data_time += wait
        step_time, end = time.perf_counter() - end, time.perf_counter()
        if iteration % print_freq == 0:
            done = min((iteration + 1) * loader.batch_size, len(loader.records))
            bar.write(
                f"Epoch {epoch}[{done}/{len(loader.records)}]: loss:{loss:.5f}, lr:{rate(iteration):.3e}, "
                f"batch time:{step_time:.4f}, data time:{wait:.4f}"
            )
    spent = end - begin
    return {
        "loss": total_loss / len(loader.records),
        "lr": rate(iteration),
        "head_lr": HEAD_LR * rate(iteration),
        "time": spent,
        "batch_time": spent / len(loader),
        "data_time": data_time / len(loader),
        "photos_per_second": len(loader.records) / spent,
    }


def train_step(model, optimizer, x, labels):
    """One step on normalised photos x (B, 3, S, S) and labels (B, C) of 0/1; returns the loss, a float."""
    logits = model(x)  # (B, C)
    loss = F.binary_cross_entropy_with_logits(logits, paddle.to_tensor(labels).astype("float32"))
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    return float(loss)
