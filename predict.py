"""Name what is in photos.

With the weights that ship with the project (the 20 VOC classes):  python predict.py --img_dir PHOTOS
With one's own:  python predict.py --load_from checkpoint/resnet101/best.pdparams --img_dir utils/demo_images
Where each class is seen:  python predict.py --img_dir utils/demo_images --heatmap maps
"""

import os
import sys
from pathlib import Path

import numpy as np

from utils.checkpoint import SHIPPED, load_checkpoint
from utils.device import choose_device
from utils.errors import UserError, run_script
from utils.evaluation.calibration import calibrate
from utils.heatmap_files import HeatmapFolder
from utils.heatmaps import score_maps
from utils.options import OPTIONS, make_parser
from utils.photos import check_output_folder, find_photos, output_names
from utils.predictions import labels_of, score_photos, write_predictions
from utils.scoring import score_batch
from utils.thresholds import choose_thresholds


def parse_args(argv=None):
    parser = make_parser(
        __doc__,
        from_checkpoint=True,
        changes={
            "load_from": dict(
                required=False, help=f"{OPTIONS['load_from']['help']} (default: {SHIPPED.name})"
            )
        },
        model="load_from model num_heads lam",
        data="img_dir dataset num_cls img_size batch_size num_workers",
        run="threshold thresholds out heatmap heatmap_classes device",
    )
    return parser.parse_args(argv)


def main(args):
    photos = find_photos(args.img_dir)
    if args.heatmap:
        check_output_folder(args.heatmap, photos, "--heatmap")
    choose_device(args.device)
    load_from = args.load_from or os.path.relpath(SHIPPED)
    model, description = load_checkpoint(
        load_from, args.model, args.num_heads, args.lam, args.num_cls, args.img_size, args.dataset
    )
    classes = description["classes"]
    threshold, temperature = choose_thresholds(args.threshold, args.thresholds, description, classes)
    heatmaps = HeatmapFolder(args.heatmap, classes, args.heatmap_classes) if args.heatmap else None
    names = output_names(photos) if heatmaps else {}
    print(f"Loading weights from {load_from}")
    if not args.load_from:
        print(
            "no --load_from: these weights ship with the project; README.md beside them says what they know"
        )
    predictions = []
    score = score_maps if heatmaps else score_batch
    for path, row in predict(model, description, photos, args.batch_size, args.num_workers, score):
        if isinstance(row, UserError):
            print(f"error: {row}", file=sys.stderr)
            continue
        scores = calibrate(row.scores if heatmaps else row, temperature)  # (C,)
        labels = labels_of(scores, classes, threshold)
        print(f"{path} prediction: {''.join(label + ',' for label in labels)}")
        predictions.append((path, labels, scores.tolist()))
        if heatmaps:
            heatmaps.add(path, names[path], row, scores, scores >= np.asarray(threshold))
    if heatmaps:
        heatmaps.close()
        print(f"wrote heat maps to {args.heatmap}")
    if args.out:
        write_predictions(Path(args.out), predictions, classes)
    return 0 if len(predictions) == len(photos) else 1


def predict(model, description, photos, batch_size=16, num_workers=0, score=score_batch):
    """Yield (path, row) for each photo: its scores (C,), or its Maps with `score` utils.heatmaps.score_maps.

    See utils.predictions.score_photos.
    """
    return score_photos(
        lambda batch: score(model, batch, description["normalization"]),
        photos,
        description["img_size"],
        batch_size,
        num_workers,
    )


if __name__ == "__main__":
    run_script(main, parse_args)
