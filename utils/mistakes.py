"""Pictures for a report: photos with the score map of one class, from the model that made the scores."""

import sys

from tqdm import tqdm

from datasets.transforms import read_photo, transform
from utils.errors import UserError
from utils.heatmap_pictures import overlay, scaled
from utils.heatmaps import score_maps

SIDE = 160  # pixels of a thumbnail, longer side


def picture_source(model, description, records):
    """What utils.evaluation.page.write_report takes as `pictures`, for the photos of `records`.

    description: of the checkpoint (img_size, normalization). A photo that several classes want runs through
    the model once; one that cannot be read is told on standard error and left out.
    """

    def pictures(wanted):
        """[(row, column), ...] -> {(row, column): (photo, heat map)}: Pillow images, SIDE pixels at most."""
        columns = {}
        for row, c in wanted:
            columns.setdefault(row, []).append(c)
        shown = {}
        for row, of_photo in tqdm(columns.items(), desc="heat maps", leave=False, disable=None):
            try:
                image = read_photo(records.paths[row], records.boxes[row])
            except UserError as error:
                print(f"not shown in the report: {error}", file=sys.stderr)
                continue
            photo = transform(image, description["img_size"])  # (S, S, 3)
            (maps,) = score_maps(model, photo[None], description["normalization"])
            small, score = scaled(image, SIDE), maps.summed_score()  # (C, h, w)
            shown |= {(row, c): (small, overlay(small, score[c])) for c in of_photo}
        return shown

    model.eval()
    return pictures
