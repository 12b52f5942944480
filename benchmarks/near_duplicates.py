"""How far the perceptual hash of a photo moves when it is changed, and how close different photos come.

python benchmarks/near_duplicates.py PHOTOS [--every 10]    (a minute)

PHOTOS is a folder of different JPEG files. Distances are numbers of bits, of 256: of every tenth photo to
changed ones of itself, and of all pairs of different photos.
"""

import argparse
import io
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import markdown  # noqa: E402
from utils.prepare.duplicates import CLOSE, SIDE, fingerprint, near_rows  # noqa: E402
from utils.prepare.photo_facts import facts_of  # noqa: E402

FAR = 100  # bits; pairs up to here are counted


def encoded(photo, quality):
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return Image.open(file)


def small(photo):
    image = encoded(photo, 95)
    image.draft("L", (SIDE, SIDE))
    return image


def border(photo, share):
    """Without that share of its width and height, half of it at either side."""
    x, y = round(photo.width * share / 2), round(photo.height * share / 2)
    return photo.crop((x, y, photo.width - x, photo.height - y))


CHANGES = {
    "decoded small, as check_dataset.py does": small,
    "JPEG quality 40": lambda photo: encoded(photo, 40),
    "half the size": lambda photo: photo.resize((photo.width // 2, photo.height // 2)),
    "twice the size": lambda photo: photo.resize((photo.width * 2, photo.height * 2)),
    "20 % brighter": lambda photo: ImageEnhance.Brightness(photo).enhance(1.2),
    "4 pixels cut off each side": lambda photo: photo.crop((4, 4, photo.width - 4, photo.height - 4)),
    "a tenth cut off": lambda photo: border(photo, 0.1),
    "mirrored": lambda photo: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--every", type=int, default=10)
    args = parser.parse_args()
    paths = sorted(args.photos.glob("*.jpg"))
    moved = {name: [] for name in CHANGES}
    for path in paths[:: args.every]:
        photo = Image.open(path).convert("RGB")
        bits = fingerprint(photo)
        for name, change in CHANGES.items():
            moved[name].append(np.count_nonzero(bits != fingerprint(change(photo))))
    rows = [(name, *np.percentile(bits, [50, 99, 100]).astype(int)) for name, bits in moved.items()]
    print(f"{len(paths[:: args.every])} photos changed, bits of 256 that differ (near: up to {CLOSE})\n")
    print(markdown(["change", "median", "99 %", "most"], rows))
    prints = [facts_of(path).fingerprint for path in paths]
    distances = Counter(
        int(np.count_nonzero(prints[i] != prints[j])) for i, near in near_rows(prints, FAR) for j in near
    )
    print(
        f"{len(paths) * (len(paths) - 1) // 2} pairs of {len(paths)} different photos, by bits that differ:"
    )
    print(", ".join(f"{bits}: {count}" for bits, count in sorted(distances.items())[:8]))


if __name__ == "__main__":
    main()
