"""Name what is in photos.

python predict.py --load_from checkpoint/resnet101/best.pdparams --img_dir utils/demo_images
"""

import csv
import io
import sys
from pathlib import Path

import numpy as np

from datasets.loader import ordered_map
from datasets.transforms import read_photo, transform
from utils.checkpoint import load_checkpoint
from utils.device import choose_device
from utils.errors import UserError, run_script
from utils.files import write_json, write_text
from utils.options import make_parser
from utils.photos import find_photos
from utils.scoring import score_batch


def parse_args(argv=None):
    parser = make_parser(
        __doc__,
        from_checkpoint=True,
        model="load_from model num_heads lam",
        data="img_dir dataset num_cls img_size batch_size num_workers",
        run="threshold device",
    )
    parser.add_argument("--out", metavar="FILE", help="also write all scores to FILE.json or FILE.csv")
    return parser.parse_args(argv)


def main(args):
    if args.out and Path(args.out).suffix not in (".json", ".csv"):
        raise UserError(f"--out {args.out} must end in .json or .csv")
    photos = find_photos(args.img_dir)
    choose_device(args.device)
    model, description = load_checkpoint(
        args.load_from, args.model, args.num_heads, args.lam, args.num_cls, args.img_size, args.dataset
    )
    print(f"Loading weights from {args.load_from}")
    predictions = []
    for path, scores in predict(model, description, photos, args.batch_size, args.num_workers):
        if isinstance(scores, UserError):
            print(f"error: {scores}", file=sys.stderr)
            continue
        labels = [
            name
            for name, score in zip(description["classes"], scores, strict=True)
            if score >= args.threshold
        ]
        print(f"{path} prediction: {''.join(label + ',' for label in labels)}")
        predictions.append((path, labels, scores))
    if args.out:
        write_predictions(Path(args.out), predictions, description["classes"])
    return 0 if len(predictions) == len(photos) else 1


def predict(model, description, photos, batch_size=16, num_workers=0):
    """Yield (path, scores) for each photo, in order.

    scores: (C,) float32 in 0..1, or the UserError of a photo that cannot be read.
    """
    pixels = ordered_map(
        lambda path: _read(path, description["img_size"]), photos, num_workers, 2 * batch_size
    )
    for start in range(0, len(photos), batch_size):
        paths = photos[start : start + batch_size]
        read = [next(pixels) for _ in paths]
        good = [photo for photo in read if not isinstance(photo, UserError)]
        scores = iter(score_batch(model, np.stack(good), description["normalization"]) if good else ())
        for path, photo in zip(paths, read, strict=True):
            yield path, photo if isinstance(photo, UserError) else next(scores)


def _read(path, size):
    try:
        return transform(read_photo(path), size)
    except UserError as error:  # reported in its place; the other photos go on
        return error


def write_predictions(path, predictions, classes):
    """All scores as JSON (a list of path, labels, scores by name) or CSV (path, labels, a column a class)."""
    if path.suffix == ".json":
        write_json(
            path,
            [
                {"path": name, "labels": labels, "scores": dict(zip(classes, scores.tolist(), strict=True))}
                for name, labels, scores in predictions
            ],
            indent=1,
        )
    else:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["path", "labels", *classes])
        rows.writerows([name, ";".join(labels), *scores.tolist()] for name, labels, scores in predictions)
        write_text(path, text.getvalue())
    print(f"wrote {path}")


if __name__ == "__main__":
    run_script(main, parse_args)
