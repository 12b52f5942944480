"""Labels that come with boxes: COCO's form with classes of one's own, VOC's XML, YOLO's text files.

A class is present where an object of it is; all that is not named is absent.
"""

import os
from collections import Counter, defaultdict
from pathlib import Path

from utils.data_checks import examples
from utils.errors import UserError
from utils.photos import SUFFIXES
from utils.prepare.class_names import tidy
from utils.prepare.coco_json import box_of, read_instances
from utils.prepare.labelled import Labelled, Source, split_of
from utils.prepare.voc_folder import LISTS
from utils.prepare.voc_xml import read_objects


def read_coco_file(path, photos=None):
    """The Source of a COCO JSON of any categories, in the order of their ids; photos without one are kept.

    Every annotation makes its class present, a crowd too, whose box is difficult (as in prepare_coco.py).
    file_name counts from `photos`, or from the folder of the file.
    """
    content, folder = read_instances(path), Path(photos or Path(path).parent)
    names = {category["id"]: tidy(category["name"]) for category in content["categories"]}
    by_image = defaultdict(list)
    for annotation in content["annotations"]:
        thing = names[annotation["category_id"]], box_of(annotation), annotation.get("iscrowd") == 1
        by_image[annotation["image_id"]].append(thing)
    found = []
    for image in sorted(content["images"], key=lambda image: image["id"]):
        where, things = f"{path}, image {image['id']}", by_image[image["id"]]
        present, split = {name for name, *_ in things}, split_of(image.get("split"), where)
        objects = all_or_none(things)
        found.append(Labelled(str(folder / image["file_name"]), present, set(), where, split, objects))
    classes = Counter(names[number] for number in sorted(names))
    shared = [name for name, count in classes.items() if count > 1]
    notes = [f"several categories of one name are one class each: {examples(shared)}"] if shared else []
    return Source(found, [*classes], boxless(found) + notes)


def annotations_of(folder):
    """The folder with VOC's XML files: `folder`, or Annotations in it."""
    inner = Path(folder, "Annotations")
    return inner if os.path.isdir(inner) else Path(folder)


def xml_files(folder):
    """VOC's XML files of a folder, sorted."""
    home = annotations_of(folder)
    return without_hidden(home.glob("*.xml"), home)


def without_hidden(paths, folder):
    """The paths below a folder, sorted, without those that begin with a dot or lie in what does.

    macOS leaves ._NAME beside NAME, notebooks leave .ipynb_checkpoints.
    """
    return sorted(path for path in paths if not any(p[0] == "." for p in path.relative_to(folder).parts))


def read_voc_folder(folder, photos=None):
    """The Source of a folder of VOC's XML; the photo of ID.xml is ID.jpg (or .png ...) in `photos`, or else
    beside it or in the JPEGImages beside its folder. A class with difficult objects only is unknown.
    """
    home = annotations_of(folder)
    photo_of = Finder([photos] if photos else [home, home.parent / "JPEGImages"])
    found = []
    for xml_path in xml_files(folder):
        objects = read_objects(xml_path)
        present = {thing.name for thing in objects if not thing.difficult}
        unknown = {thing.name for thing in objects} - present
        things = all_or_none([(thing.name, thing.box, thing.difficult) for thing in objects])
        found.append(Labelled(photo_of(xml_path), present, unknown, str(xml_path), None, things))
    notes = boxless(found) + photo_of.left_out()
    if (home.parent / LISTS).is_dir():
        notes.append(
            f"the lists in {home.parent / LISTS} are not used; prepare_voc.py --data_path {home.parent} "
            "--classes auto uses them"
        )
    return Source(found, None, notes)


def all_or_none(things):
    """The objects (name, box or None, difficult) of a photo, or None where one has no box."""
    return things if all(box for _, box, _ in things) else None


def boxless(photos):
    """A note of photos that have no objects, though others have: [text] or []."""
    without = [photo for photo in photos if photo.objects is None]
    if not without or not any(photo.objects for photo in photos):
        return []
    return [
        f"{len(without)} photos have an object without a valid box and get no boxes, first {without[0].where}"
    ]


class Finder:
    """Which photo belongs to an annotation file: the one of its name in the first of `folders` with one."""

    def __init__(self, folders):
        self.folders = [Path(folder) for folder in folders]
        self.listed = {}  # folder -> {name without suffix: path}
        self.every = {}  # folder -> paths of all photos
        self.used = set()

    def __call__(self, path, first=()):
        """The path of the photo; `first`: folders to look into before. UserError where there is none."""
        for folder in (*first, *self.folders):
            photo = self._photos(folder).get(path.stem)
            if photo:
                self.used.add(photo)
                return photo
        places = ", ".join(str(folder) for folder in (*first, *self.folders))
        raise UserError(f"{path}: no photo of that name in {places}; say where they lie with --photos DIR")

    def _photos(self, folder):
        if folder not in self.listed:
            try:
                names = sorted(os.listdir(folder), reverse=True)  # of 1.jpg and 1.png the first counts
            except OSError:
                names = []
            photos = [folder / name for name in names if name[0] != "."]
            photos = [path for path in photos if path.suffix.lower() in SUFFIXES]
            self.every[folder] = [str(path) for path in photos]
            self.listed[folder] = {path.stem: str(path) for path in photos}
        return self.listed[folder]

    def left_out(self):
        """A note of photos in the folders used that no annotation file belongs to: [text] or []."""
        lists = [photos for photos in self.every.values() if self.used & {*photos}]
        rest = sorted(photo for photos in lists for photo in photos if photo not in self.used)
        return (
            [f"{len(rest)} photos have no annotation file and are left out, first {rest[0]}"] if rest else []
        )
