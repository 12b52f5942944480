"""docs/own_data.md followed to the letter on 400 real photos with made-up classes, from photos to report.

python benchmarks/own_data.py VOCDEVKIT OUT                       (some 10 minutes on two cores)
python benchmarks/own_data.py VOCDEVKIT OUT --write docs/results    (own_data.md, from what is there)

OUT becomes a folder in which the document's commands run: the scripts of the repository, my_photos with
labels.csv, and what the commands write. Classes are made up from VOC 2012's boxes, some labels unknown.
"""

import argparse
import csv
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import markdown, used_versions  # noqa: E402
from datasets.transforms import photo_size  # noqa: E402
from utils.prepare.voc_xml import read_objects  # noqa: E402

DOCUMENT = ROOT / "docs/own_data.md"
PHOTOS, LEAST, FORGOTTEN = 400, 60, 0.05  # photos in all, with each class; share of labels made unknown
KINDS = {  # a class is there when one of these objects is
    "has_wheels": {"bicycle", "bus", "car", "motorbike"},
    "farm_animal": {"cow", "horse", "sheep"},
    "pet": {"cat", "dog"},
    "furniture": {"chair", "diningtable", "sofa"},
    "people": {"person"},
}
ANIMALS = KINDS["farm_animal"] | KINDS["pet"] | {"bird"}
CLASSES = [*KINDS, "several_animals", "close_up"]
CLOSE = 0.5  # share of the photo that the box of its largest object covers


def labels_of(objects, size):
    """[1, 0 or "" a class] of a photo's Objects; "" (unknown) where difficult objects alone speak for it."""
    sure, all_names = {o.name for o in objects if not o.difficult}, {o.name for o in objects}
    values = [1 if sure & kind else "" if all_names & kind else 0 for kind in KINDS.values()]
    animals = [o for o in objects if o.name in ANIMALS]
    unsure = [o for o in animals if o.difficult]
    several = 1 if len(animals) - len(unsure) > 1 else "" if len(animals) > 1 else 0
    largest = max((o.box[2] * o.box[3] for o in objects if o.box), default=0) / (size[0] * size[1])
    return [*values, several, int(largest > CLOSE)]


def choose(labels):
    """PHOTOS rows of labels: LEAST of each class, drawn by chance as far as there are, then any others."""
    order, chosen = np.random.default_rng(0).permutation(len(labels)), []
    for column in range(len(CLASSES)):
        missing = LEAST - sum(labels[row][column] == 1 for row in chosen)
        rest = [row for row in order if row not in chosen and labels[row][column] == 1]
        chosen += rest[: max(missing, 0)]
    return sorted([*chosen, *(row for row in order if row not in chosen)][:PHOTOS])


def make_photos(voc, folder):
    """Write labels.csv and photos/ to `folder`."""
    stems = sorted(path.stem for path in (voc / "Annotations").glob("*.xml"))
    photos = [voc / "JPEGImages" / f"{stem}.jpg" for stem in stems]
    labels = [
        labels_of(read_objects(voc / "Annotations" / f"{stem}.xml"), photo_size(photo))
        for stem, photo in zip(stems, photos, strict=True)
    ]
    rng = np.random.default_rng(1)
    (folder / "photos").mkdir(parents=True)
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *CLASSES])
        for row in choose(labels):
            shutil.copy(photos[row], folder / "photos")
            known = ["" if rng.random() < FORGOTTEN else value for value in labels[row]]
            writer.writerow([f"photos/{photos[row].name}", *known])


def commands():
    """The commands of the document in its order, one a string; the installation is left out."""
    blocks = re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if not line.startswith("pip ")]


def lay_out(folder):
    """Put the scripts of the repository and the shipped weights into `folder`, where the commands run."""
    (folder / "data").mkdir(parents=True)
    (folder / "data/weights").symlink_to(ROOT / "data/weights")
    for name in ("train.py", "val.py", "predict.py", "export_model.py", "infer.py", "utils"):
        (folder / name).symlink_to(ROOT / name)


def follow(folder):
    """Run the document's commands in `folder`; [(command, seconds, what it printed)]."""
    done = []
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    for command in commands():
        begin = time.perf_counter()
        run = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        done.append((command, round(time.perf_counter() - begin, 1), run.stdout))
        assert run.returncode == 0, f"{command}\n{run.stdout}"
    return done


def page(done, out):
    """The text of docs/results/own_data.md."""
    metrics = json.loads((out / "output/report/metrics.json").read_text())
    about = json.loads((out / "data/mine/classes.json").read_text())
    targets = {
        split: np.array([r["target"] for r in json.loads((out / "data/mine" / about[split]).read_text())])
        for split in ("train", "test")
    }
    counts = {split: (values == 1).sum(axis=0) for split, values in targets.items()}
    unknown = sum((values == 99).sum(axis=0) for values in targets.values())
    rows = [
        [name, counts["train"][c], counts["test"][c], unknown[c], f"{100 * metrics['ap'][name]:.1f}"]
        for c, name in enumerate(about["classes"])
    ]
    seconds = [[f"`{' '.join(command.split()[:2])}`", f"{taken:.0f}"] for command, taken, _ in done]
    return PAGE.format(
        today=date.today(), machine=platform.machine(), used=used_versions(),
        train=len(targets["train"]), test=len(targets["test"]),
        classes=markdown(["class", "positives in train", "in test", "unknown", "AP"], rows),
        mAP=f"{100 * metrics['mAP']:.1f}", OF1=f"{100 * metrics['OF1']:.1f}",
        CF1=f"{100 * metrics['CF1']:.1f}",
        seconds=markdown(["command", "seconds"], seconds),
        total=sum(taken for _, taken, _ in done) / 60,
    )  # fmt: skip


PAGE = """# Photos of one's own, followed to the letter

`python benchmarks/own_data.py VOCDEVKIT OUT`, {today}, two {machine} cores on which others computed
meanwhile, no GPU; {used}. It runs the commands of [docs/own_data.md](../own_data.md) as they stand there
on 400 photos of VOC 2012 (shrunk and skewed to animals: **no VOC results**) with a `labels.csv` of
made-up classes: `has_wheels` where a bicycle, bus, car or motorbike is, `several_animals` where two are,
`close_up` where the largest object's box covers more than half of the photo, and so on. Where difficult
objects alone speak for a class it is unknown; so is every 20th other label, drawn by chance. At least 60
photos of each class before the forgetting, the rest as they come. n = 1 split and training, seed 0:
{train} photos to train on, {test} to evaluate on, so an AP of one class is uncertain by ten points and
more.

The trunk is that of the shipped weights, frozen, which is ImageNet's: it never saw a label of these
photos, and the heads that did are left out. The settings are those of the shipped weights, which were
chosen on photos of the same source, though for other classes; that makes the figures a little
optimistic. AP in percent, after the last epoch:

{classes}
mAP **{mAP}**, CF1 {CF1}, OF1 {OF1} at the usual threshold.

Wall-clock time, start of Python included; {total:.1f} minutes in all:

{seconds}"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("devkit", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the page from what is there")
    args = parser.parse_args()
    log = args.out / "done.json"
    if args.write:
        (args.write / "own_data.md").write_text(page(json.loads(log.read_text()), args.out), encoding="utf-8")
        return
    lay_out(args.out)
    make_photos(args.devkit / "VOC2012", args.out / "my_photos")
    done = follow(args.out)
    log.write_text(json.dumps(done))
    print("\n".join(f"$ {command}\n{said}({seconds} s)" for command, seconds, said in done))


if __name__ == "__main__":
    main()
