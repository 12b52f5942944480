"""The folder of one training run: log.jsonl, epoch_N.pdparams, last.pdparams, best.pdparams."""

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from utils.checkpoint import save_checkpoint
from utils.errors import UserError
from utils.files import atomic_path


class RunFolder:
    """Opens SAVE_DIR/MODEL for a new run; a run that lies there already is moved to MODEL.1, .2, ..."""

    def __init__(self, folder, keep=None):
        self.folder = Path(folder)
        self.keep = keep
        self.best = None  # (epoch, mAP)
        self.last = None
        with self._writing():
            if (self.folder / "log.jsonl").exists():
                self._move_aside()
            self.folder.mkdir(parents=True, exist_ok=True)

    def log(self, line):
        """Append a dict to log.jsonl as one line, at once on disk."""
        with self._writing(), open(self.folder / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def save(self, epoch, model, description, mAP=None):
        """Write epoch_N.pdparams; make it `last`, and `best` when its mAP is the highest so far."""
        path = self._path(epoch)
        save_checkpoint(path, model, description)
        self.last = (epoch, mAP)
        _copy(path, self.folder / "last.pdparams")
        if mAP is not None and (self.best is None or mAP > self.best[1]):
            self.best = (epoch, mAP)
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


def _copy(source, target):
    """`target` becomes the same file as `source`, without taking disk space where links are possible."""
    with atomic_path(target) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
