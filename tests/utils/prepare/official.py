"""COCO and WIDER Attribute in small, as their official archives unpack: annotations and drawn photos.

Field for field as in instances_train2014.json (info, licenses, images, annotations with polygons and with
run lengths for crowds, categories) and wider_attribute_trainval.json.
"""

import json

import numpy as np
from PIL import Image, ImageDraw

CATEGORIES = {  # COCO's own: ids leave gaps, names have blanks
    "person": {1: "person"},
    "vehicle": {2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus", 7: "train", 8: "truck",
                9: "boat"},
    "outdoor": {10: "traffic light", 11: "fire hydrant", 13: "stop sign", 14: "parking meter", 15: "bench"},
    "animal": {16: "bird", 17: "cat", 18: "dog", 19: "horse", 20: "sheep", 21: "cow", 22: "elephant",
               23: "bear", 24: "zebra", 25: "giraffe"},
    "accessory": {27: "backpack", 28: "umbrella", 31: "handbag", 32: "tie", 33: "suitcase"},
    "sports": {34: "frisbee", 35: "skis", 36: "snowboard", 37: "sports ball", 38: "kite",
               39: "baseball bat", 40: "baseball glove", 41: "skateboard", 42: "surfboard",
               43: "tennis racket"},
    "kitchen": {44: "bottle", 46: "wine glass", 47: "cup", 48: "fork", 49: "knife", 50: "spoon", 51: "bowl"},
    "food": {52: "banana", 53: "apple", 54: "sandwich", 55: "orange", 56: "broccoli", 57: "carrot",
             58: "hot dog", 59: "pizza", 60: "donut", 61: "cake"},
    "furniture": {62: "chair", 63: "couch", 64: "potted plant", 65: "bed", 67: "dining table", 70: "toilet"},
    "electronic": {72: "tv", 73: "laptop", 74: "mouse", 75: "remote", 76: "keyboard", 77: "cell phone"},
    "appliance": {78: "microwave", 79: "oven", 80: "toaster", 81: "sink", 82: "refrigerator"},
    "indoor": {84: "book", 85: "clock", 86: "vase", 87: "scissors", 88: "teddy bear", 89: "hair drier",
               90: "toothbrush"},
}  # fmt: skip
NAMES = {number: name for names in CATEGORIES.values() for number, name in names.items()}
ATTRIBUTES = ("Male", "longHair", "sunglass", "Hat", "Tshiirt", "longSleeve", "formal", "shorts", "jeans",
              "longPants", "skirt", "faceMask", "logo", "stripe")  # fmt: skip
SCENES = ("0--Parade", "12--Group", "61--Street_Battle")
HOST = "http://example.invalid"  # official files name the hosts of the photos


def draw(path, boxes, size, rng):
    """A photo of noise with a coloured rectangle for each (x, y, width, height)."""
    image = Image.fromarray(rng.integers(90, 150, (size[1], size[0], 3), dtype=np.uint8))
    for x, y, w, h in boxes:
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        ImageDraw.Draw(image).rectangle((x, y, x + w, y + h), fill=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=80)


def coco_tree(folder, year="2014", counts=(12, 6), seed=0, inner="", categories=tuple(NAMES)):
    """Write COCO as it unpacks into `folder`; every sixth photo has no annotation. Returns the folder."""
    for split, count in zip(("train", "val"), counts, strict=True):
        content = coco_instances(split, year, count, np.random.default_rng([seed, count]), categories)
        (folder / "annotations").mkdir(parents=True, exist_ok=True)
        instances_of(folder, split, year).write_text(json.dumps(content))
        boxes = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            boxes[annotation["image_id"]].append(annotation["bbox"])
        for image in content["images"]:
            path = folder / inner / f"{split}{year}" / image["file_name"]
            draw(path, boxes[image["id"]], (image["width"], image["height"]), np.random.default_rng(seed))
    return folder


def instances_of(folder, split="train", year="2014"):
    """The annotation file of a split."""
    return folder / "annotations" / f"instances_{split}{year}.json"


def coco_instances(split, year, count, rng, categories=tuple(NAMES)):
    """What an instances_*.json holds; ids and their order are as wild as in the official ones."""
    numbers = [int(number) for number in rng.choice(580000, count, replace=False) + 1]
    images = [coco_image(split, year, number) for number in numbers]
    annotations = []
    for place, image in enumerate(images):
        for _ in range(0 if place % 6 == 5 else int(rng.integers(1, 9))):
            annotations.append(coco_annotation(image, int(rng.choice(categories)), rng))
    rng.shuffle(annotations)
    for number, annotation in enumerate(annotations):
        crowd = annotation["iscrowd"]
        annotation["id"] = 900100000000 + number if crowd else 100 + 7 * number  # crowds have long ids there
    return {
        "info": {
            "description": f"COCO {year} Dataset",
            "url": HOST,
            "version": "1.0",
            "year": int(year),
            "contributor": "COCO Consortium",
            "date_created": "2017/09/01",
        },
        "images": images,
        "licenses": [{"url": f"{HOST}/licenses/by-nc/2.0/", "id": 2, "name": "Attribution-NonCommercial"}],
        "annotations": annotations,
        "categories": [
            {"supercategory": kind, "id": number, "name": name}
            for kind, names in CATEGORIES.items()
            for number, name in names.items()
        ],
    }


def coco_image(split, year, number):
    """One item of "images"."""
    prefix = f"COCO_{split}{year}_" if year == "2014" else ""
    name = f"{prefix}{number:012}.jpg"
    return {
        "license": 2,
        "file_name": name,
        "coco_url": f"{HOST}/{split}{year}/{name}",
        "height": 48,
        "width": 64,
        "date_captured": "2013-11-14 16:28:13",
        "flickr_url": f"{HOST}/{number}_z.jpg",
        "id": number,
    }


def coco_annotation(image, category, rng, points=8):
    """One item of "annotations", without its id: a polygon of `points` corners, or a crowd's run lengths."""
    w, h = (round(float(value), 2) for value in rng.uniform(4, 20, 2))
    x, y = (
        round(float(rng.uniform(0, image["width"] - w)), 2),
        round(float(rng.uniform(0, image["height"] - h)), 2),
    )
    crowd = int(rng.random() < 0.1)
    if crowd:
        area = image["height"] * image["width"]
        outline = {"counts": [area // 2, area // 4, area - area // 2 - area // 4],
                   "size": [image["height"], image["width"]]}  # fmt: skip
    else:
        angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
        corners = np.stack([x + w / 2 + w / 2 * np.cos(angles), y + h / 2 + h / 2 * np.sin(angles)], axis=1)
        outline = [corners.ravel().round(2).tolist()]
    return {
        "segmentation": outline,
        "area": round(w * h * 0.7, 4),
        "iscrowd": crowd,
        "image_id": image["id"],
        "bbox": [x, y, w, h],
        "category_id": category,
    }


def wider_tree(folder, counts=(6, 4, 5), seed=0, inner="wider_attribute_annotation"):
    """Write WIDER Attribute as it unpacks into `folder`: photos of train, val and test. Returns it."""
    splits = {"trainval": ("train", "val"), "test": ("test",)}
    numbers = dict(zip(("train", "val", "test"), counts, strict=True))
    (folder / "Annotations" / inner).mkdir(parents=True)
    for split, parts in splits.items():
        rng = np.random.default_rng([seed, len(parts)])
        images = [wider_image(part, number, rng) for part in parts for number in range(numbers[part])]
        content = {
            "images": images,
            "attribute_id_map": {str(number): name for number, name in enumerate(ATTRIBUTES)},
            "scene_id_map": {name.split("--")[0]: name.split("--")[1] for name in SCENES},
        }
        wider_annotations(folder, split, inner).write_text(json.dumps(content))
        for image in images:
            boxes = [target["bbox"] for target in image["targets"]]
            draw(folder / "Image" / image["file_name"], boxes, (96, 72), rng)
    return folder


def wider_annotations(folder, split="trainval", inner="wider_attribute_annotation"):
    """The annotation file of a split."""
    return folder / "Annotations" / inner / f"wider_attribute_{split}.json"


def wider_image(part, number, rng):
    """One item of "images" with one to four persons, some partly outside the photo of 96 x 72."""
    scene = SCENES[number % len(SCENES)]
    targets = []
    for _ in range(int(rng.integers(1, 5))):
        x, y, w, h = rng.uniform((-6, -6, 10, 16), (80, 50, 30, 40)).round(2).tolist()
        attribute = rng.choice((1, 0, -1), len(ATTRIBUTES), p=(0.3, 0.2, 0.5)).tolist()
        targets.append({"attribute": attribute, "bbox": [x, y, w, h]})
    name = f"{part}/{scene}/{scene.replace('--', '_')}_{part}_{number}.jpg"
    return {"targets": targets, "file_name": name, "scene_id": int(scene.split("--")[0])}
