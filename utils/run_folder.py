"""The folder of one training run: log.jsonl, epoch_N.pdparams, last.pdparams, best.pdparams.

epoch_N.pdopt, of the newest two epochs, is what utils/resume.py needs besides. Within an
epoch epoch_N_iter_I, after I steps of epoch N, stands for it until the epoch is whole.
epoch_N_averaged.pdparams and last_averaged.pdparams are the averaged weights of --ema.
"""

import json
import math
import os
import re
import shutil
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from utils.checkpoint import save_checkpoint
from utils.errors import UserError
from utils.files import atomic_path
from utils.weights import STATE

try:
    import fcntl
except ImportError:  # Windows has no such lock
    fcntl = None

STATES = 2  # of how many epochs, and of how many steps within one, the .pdopt are kept


class Saved(NamedTuple):
    """A checkpoint of a whole epoch and its figure."""

    epoch: int
    mAP: float | None
    averaged: bool = False


class RunFolder:
    """Opens SAVE_DIR/MODEL for a new run; a run that lies there already is moved to MODEL.1, .2, ...

    With `resume` it stays where it is, until go_on() continues it or start_anew() does not.
    Raises UserError while another process trains there, or when it cannot be written.
    """

    def __init__(self, folder, keep=None, resume=False):
        self.folder = Path(folder)
        self.keep = keep
        self.best = None  # the Saved of the highest mAP
        self.last = None
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = _lock(self.folder)
        if lock:
            weakref.finalize(self, lock.close)
        if not resume:
            self.start_anew()

    def start_anew(self):
        """Move a run that lies here already aside."""
        with self._writing():
            if (self.folder / "log.jsonl").exists():
                self._move_aside()
                self.folder.mkdir()

    def log(self, line):
        """Append a dict to log.jsonl as one line, at once on disk."""
        text = json.dumps(line, ensure_ascii=False, allow_nan=False)
        log = self.folder / "log.jsonl"
        with self._writing(log), open(log, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())

    def epochs(self):
        """The lines of the log that stand for an epoch."""
        return [line for line in map(json.loads, self._lines()) if "epoch" in line]

    def go_on(self, epoch, iteration, last, best):
        """Continue after `iteration` steps of `epoch`, None for all, as if nothing later had begun.

        The line of the last whole epoch becomes the log's last; `last` and `best`, Saved
        ones or None, become its files again, whatever a kill or later epochs made of them.
        """
        self.last, self.best = (saved and Saved(*saved) for saved in (last, best))
        whole = epoch if iteration is None else epoch - 1
        log = self.folder / "log.jsonl"
        with self._writing(log):
            for state in reversed(self.states()):  # so that a kill leaves the newest of the rest whole
                if moment_of(state) > (epoch, iteration or math.inf):
                    self._remove_step(state) if "iter" in state.name else state.unlink()
            lines = [line for line in self._lines() if _stays(line, whole)]
            with atomic_path(log) as temporary:
                temporary.write_bytes(b"".join(lines))
            self._remove_temporary()
            self._tidy(epoch, iteration)
        self._link(self.path(epoch, iteration), "last")
        self._link(self.path(whole, averaged=True), "last_averaged")
        if best:
            self._link(self.path(self.best.epoch, averaged=self.best.averaged), "best")

    def save(self, epoch, model, description, mAP=None, save_state=None):
        """Write epoch_N.pdparams; make it `last`, and `best` when its mAP is the highest so far.

        save_state(path, about) writes what resuming needs, before the checkpoint: a
        checkpoint that is there can be continued.
        """
        self.last = Saved(epoch, mAP)
        is_best = self._note_best(self.last)
        path = self.path(epoch)
        if save_state:
            self._save_state(save_state, path, epoch, None)
        save_checkpoint(path, model, description)
        self._link(path, "last")
        if is_best:
            self._link(path, "best")
        self._tidy(epoch)

    def save_averaged(self, epoch, model, description, mAP=None):
        """The same for the averaged weights, which `model` must have now; call it before save()."""
        path = self.path(epoch, averaged=True)
        save_checkpoint(path, model, description)
        self._link(path, "last_averaged")
        if self._note_best(Saved(epoch, mAP, averaged=True)):
            self._link(path, "best")

    def save_step(self, epoch, iteration, model, description, save_state):
        """Write epoch_N_iter_I.pdparams, after `iteration` steps of the epoch; make it `last`."""
        path = self.path(epoch, iteration)
        self._save_state(save_state, path, epoch, iteration)
        save_checkpoint(path, model, description)
        self._link(path, "last")
        self._tidy(epoch, iteration)

    def states(self):
        """The .pdopt files in the order of their moments."""
        return sorted(filter(moment_of, self.folder.glob(f"*{STATE}")), key=moment_of)

    def path(self, epoch, iteration=None, averaged=False):
        """Where a checkpoint lies; its .pdopt lies beside it."""
        step = "" if iteration is None else f"_iter_{iteration}"
        return self.folder / f"epoch_{epoch}{step}{'_averaged' * averaged}.pdparams"

    def _note_best(self, saved):
        """Whether this is the best so far; then it is remembered."""
        is_best = saved.mAP is not None and (self.best is None or saved.mAP > self.best.mAP)
        if is_best:
            self.best = saved
        return is_best

    def _save_state(self, save_state, path, epoch, iteration):
        about = {"epoch": epoch, "iteration": iteration, "last": self.last, "best": self.best}
        save_state(path.with_suffix(STATE), about)

    def _lines(self):
        """The lines of the log, bytes with their ends."""
        log = self.folder / "log.jsonl"
        return log.read_bytes().splitlines(keepends=True) if log.exists() else []

    def _tidy(self, epoch, iteration=None):
        """Remove what the checkpoint of this moment makes superfluous."""
        steps = [state for state in self.states() if "iter" in state.name]
        for state in steps if iteration is None else steps[:-STATES]:
            self._remove_step(state)
        if iteration is None:
            self.path(epoch - STATES).with_suffix(STATE).unlink(missing_ok=True)
            if self.keep and epoch > self.keep:
                for averaged in (False, True):
                    self.path(epoch - self.keep, averaged=averaged).unlink(missing_ok=True)

    def _remove_temporary(self):
        """Remove what a process that was killed left half written."""
        for leftover in self.folder.glob(".*.tmp"):
            leftover.unlink()

    def _remove_step(self, state):
        state.with_suffix(".pdparams").unlink(missing_ok=True)
        state.unlink()

    def _link(self, path, name):
        """NAME.pdparams becomes the same file as `path`, where that has not been removed by --keep."""
        if path.exists():
            _copy(path, self.folder / f"{name}.pdparams")

    @contextmanager
    def _writing(self, path=None):
        try:
            yield
        except OSError as error:
            raise UserError(
                f"cannot write {path or f'to {self.folder}'}: {error.strerror}; free some space or choose "
                "another --save_dir"
            ) from None

    def _move_aside(self):
        self._remove_temporary()
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}.{number}")).exists():
            number += 1
        self.folder.rename(aside)
        print(f"an earlier run lay in {self.folder}; it is now {aside}")


def summary(run):
    """(lines, plain values) that close a run: last and best side by side, and where they are."""
    lines, values = [], {"last": None, "best": None}
    for name, title in (("last", "last"), ("best", "best on the evaluation split")):
        saved = getattr(run, name)
        if saved:
            path = run.folder / f"{name}.pdparams"
            mAP = "" if saved.mAP is None else f", mAP {saved.mAP:.6f}"
            weights = ", averaged weights" if saved.averaged else ""
            lines.append(f"{title}: epoch {saved.epoch}{weights}{mAP}, {path}")
            values[name] = {**saved._asdict(), "path": str(path)}
    return lines, {"summary": values}


def _lock(folder):
    """An open file beside the folder that no second process gets; the system frees it when this one ends."""
    if fcntl is None:
        return None
    file = open(folder.with_name(f".{folder.name}.lock"), "w")  # noqa: SIM115 (open as long as the run)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise UserError(
            f"another training is running in {folder}; wait for it, or choose another --save_dir"
        ) from None
    return file


def moment_of(path):
    """(epoch, steps of it) of an epoch_N or epoch_N_iter_I file, None of others; infinite steps are all."""
    found = re.fullmatch(r"epoch_(\d+)(?:_iter_(\d+))?\..*", path.name)
    return found and (int(found[1]), int(found[2] or 0) or math.inf)


def _stays(line, epoch):
    """Whether a line of the log, bytes, is whole and of the run up to `epoch`."""
    try:
        content = json.loads(line)
        return line.endswith(b"\n") and content.get("epoch", 0) <= epoch and "summary" not in content
    except (ValueError, AttributeError):  # a full disk or a power cut has left half a line
        return False


def _copy(source, target):
    """`target` becomes the same file as `source`, without taking disk space where links are possible."""
    with atomic_path(target) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
