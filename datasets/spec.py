"""What a data set is: its class names, label files, ignored labels and recipe.

A built-in data set is an entry of SPECS. Any other one is a folder with label
files and a `classes.json`: {"classes": [...], "train": FILE, "test": FILE,
"ignored": value in the test targets that evaluation leaves out, or null,
"train_ignored": value in the training targets that the loss leaves out, or null}.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from utils.errors import UserError
from utils.files import is_missing, read_json

CLASSES_FILE = "classes.json"  # beside the label files

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
COCO_CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic_light", "fire_hydrant", "stop_sign", "parking_meter", "bench", "bird", "cat",
    "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack",
    "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports_ball",
    "kite", "baseball_bat", "baseball_glove", "skateboard", "surfboard", "tennis_racket",
    "bottle", "wine_glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot_dog", "pizza", "donut", "cake", "chair",
    "couch", "potted_plant", "bed", "dining_table", "toilet", "tv", "laptop", "mouse",
    "remote", "keyboard", "cell_phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy_bear", "hair_drier",
    "toothbrush",
)  # fmt: skip
WIDER_CLASSES = (
    "Male",
    "longHair",
    "sunglass",
    "Hat",
    "Tshiirt",
    "longSleeve",
    "formal",
    "shorts",
    "jeans",
    "longPants",
    "skirt",
    "faceMask",
    "logo",
    "stripe",
)  # fmt: skip  (spelled as in the reference)


@dataclass(frozen=True)
class Spec:
    """A data set: what `--dataset NAME` stands for."""

    name: str
    classes: tuple
    train_file: str | None
    test_file: str | None
    test_ignored: int | None = None  # test target that evaluation leaves out
    train_ignored: int | None = None  # training target that the loss leaves out: not annotated
    ignored_is_negative_in_precision: bool = False  # the reference's rule for WIDER
    mean: tuple = (0.0, 0.0, 0.0)  # of pixels in 0..1
    std: tuple = (1.0, 1.0, 1.0)
    train_aug: tuple = ("randomflip", "resizedcrop")
    step_size: int = 4  # epochs between two decays of the learning rate
    top3: bool = False  # the paper also reports figures of the three best labels
    prepare: str = "utils/prepare/prepare_custom.py"  # what makes the label files


SPECS = {
    "voc07": Spec(
        "voc07",
        VOC_CLASSES,
        "trainval_voc07.json",
        "test_voc07.json",
        test_ignored=0,
        prepare="utils/prepare/prepare_voc.py",
    ),
    "coco": Spec(
        "coco",
        COCO_CLASSES,
        "train_coco2014.json",
        "val_coco2014.json",
        step_size=5,
        top3=True,
        prepare="utils/prepare/prepare_coco.py",
    ),
    "wider": Spec(
        "wider",
        WIDER_CLASSES,
        "trainval_wider.json",
        "test_wider.json",
        test_ignored=99,
        ignored_is_negative_in_precision=True,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        train_aug=("randomflip",),
        step_size=5,
        prepare="utils/prepare/prepare_wider.py",
    ),
}


def load_spec(dataset, data_dir=None):
    """Return (spec, folder of its label files) for `--dataset NAME|DIR [--data_dir DIR]`.

    A `classes.json` in the folder overrides class names, label files and the
    ignored values of a built-in data set. Raises UserError for an unknown name
    (the valid ones are listed) and for a `classes.json` that does not fit.
    """
    if dataset in SPECS:
        spec, folder = SPECS[dataset], Path(data_dir or f"data/{dataset}")
        if not is_missing(folder / CLASSES_FILE):
            spec = _override(spec, folder / CLASSES_FILE)
            if spec.classes != SPECS[dataset].classes:
                raise UserError(
                    f"{folder / CLASSES_FILE} has other classes than {dataset}; give --dataset {folder}"
                )
        return spec, folder
    places = [Path(dataset), Path(data_dir or dataset)]  # the second: it moved since the checkpoint was made
    home = next((place for place in places if not is_missing(place / CLASSES_FILE)), None)
    if home is None:
        raise UserError(
            f"unknown data set '{dataset}': give {', '.join(SPECS)} or a folder that holds a {CLASSES_FILE}, "
            f"which {Spec.prepare} makes"
        )
    return _override(Spec(dataset, (), None, None), home / CLASSES_FILE), places[1]


def classes_apart(ours, theirs):
    """Texts for a message that show where two lists of class names part: "3: ..., cat, ..." and its like."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
    shown = []
    for names in (ours, theirs):
        place = min(at, len(names) - 1)
        before, after = "..., " * (place > 0), ", ..." * (place + 1 < len(names))
        shown.append(f"{len(names)}: {before}{names[place]}{after}")
    return shown


def is_name(value):
    """Whether a value may be the name of a class: text of characters that can be printed."""
    return isinstance(value, str) and value.isprintable()


def _override(spec, path):
    given = read_json(path)
    classes = given.get("classes") if isinstance(given, dict) else None
    if not isinstance(classes, list) or not classes or not all(map(is_name, classes)):
        raise UserError(f"{path}: 'classes' must be a list of names (of characters that can be printed)")
    files = [given.get("train"), given.get("test")]
    if not all(name is None or isinstance(name, str) for name in files):
        raise UserError(f"{path}: 'train' and 'test' must be names of label files, or null")
    for key in ("ignored", "train_ignored"):
        if type(given.get(key)) not in (int, type(None)) or given.get(key) == 1:
            raise UserError(
                f"{path}: '{key}' must be a whole number other than 1, which is positive, or null"
            )
    if len(set(classes)) < len(classes):
        raise UserError(f"{path}: 'classes' must be a list of different names")
    return replace(
        spec,
        classes=tuple(classes),
        train_file=given.get("train", spec.train_file),
        test_file=given.get("test", spec.test_file),
        test_ignored=given.get("ignored", spec.test_ignored),
        train_ignored=given.get("train_ignored", spec.train_ignored),
    )
