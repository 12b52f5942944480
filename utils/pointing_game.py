"""The pointing game over a split: each class that is in a photo, its score map, its boxes."""

import numpy as np
from tqdm import tqdm

from datasets.transforms import photo_size
from utils.errors import UserError
from utils.evaluation.pointing import play, pointing_figures
from utils.heatmaps import score_maps, temperature_name


def play_pointing_game(model, loader, normalization, classes):
    """Figures of utils.evaluation.pointing.pointing_figures, over all positive labels with boxes.

    The maps: "sum" (of the heads' score maps; its attention is their mean), then each head's, named
    by its temperature. UserError when no record of the loader has objects.
    """
    pairs = pairs_of_split(model, loader, normalization)
    heads = getattr(model, "classifier", model).multi_head
    return pointing_figures(pairs, classes, ["sum", *(temperature_name(head.T) for head in heads)])


def pairs_of_split(model, loader, normalization):
    """A list of Pairs, one for each positive label with boxes, by photo; map 0 is the sum, map i head i."""
    records = loader.records
    boxes = boxes_of(records)
    model.eval()
    pairs = []
    for batch in tqdm(loader.epoch(), total=len(loader), desc="pointing", leave=False, disable=None):
        for row, maps in zip(batch.indices, score_maps(model, batch.photos, normalization), strict=True):
            score = np.concatenate([maps.summed_score()[None], maps.score])  # (1 + H, C, h, w)
            attention = np.concatenate([maps.mean_attention()[None], maps.attention])
            pairs += [
                play(int(row), c, score[:, c], attention[:, c], of_class, photo_size(records.paths[row]))
                for c, of_class in boxes[row].items()
            ]
    return pairs


def boxes_of(records):
    """A dict of boxes_by_class for each photo; UserError when none has any."""
    boxes = [boxes_by_class(*each) for each in zip(records.objects, records.labels, strict=True)]
    if not any(boxes):
        raise UserError(
            "the pointing game needs boxes of objects, and the label file holds none; make it anew from "
            "annotations with boxes: prepare_voc.py, prepare_coco.py or prepare_custom.py in utils/prepare"
        )
    return boxes


def boxes_by_class(objects, labels):
    """{column: [box, ...]} of the positive labels (C,) of one photo; objects as in Records."""
    found = {}
    for column, box, _ in objects or ():
        if labels[column] == 1:
            found.setdefault(column, []).append(box)
    return found
