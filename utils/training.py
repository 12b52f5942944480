"""Training epoch by epoch: train, evaluate, log, save."""

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from tqdm import tqdm

from datasets.loader import Batches
from datasets.spec import Spec
from models import CSRAModel
from utils.distributed import ALONE, Processes
from utils.errors import Interrupted, UserError
from utils.evaluation.report import figure_lines, named_figures
from utils.interrupt import interruptible
from utils.learner import HEAD_LR, Learner
from utils.resume import save_state
from utils.run_folder import RunFolder
from utils.scoring import evaluate_split


@dataclass
class Training:
    """A run: what learns from what, and where it is kept.

    model: trunk and heads, what is saved; learner: of it, or of the heads alone. run:
    None in all processes but the first. test_loader: None for no evaluation. save_every:
    steps between two saves within an epoch, or None.
    """

    model: CSRAModel
    learner: Learner
    description: dict
    spec: Spec
    train_loader: Batches
    test_loader: Batches | None
    run: RunFolder | None
    processes: Processes
    threshold: float
    print_freq: int
    save_every: int | None

    def epoch(self, epoch, rate, first=0, sums=None):
        """Train one epoch, from step `first` on; evaluate, log and save it. Returns its line of the log.

        Raises Interrupted when SIGINT or SIGTERM came: the state after the step that ran is saved.
        """
        about = {**self.description, "epoch": epoch}
        with interruptible() if self.processes.world == 1 else nullcontext(lambda: None) as asked:
            figures = train_epoch(
                self.learner,
                self.train_loader,
                rate,
                epoch,
                self.print_freq,
                first=first,
                sums=sums,
                after_step=partial(self._after_step, about, asked),
                processes=self.processes,
            )
        print(epoch_line(epoch, figures))
        ema = self.learner.average is not None
        line = {"epoch": epoch, **figures, "metrics": self._evaluate(epoch, ", last weights" * ema)}
        if ema:
            with self.learner.average.applied():
                averaged = self._evaluate(epoch, ", averaged weights")
                if self.run:
                    whole = {**about, "metrics": averaged, "averaged": True}
                    self.run.save_averaged(epoch, self.model, whole, averaged and averaged["mAP"])
            line["metrics_averaged"] = averaged
        if self.run:
            self.run.log(line)
            metrics = line["metrics"]
            whole = {**about, "metrics": metrics}
            state = partial(save_state, self.learner)
            self.run.save(epoch, self.model, whole, metrics and metrics["mAP"], state)
        return line

    def _evaluate(self, epoch, weights=""):
        """Figures of the evaluation split by name, None without one."""
        self.processes.same_statistics(self.learner.model)
        if self.test_loader is None:
            return None
        print(f"Test on Epoch {epoch}{weights}")
        with self.learner.evaluating():
            _, figures = evaluate_split(
                self.learner.model,
                self.test_loader,
                self.learner.normalization,
                self.spec,
                self.threshold,
                self.processes,
            )
        print("\n".join(figure_lines(figures, self.spec.classes)))
        return named_figures(figures, self.spec.classes)

    def _after_step(self, about, asked, done, sums):
        """Save within the epoch when it is time, or when the process was asked to end."""
        number = asked()
        if number or (self.save_every and done % self.save_every == 0):
            step_size = self.train_loader.step_size
            sums = {**sums, "loss": self.processes.mean(sums["loss"]), "step_size": step_size}
            if self.run:
                state = partial(save_state, self.learner, sums=sums)
                step = {**about, "iteration": done, "metrics": None}
                self.run.save_step(about["epoch"], done, self.model, step, state)
        if number:
            raise Interrupted(
                number,
                f"interrupted in epoch {about['epoch']} after {done} iterations; go on with --resume auto",
            )


def train_epoch(
    learner, loader, rate, epoch, print_freq, *, first=0, sums=None, after_step=None, processes=ALONE
):
    """Train one epoch; rate(iteration) is the trunk's learning rate at that iteration.

    first, sums: how many steps were done before, and what after_step was told then.
    after_step(done, sums) is called after each step, with the number of steps done.
    Returns the epoch's averages as plain numbers: loss, lr and head_lr (of the last
    step), time (s), batch_time, data_time and compute_time (s an iteration),
    photos_per_second. Raises UserError when the loss is no longer a finite number.
    """
    learner.model.train()
    sums = dict(sums or {"loss": 0.0, "time": 0.0, "data_time": 0.0})
    end = time.perf_counter()
    steps = loader.steps(epoch, first)
    bar = tqdm(steps, total=len(loader), initial=first, desc=f"epoch {epoch}", leave=False, disable=None)
    for iteration, (known, batches) in enumerate(bar, first):
        wait = time.perf_counter() - end
        loss = learner.step(known, batches, rate(iteration))
        if not math.isfinite(loss):
            photos = ", ".join(loader.records.paths[i] for batch in batches for i in batch.indices)
            raise UserError(
                f"the loss is {loss} at epoch {epoch}, iteration {iteration}; lower --lr or look at {photos}"
            )
        seen = min((iteration + 1) * loader.step_size, len(loader.records))
        step_time, end = time.perf_counter() - end, time.perf_counter()
        sums["loss"] += loss * (seen - iteration * loader.step_size)
        sums["time"] += step_time
        sums["data_time"] += wait
        if iteration % print_freq == 0:
            bar.write(
                f"Epoch {epoch}[{seen}/{len(loader.records)}]: loss:{loss:.5f}, lr:{rate(iteration):.3e}, "
                f"batch time:{step_time:.4f}, data time:{wait:.4f}"
            )
        if after_step:
            after_step(iteration + 1, sums)
            end = time.perf_counter()  # saving is no waiting for photos
    return _averages(sums, loader, rate(len(loader) - 1), processes)


def epoch_line(epoch, figures):
    """The printed line of what train_epoch returned."""
    return (
        f"Epoch {epoch} training ends, total {figures['time']:.2f}s, loss:{figures['loss']:.5f}, "
        f"lr:{figures['lr']:.3e}, head lr:{figures['head_lr']:.3e}, batch time:{figures['batch_time']:.4f}, "
        f"data time:{figures['data_time']:.4f}, {figures['photos_per_second']:.1f} images/s"
    )


def _averages(sums, loader, lr, processes):
    """What train_epoch returns; the loss is that of all processes, the times are this one's."""
    batch_time, data_time = sums["time"] / len(loader), sums["data_time"] / len(loader)
    return {
        "loss": processes.mean(sums["loss"]) / len(loader.records),
        "lr": lr,
        "head_lr": HEAD_LR * lr,
        "time": sums["time"],
        "batch_time": batch_time,
        "data_time": data_time,
        "compute_time": batch_time - data_time,
        "photos_per_second": len(loader.records) / sums["time"],
    }
