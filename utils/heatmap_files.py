"""Heat maps as files: for each photo and class a panel, and contact sheets of all photos."""

import difflib
import os
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from datasets.transforms import read_photo
from utils.errors import UserError, printable
from utils.files import write_saved
from utils.heatmap_pictures import TILE, contact_sheet, panel, photo_tiles

SHEET = 30  # tiles of a contact sheet
LONGEST = 60  # characters of a class's name in the name of a file


def choose_classes(names, classes):
    """What --heatmap_classes asks for: (columns that are always drawn, whether predicted ones are too).

    names: any of `classes`, or predicted, or all. UserError for an unknown one, with what is near it.
    """
    classes = list(classes)
    columns, predicted = set(), False
    for name in names:
        if name in classes:
            columns.add(classes.index(name))
        elif name == "all":
            columns.update(range(len(classes)))
        elif name == "predicted":
            predicted = True
        else:
            near = difflib.get_close_matches(name, [*classes, "predicted", "all"], 1)
            hint = f"did you mean {near[0]}?" if near else f"give some of {', '.join(classes)}"
            raise UserError(f"--heatmap_classes: the model knows no class '{name}'; {hint}")
    return sorted(columns), predicted


def file_names(classes):
    """A file name for each class: letters, digits, _ and - alone, different even without regard to case."""
    names, taken = [], set()
    for column, name in enumerate(classes):
        name = re.sub(r"[^\w-]+", "_", name)[:LONGEST] or "_"
        while name.casefold() in taken:
            name += f"_{column}"
        taken.add(name.casefold())
        names.append(name)
    return names


@contextmanager
def heatmap_writer(folder, names, classes, chosen):
    """Yield a function that draws the heat maps of one utils.predictions.Prediction with maps.

    names: {path: name of its files}, see utils.photos.output_names; chosen: None for those that are
    predicted; the rest: see HeatmapFolder.
    """
    heatmaps = HeatmapFolder(folder, classes, chosen or ["predicted"])

    def write(photo):
        scores = np.array([*photo.scores.values()])  # (C,)
        predicted = [name in photo.labels for name in photo.scores]
        heatmaps.add(photo.path, names[photo.path], photo.maps, scores, predicted)

    yield write
    heatmaps.close()
    print(f"wrote heat maps to {folder}")


class HeatmapFolder:
    """Panels NAME.CLASS.jpg as photos come, and contact sheets sheet_1.jpg, ... of them all.

    classes: the model's; names: what --heatmap_classes gave. Nothing is kept of a photo but its
    tiles, until a sheet is full. Raises UserError for unknown names and for a folder that
    cannot be one; nothing is written before `add`.
    """

    def __init__(self, folder, classes, names=("predicted",)):
        self.folder = Path(folder)
        self.classes = list(classes)
        self.columns, self.with_predicted = choose_classes(names, classes)
        self.files = file_names(classes)
        self.sheets, self.groups = 0, []
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise UserError(f"--heatmap {folder} is a file; give the name of a folder")

    def add(self, path, name, maps, scores=None, predicted=None):
        """Draw one photo; returns the paths of its panels, the highest score first.

        path: the photo; name: that of its files, relative to the folder, without suffix; maps:
        utils.heatmaps.Maps; scores: (C,) to name in 0..1 (maps.scores unless given); predicted:
        (C,) bool, which of them are predicted. Raises UserError as read_photo and atomic_path do.
        """
        scores = maps.scores if scores is None else scores
        image, shown = read_photo(path, enough=TILE), printable(Path(path).name)
        hits = [c for c, hit in enumerate(predicted if self.with_predicted else ()) if hit]
        chosen = sorted({*self.columns, *hits}, key=lambda c: -scores[c])
        written = []
        for c in chosen:
            picture = panel(image, maps, c, f"{self.classes[c]}, {shown}", scores[c])
            written.append(self._write(picture, f"{name}.{self.files[c]}.jpg"))
        tiles = photo_tiles(image, maps, chosen, self.classes, scores, shown)
        for start in range(0, len(tiles), SHEET):
            group = tiles[start : start + SHEET]
            if sum(map(len, self.groups)) + len(group) > SHEET:
                self.close()
            self.groups.append(group)
        return written

    def close(self):
        """Write the contact sheet that is not full yet."""
        if self.groups:
            self.sheets += 1
            self._write(contact_sheet(self.groups), f"sheet_{self.sheets}.jpg")
            self.groups = []

    def _write(self, picture, name):
        path = self.folder / name
        write_saved(path, lambda file: picture.save(file, "JPEG", quality=90, subsampling=0))
        return path
