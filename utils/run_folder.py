"""The folder of one training run: log.jsonl, epoch_N.pdparams, last.pdparams, best.pdparams.

epoch_N.pdopt, of the newest two epochs, is what utils/resume.py needs besides.
"""

import json
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

from utils.checkpoint import save_checkpoint
from utils.errors import UserError
from utils.files import atomic_path, write_text
from utils.weights import STATE

try:
    import fcntl
except ImportError:  # Windows has no such lock
    fcntl = None

STATES = 2  # how many .pdopt are kept


class RunFolder:
    """Opens SAVE_DIR/MODEL for a new run; a run that lies there already is moved to MODEL.1, .2, ...

    With `resume` it stays where it is, until go_on() continues it or start_anew() does not.
    Raises UserError while another process trains there, or when it cannot be written.
    """

    def __init__(self, folder, keep=None, resume=False):
        self.folder = Path(folder)
        self.keep = keep
        self.best = None  # (epoch, mAP)
        self.last = None
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self.folder)
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
        with self._writing(), open(self.folder / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def go_on(self, last, best):
        """Continue after the epoch of `last`, (epoch, mAP), as if no later one had begun.

        Its line becomes the log's last; `last` and `best`, (epoch, mAP) so far or None,
        become its files again, whatever a kill or later epochs made of them.
        """
        self.last, self.best = tuple(last), best and tuple(best)
        epoch = last[0]
        with self._writing():
            log = (self.folder / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
            lines = [
                line for line in log if line.endswith("\n") and json.loads(line).get("epoch", 0) <= epoch
            ]
            write_text(self.folder / "log.jsonl", "".join(lines))
            for leftover in self.folder.glob(".*.tmp"):  # of a process that was killed
                leftover.unlink()
            for state in self.folder.glob(f"epoch_*{STATE}"):
                if epoch_of(state) > epoch:
                    state.unlink()
        _copy(self._path(epoch), self.folder / "last.pdparams")
        if best and self._path(best[0]).exists():  # else --keep has removed it, and best.pdparams stands
            _copy(self._path(best[0]), self.folder / "best.pdparams")

    def save(self, epoch, model, description, mAP=None, save_state=None):
        """Write epoch_N.pdparams; make it `last`, and `best` when its mAP is the highest so far.

        save_state(path, about) writes what resuming needs, before the checkpoint: a
        checkpoint that is there can be continued.
        """
        path = self._path(epoch)
        is_best = mAP is not None and (self.best is None or mAP > self.best[1])
        self.last = (epoch, mAP)
        self.best = self.last if is_best else self.best
        if save_state:
            save_state(path.with_suffix(STATE), {"last": self.last, "best": self.best})
            self._path(epoch - STATES).with_suffix(STATE).unlink(missing_ok=True)
        save_checkpoint(path, model, description)
        _copy(path, self.folder / "last.pdparams")
        if is_best:
            _copy(path, self.folder / "best.pdparams")
        if self.keep and epoch > self.keep:
            self._path(epoch - self.keep).unlink(missing_ok=True)

    @contextmanager
    def _writing(self):
        try:
            yield
        except OSError as error:
            raise UserError(
                f"cannot write to {self.folder}: {error.strerror}; choose another --save_dir"
            ) from None

    def _path(self, epoch):
        return self.folder / f"epoch_{epoch}.pdparams"

    def _move_aside(self):
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}.{number}")).exists():
            number += 1
        self.folder.rename(aside)
        print(f"an earlier run lay in {self.folder}; it is now {aside}")


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


def epoch_of(path):
    """N of an epoch_N file."""
    return int(re.search(r"\d+", path.stem)[0])


def _copy(source, target):
    """`target` becomes the same file as `source`, without taking disk space where links are possible."""
    with atomic_path(target) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
