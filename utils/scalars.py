"""Figures of a training run for VisualDL, Paddle's board: `visualdl --logdir DIR` shows them as curves."""

import os

from utils.errors import UserError
from utils.evaluation.report import SIX
from utils.optional import optional

GROUPS = {"metrics": "test", "metrics_averaged": "test_averaged"}  # of a log's line: group of curves


class Scalars:
    """Writes the epochs of a run to `folder`. UserError without visualdl, or where it cannot write.

    Of several runs in one folder VisualDL shows the newest alone: a run that goes on
    begins with write(line) for each epoch that its log holds already.
    """

    def __init__(self, folder):
        try:
            self.writer = optional("visualdl").LogWriter(logdir=str(folder))
            self.writer.flush()
            os.stat(self.writer.file_name)  # where VisualDL 2.5 cannot write, it says so and goes on
        except OSError as error:
            raise UserError(
                f"cannot write {error.filename}: {error.strerror}; choose another --log_dir"
            ) from None

    def write(self, line):
        """Write an epoch's line of the run's log, a dict: its numbers and the means among its metrics."""
        figures = {f"train/{name}": value for name, value in line.items() if name != "epoch"}
        for key, group in GROUPS.items():
            metrics = line.get(key) or {}
            figures.update({f"{group}/{name}": metrics.get(name) for name in ("mAP", *SIX)})
        for tag, value in figures.items():
            if type(value) in (int, float):
                self.writer.add_scalar(tag=tag, value=value, step=line["epoch"])
        self.writer.flush()
