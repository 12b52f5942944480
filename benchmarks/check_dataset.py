"""How long check_dataset.py takes for 5,000 photos of 500 x 375.

python benchmarks/check_dataset.py PHOTOS [--count 5000] [--workers 2] [--rounds 3]    (some minutes)

PHOTOS is a folder of JPEG files. Made of them, in a temporary folder: squashed to 500 x 375, each time
with other noise so that no two files are the same, JPEG quality 90, as VOC's photos are. Every round
starts the script anew, pinned to as many cores as workers; the files are in the page cache.
What is printed: seconds of each round, the load of the machine, and what the script said.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SIZE = (500, 375)
NOISE = 4  # standard deviation, of 255
CLASSES = 20


def make_photos(sources, count, folder):
    """Write `count` photos and the label files; the same ones every time, given the same sources."""
    records = []
    for number in range(count):
        rng = np.random.default_rng(number)
        with Image.open(sources[number % len(sources)]) as image:
            pixels = np.asarray(image.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC), np.float32)
        noisy = pixels + rng.normal(0, NOISE, pixels.shape)
        path = folder / f"{number:06}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        records.append({"img_path": str(path), "target": rng.integers(0, 2, CLASSES).tolist()})
    half = count // 2
    about = {"classes": [f"class {c}" for c in range(CLASSES)], "train": "train.json", "test": "test.json"}
    for name, content in (("classes", about), ("train", records[:half]), ("test", records[half:])):
        (folder / f"{name}.json").write_text(json.dumps(content))


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    sources = sorted(args.photos.glob("*.jpg"))
    cores = sorted(os.sched_getaffinity(0))[: args.workers]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_photos(sources, args.count, folder)
        size = np.mean([path.stat().st_size for path in folder.glob("*.jpg")])
        print(f"{args.count} photos of {size / 1000:.0f} kB on average, of {len(sources)} sources")
        os.sched_setaffinity(0, cores)  # the script inherits it
        script = [sys.executable, str(ROOT / "utils/prepare/check_dataset.py"), str(folder)]
        seconds = []
        for _ in range(args.rounds):
            load = os.getloadavg()[0]
            begin = time.perf_counter()
            run = subprocess.run(
                [*script, "--num_workers", str(args.workers)], capture_output=True, text=True
            )
            seconds.append(time.perf_counter() - begin)
            assert run.returncode in (0, 1), run.stderr
            print(f"{seconds[-1]:.1f} s on {len(cores)} cores (load before: {load:.1f})")
    print(run.stdout.splitlines()[-1])
    versions = f"Python {sys.version.split()[0]}, Pillow {PIL.__version__}"
    print(f"best of {args.rounds}: {min(seconds):.1f} s; {versions}")
    print(json.dumps({"seconds": seconds, "workers": args.workers, "photos": args.count}))


if __name__ == "__main__":
    main()
