"""Name what is in photos.

With the weights that ship with the project (the 20 VOC classes):  python predict.py --img_dir PHOTOS
With one's own:  python predict.py --load_from checkpoint/resnet101/best.pdparams --img_dir utils/demo_images
For other programs, or to look at:  python predict.py --img_dir PHOTOS --format jsonl --annotated named
Where each class is seen:  python predict.py --img_dir utils/demo_images --heatmap maps
From Python:  load_checkpoint and predict_images
"""

import os
from contextlib import ExitStack

from utils.annotate import annotator
from utils.checkpoint import SHIPPED, load_checkpoint
from utils.device import choose_device
from utils.errors import UserError, print_error, run_script
from utils.heatmap_files import heatmap_writer
from utils.heatmaps import score_maps
from utils.options import OPTIONS, make_parser
from utils.photos import check_output_folders, each_photo, find_photos, output_names
from utils.predictions import predict_photos
from utils.rows import about_rows, row_table, rows, standard_output
from utils.scoring import score_batch
from utils.thresholds import choose_thresholds

TEXT = "{path} prediction: {labels}\n"


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
        run="threshold thresholds topk format out annotated heatmap heatmap_classes device",
    )
    return parser.parse_args(argv)


def main(args):
    with standard_output(args.format) as stdout, ExitStack() as outputs:
        if args.heatmap_classes and not args.heatmap:
            raise UserError("--heatmap_classes needs --heatmap, the folder for heat maps")
        photos = find_photos(args.img_dir)
        check_output_folders({"--heatmap": args.heatmap, "--annotated": args.annotated}, photos)
        choose_device(args.device)
        load_from = args.load_from or os.path.relpath(SHIPPED)
        model, description = load_checkpoint(
            load_from, args.model, args.num_heads, args.lam, args.num_cls, args.img_size, args.dataset
        )
        classes = description["classes"]
        threshold, description["temperature"] = choose_thresholds(
            args.threshold, args.thresholds, description, classes, args.topk
        )
        names = output_names(photos) if args.heatmap or args.annotated else {}
        about = about_rows(description, threshold, load_from)
        writers = []
        if args.heatmap:
            writers.append(heatmap_writer(args.heatmap, names, classes, args.heatmap_classes))
        if args.annotated:
            writers.append(annotator(args.annotated, names, classes))
        if args.out:
            writers.append(row_table(args.out, classes, about))
        writers.append(rows(stdout, args.format, classes, about, TEXT))
        writers = [outputs.enter_context(writer) for writer in writers]
        print(f"Loading weights from {load_from}")
        if not args.load_from:
            print(
                "no --load_from: these weights ship with the project; "
                "README.md beside them says what they know"
            )
        done, maps = 0, bool(args.heatmap)
        for photo in predict_images(
            model, description, photos, threshold, args.topk, args.batch_size, args.num_workers, maps
        ):
            for write in writers:
                write(photo)
            done += 1
    return 0 if done == len(photos) else 1


def predict_images(
    model,
    description,
    images,
    threshold=None,
    topk=None,
    batch_size=16,
    num_workers=0,
    maps=False,
    on_error=print_error,
):
    """Yield a utils.predictions.Prediction (path, labels, scores, ...) for each photo, in order.

    model, description: from load_checkpoint. images: paths of photos and of folders, and Pillow images,
    in any mix, or one of them. threshold: a number or one a class; the description's unless it or topk
    is given. topk: see utils.predictions.labels_of. maps: also give its score maps. on_error: called
    with the UserError of a photo that cannot be read, which is left out.
    """
    if threshold is None and topk is None:
        threshold, _ = choose_thresholds(None, None, description, description["classes"])
    score = score_maps if maps else score_batch
    return predict_photos(
        lambda batch: score(model, batch, description["normalization"]),
        each_photo(images),
        description,
        threshold,
        topk,
        batch_size,
        num_workers,
        on_error=on_error,
    )


if __name__ == "__main__":
    run_script(main, parse_args)
