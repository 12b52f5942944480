"""Finding the state from which a training goes on that ended before its time.

Beside each of the newest checkpoints lies a .pdopt: what resuming needs beyond the weights.
Order of photos and all draws derive from seed and epoch, so that on a CPU the resumed run
ends in the same weights, bit by bit, as one that was never interrupted.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from utils.checkpoint import read_checkpoint
from utils.errors import UserError
from utils.weights import STATE, read_state, write_state

AGREE = ("model", "num_heads", "lam", "classes", "img_size", "normalization")  # in a description


@dataclass
class Found:
    """A moment of a run: weights and state (name -> array), what is said of them, and where they lie."""

    weights: dict
    description: dict
    state: dict
    about: dict
    path: Path

    def next_step(self):
        """(epoch, number of its steps that are done, their sums for train_epoch) to go on with."""
        epoch, iteration = self.about["epoch"], self.about["iteration"]
        return (epoch + 1, 0, None) if iteration is None else (epoch, iteration, self.about["sums"])

    def check_step(self, step_size):
        """UserError when the epoch was begun with another number of photos a step: the rest are others."""
        sums = self.about["sums"]
        if sums and sums["step_size"] != step_size:
            raise UserError(
                f"{self.path} is of steps of {sums['step_size']} photos, not {step_size}; give its number of "
                "processes, --batch_size and --accum_steps, or go on from a whole epoch"
            )


def save_state(learner, path, about, sums=None):
    """Write the state of a Learner, what RunFolder says (plain values), and the sums of a begun epoch."""
    tensors, own = learner.state()
    write_state(path, tensors, {**about, **own, "sums": sums})


def find_state(choice, run, description):
    """The Found to go on from with the run in a RunFolder; None where there is nothing.

    choice: "auto", the newest moment of the folder that is whole, or the path of a
    checkpoint in it. Raises UserError when a named one cannot be continued, or is of
    another model.
    """
    found = _newest(run) if choice == "auto" else _read(_own_path(Path(choice), run))
    if found:
        for name in AGREE:
            if (found.description or {}).get(name) != description[name]:
                raise UserError(
                    f"{found.path} is of a run with another {name}; give its options, or start anew without "
                    "--resume"
                )
    return found


def _newest(run):
    paths = [state.with_suffix(".pdparams") for state in reversed(run.states())]
    last = run.folder / "last.pdparams"
    if last.exists() and not any(path.exists() and path.samefile(last) for path in paths):
        try:
            read_checkpoint(last)
        except UserError as error:
            print(f"{error}; it is made anew")
    for path in paths:
        try:
            return _read(path)
        except UserError as error:
            print(f"{error}; trying the one before")
    if any(path.exists() for path in paths):  # else a kill came between the first state and its weights
        raise UserError(f"no epoch in {run.folder} is whole; start anew without --resume")
    return None


def _own_path(path, run):
    """The epoch_N or epoch_N_iter_I that a file of the run was made from: itself, or that of last or best."""
    description = None if path.suffix == STATE else read_checkpoint(path)[1] or {}
    known = description is None or "epoch" in description
    if not known or os.path.realpath(path.parent) != os.path.realpath(run.folder):
        raise UserError(f"{path} is no checkpoint of the run in {run.folder}; name it with --save_dir")
    own = run.path(description["epoch"], description.get("iteration")) if description else path
    state = own.with_suffix(STATE)
    if not state.exists():
        left = ", ".join(each.name for each in run.states()) or "none"
        raise UserError(f"cannot go on from {path} without its {state.name}; those that are left: {left}")
    return own


def _read(path):
    weights, description = read_checkpoint(path.with_suffix(".pdparams"))
    state, about = read_state(path.with_suffix(STATE))
    if not {"epoch", "iteration", "scaler"} <= set(about):
        raise UserError(f"{path.with_suffix(STATE)} was written by another version; start anew")
    return Found(weights, description, state, about, path.with_suffix(".pdparams"))
