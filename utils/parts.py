"""Scores of many photos, written as they come, by one process or by many.

Each process appends to its own FILE.part-RANK-OF; who finishes last merges the parts to FILE.
A part is JSON lines: what it is about, [path, labels, scores, width, height] a photo, and "end".
"""

import heapq
import json
import os
from pathlib import Path

from utils.errors import UserError
from utils.predictions import Prediction
from utils.rows import row_table

FORM = 2  # of parts; 1 had no width and height
END = '"end"\n'


def rank_and_world():
    """(number of this process, number of all) under paddle.distributed.launch; (0, 1) alone."""
    return int(os.environ.get("PADDLE_TRAINER_ID", 0)), int(os.environ.get("PADDLE_TRAINERS_NUM", 1))


def parts_of(out):
    """The parts of the table `out` that are there, sorted."""
    start = f"{Path(out).name}.part-"
    return sorted(path for path in Path(out).parent.glob("*") if path.name.startswith(start))


class Part:
    """This process's part of the table `out` (.json, .jsonl or .csv).

    about: a dict that says which model makes the scores and what labels are; with `resume` it must be
    that of the parts that are there, and `done` holds the paths that they contain.
    Raises UserError when a part of an interrupted run is in the way or cannot be continued.
    """

    def __init__(self, out, about, rank=0, world=1, resume=False):
        self.out, self.world = Path(out), world
        self.path = self._name(rank)
        self.done = set()
        others = {self._name(other) for other in range(world)} - {self.path}  # they look after themselves
        for path in parts_of(self.out):
            if not resume and path not in others:
                raise UserError(f"{path} is of an interrupted run: add --resume, or delete it to start anew")
            if resume:
                self._take(path, about)
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115  (open as long as the run is)
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}; choose another --out") from None
        if not self.path.stat().st_size:
            self._write({"form": FORM, **about})

    def add(self, photo):
        """Append a Prediction."""
        self._write([photo.path, photo.labels, list(photo.scores.values()), photo.width, photo.height])

    def finish(self, classes, about_rows):
        """Say that this part is complete; merge all into `out` when it was the last one.

        classes, about_rows: see utils.rows.
        """
        self.file.write(END)
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if all(_is_complete(self._name(rank)) for rank in range(self.world)) and self._claim():
            parts = parts_of(self.out)
            with row_table(self.out, classes, about_rows) as write:
                for path, labels, scores, *size in heapq.merge(*map(_rows, parts), key=lambda row: row[0]):
                    write(Prediction(path, labels, dict(zip(classes, scores, strict=True)), *size))
            for path in parts:
                path.unlink()

    def _name(self, rank):
        return self.out.with_name(f"{self.out.name}.part-{rank}-{self.world}")

    def _claim(self):
        """Whether it is this process that merges: of two that finish at once, one can rename part 0."""
        first = self._name(0)
        try:
            first.rename(f"{first}.{os.getpid()}")
        except FileNotFoundError:
            return False
        return True

    def _take(self, path, about):
        first = next(_lines(path), None)
        if first is not None and (not isinstance(first, dict) or first.get("form") != FORM):
            raise UserError(f"{path} is of another version of this code; delete it to start anew")
        if first is not None and first != json.loads(json.dumps({"form": FORM, **about})):
            raise UserError(f"{path} was made by another model or threshold; delete it to start anew")
        self.done.update(row[0] for row in _rows(path))
        if path == self.path:
            _reopen(path)

    def _write(self, value):
        try:
            self.file.write(json.dumps(value) + "\n")
            self.file.flush()
        except OSError as error:
            raise UserError(
                f"cannot write {self.path}: {error.strerror}; make room, then go on with --resume"
            ) from None


def _lines(path):
    """The lines of a part, parsed; a last line that was torn, or is being written, is left out."""
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    yield json.loads(line)
    except (ValueError, RecursionError):
        raise UserError(f"{path} is damaged; delete it to start anew") from None


def _rows(path):
    for line in _lines(path):
        if isinstance(line, list):
            if [type(value) for value in line] != [str, list, list, int, int]:
                raise UserError(f"{path} is damaged; delete it to start anew")
            yield line


def _is_complete(path):
    try:
        with open(path, "rb") as file:
            file.seek(-len(END), os.SEEK_END)
            return file.read() == END.encode()
    except OSError:  # not begun, or shorter than that
        return False


def _reopen(path):
    """Drop what does not belong in the middle: half a line of a process that was killed, or the end."""
    with open(path, "rb+") as file:
        kept = 0
        for line in file:
            kept += len(line) if line.endswith(b"\n") and line != END.encode() else 0
        file.truncate(kept)
