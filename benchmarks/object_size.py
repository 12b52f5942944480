"""How large a class's objects are in a photo, from VOC's XML beside it, for label files without objects."""

from pathlib import Path

from datasets.transforms import photo_size
from utils.evaluation.object_size import largest_shares
from utils.prepare.voc_xml import read_objects


def object_sizes(paths, classes):
    """(N, C): utils.evaluation.object_size.largest_shares of photos in a VOCdevkit."""
    return largest_shares(*voc_objects(paths, classes), len(classes))


def voc_objects(paths, classes):
    """Objects as in datasets.records.Records, and (width, height), of photos in a VOCdevkit: two lists."""
    classes, objects = list(classes), []
    for path in map(Path, paths):
        things = read_objects(path.parents[1] / "Annotations" / f"{path.stem}.xml")
        objects.append([(classes.index(each.name), each.box, each.difficult) for each in things])
    return objects, [photo_size(path) for path in paths]
