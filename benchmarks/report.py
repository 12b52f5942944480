"""The report of the shipped weights' twin beside the same training without attention, without photos.

python benchmarks/report.py OUT

OUT is that of recipes/shipped_weights.sh, and holds in twin0/ a training that differs from the twin in
--lam 0 alone. Writes docs/results/report: photos are named, not shown, since they stay out of the repository;
`val.py --report DIR --compare METRICS` shows them.
"""

import platform
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import used_versions  # noqa: E402
from benchmarks.object_size import voc_objects  # noqa: E402
from benchmarks.shipped import score_twin  # noqa: E402
from utils.checkpoint import read_checkpoint  # noqa: E402
from utils.evaluation.about import about_run  # noqa: E402
from utils.evaluation.compare import Other  # noqa: E402
from utils.evaluation.metrics import THRESHOLD  # noqa: E402
from utils.evaluation.page import Evaluation, write_report  # noqa: E402
from utils.scoring import split_figures  # noqa: E402

CHECKPOINTS = ("twin/efficientnet_lite2/last.pdparams", "twin0/efficientnet_lite2/last.pdparams")
DATA = {
    "dataset": "voc07",
    "data_dir": "OUT/labels_twin (VOC 2012, shrunk and skewed to animals)",
    "split": "test",
}


def main():
    out, found = Path(sys.argv[1]), []
    for checkpoint in CHECKPOINTS:
        spec, _, test, scores = score_twin(out, checkpoint)
        figures = split_figures(scores, test.labels, spec, THRESHOLD)
        options = {"load_from": f"OUT/{checkpoint}", **DATA}
        _, description = read_checkpoint(out / checkpoint)
        found.append((scores, figures, {**figures, "checkpoint": description, "options": options}))
    (scores, figures, metrics), (other_scores, _, other_metrics) = found
    objects, sizes = voc_objects(test.paths, spec.classes)
    command = f"python benchmarks/report.py OUT, {date.today()}, {platform.machine()}, {used_versions()}"
    about = about_run(metrics) | {
        "made by": command,
        "no VOC result": "real photos of VOC 2012, but shrunk and skewed to animals",
    }
    names = [Path(path).name for path in test.paths]
    run = Evaluation(scores, test.labels, list(spec.classes), figures, about, names, objects, sizes)
    other = Other(f"OUT/{Path(CHECKPOINTS[1]).parent}", other_scores, other_metrics)
    write_report(ROOT / "docs/results/report", run, other=other)


if __name__ == "__main__":
    main()
