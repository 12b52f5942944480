"""Time and memory of utils/prepare/prepare_coco.py on annotation files as large as those of COCO 2014.

python benchmarks/prepare_coco.py FOLDER [ROUNDS]     (0.7 GB in FOLDER, removed at the end)

Annotations of the official form and counts are drawn, with outlines that make the files as large; photos are
empty files, since the script asks only whether they are there. Three things are measured, each in a process
of its own: pycocotools reading the train split, as the original does; the script; and the reading of both
label files that a training begins with. Prints a table (median and range over ROUNDS, 3) and the sizes.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from datasets.spec import COCO_CLASSES  # noqa: E402

OFFICIAL = {"train": (82783, 604907, 332556225), "val": (40504, 291875, 160682675)}  # photos, boxes, bytes
CORNERS = 27  # of an outline in the mean: this makes the files as large as the official ones
DRAWN = 5000  # outlines; annotations take them in turn
LIMIT = 4.0  # GB
SCRIPT = "utils/prepare/prepare_coco.py, both splits"
FORMS = {  # items of the official files, as text
    "image": '{"license": 5,"file_name": "%s","coco_url": "http://images.example.org/%s2014/%s",'
    '"height": 480,"width": 640,"date_captured": "2013-11-14 16:28:13",'
    '"flickr_url": "http://farm4.example.org/3153/2970773875_164f0c0b83_z.jpg","id": %d}',
    "annotation": '{"segmentation": %s,"area": %.4f,"iscrowd": %d,"image_id": %d,'
    '"bbox": [%.2f,%.2f,%.2f,%.2f],"category_id": %d,"id": %d}',
}
READ = (
    "from datasets.records import read_split; from datasets.spec import load_spec; "
    "spec, folder = load_spec('coco', 'out'); "
    "splits = [read_split(spec, folder, split) for split in ('train', 'test')]"
)


def outlines(rng):
    """DRAWN outlines as JSON, one in a hundred of them a crowd's run lengths; (text, 0 or 1) each."""
    drawn = []
    for corners in np.maximum(3, rng.lognormal(np.log(CORNERS) - 0.32, 0.8, DRAWN)).astype(int):
        if rng.random() < 0.01:
            runs = rng.integers(1, 3000, 20 * corners).tolist()
            drawn.append((json.dumps({"counts": runs, "size": [480, 640]}, separators=(",", ": ")), 1))
        else:
            points = rng.uniform(0, 640, 2 * corners).round(2).tolist()
            drawn.append((json.dumps([points], separators=(",", ": ")), 0))
    return drawn


def write_split(folder, split, rng):
    """Write instances_{split}2014.json and the empty photos; returns the bytes of the former."""
    photos, boxes, _ = OFFICIAL[split]
    ids = rng.choice(581929, photos, replace=False) + 1
    names = [f"COCO_{split}2014_{number:012}.jpg" for number in ids]
    (folder / f"{split}2014").mkdir(parents=True)
    for name in names:
        (folder / f"{split}2014" / name).touch()
    drawn = outlines(rng)
    owners = rng.choice(ids[: round(0.99 * photos)], boxes)  # some 1 % of the photos have no annotation
    sides = rng.uniform((0, 0, 1, 1), (400, 300, 240, 180), (boxes, 4))
    classes = rng.integers(1, len(COCO_CLASSES) + 1, boxes)
    categories = [
        {"id": number, "name": name.replace("_", " ")} for number, name in enumerate(COCO_CLASSES, 1)
    ]
    path = folder / "annotations" / f"instances_{split}2014.json"
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"info": {},"licenses": [],"images": [')
        file.write(",".join(FORMS["image"] % (n, split, n, i) for n, i in zip(names, ids, strict=True)))
        file.write('],"annotations": [')
        for number in range(boxes):
            text, crowd = drawn[number % DRAWN]
            values = (text, sides[number, 2] * sides[number, 3], crowd, owners[number], *sides[number])
            file.write("," * (number > 0) + FORMS["annotation"] % (*values, classes[number], number + 1))
        file.write(f'],"categories": {json.dumps(categories)}}}')
    return path.stat().st_size


def measure(command, folder):
    """Run a command in `folder`; (seconds, its peak memory in GB)."""
    begin = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return time.perf_counter() - begin, usage.ru_maxrss * 1024 / 1e9


def span(values, digits):
    """Median and range as text."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main(folder, rounds=3):
    """Draw the files, measure, print; 1 when the script took more than LIMIT."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        rng, base = np.random.default_rng(0), Path(temporary)
        for split, (photos, boxes, official) in OFFICIAL.items():
            size = write_split(base / "COCO2014", split, rng)
            print(f"{split}: {photos:,} photos, {boxes:,} boxes, {size:,} bytes (official: {official:,})")
        original = "from pycocotools.coco import COCO; COCO('COCO2014/annotations/instances_train2014.json')"
        script = [str(ROOT / "utils/prepare/prepare_coco.py"), "--data_path", "COCO2014", "--out_dir", "out"]
        commands = {
            "pycocotools reads train, as the original does": ["-c", original],
            SCRIPT: script,
            "both label files read again, as train.py does": ["-c", READ],
        }
        found = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                found[name].append(measure([sys.executable, *command], base))
        for path in sorted((base / "out").iterdir()):
            print(f"{path.name}: {path.stat().st_size:,} bytes")
    from benchmarks.common import markdown, used_versions  # late: children's peaks begin with this process's

    rows = []
    for name, values in found.items():
        seconds, gigabytes = zip(*values, strict=True)
        rows.append([name, span(seconds, 1), span(gigabytes, 2)])
    print(used_versions(), markdown(["what", "seconds", "peak memory, GB"], rows), sep="\n\n")
    return int(max(gigabytes for _, gigabytes in found[SCRIPT]) > LIMIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
