"""Annotations to make label files of."""

import os
from pathlib import Path

from benchmarks.bad_input.row import bad
from benchmarks.bad_input.things import coco, nested, sparse, voc, wider, without

VOC, COCO, WIDER = (f"utils/prepare/prepare_{name}" for name in ("voc", "coco", "wider"))
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@bad(
    VOC,
    "a folder that is not there",
    "folder VOCdevkit/VOC2007 not found; give --data_path the VOCdevkit folder that holds it",
)
def voc_missing(folder):
    return ["--data_path", "VOCdevkit"]


@bad(
    VOC,
    "the folder VOC2007 in place of the one above it, and another year",
    "folder VOCdevkit/VOC2007/VOC2012 not found; VOCdevkit/VOC2007 itself holds Annotations: to take "
    "these, leave out --year",
)
def voc_inner(folder):
    voc()
    return ["--data_path", "VOCdevkit/VOC2007", "--year", "2012"]


@bad(
    VOC,
    "an archive that was unpacked in part",
    "VOCdevkit/VOC2007/Annotations/a.xml not found, though split trainval lists it; unpack VOC again",
)
def voc_part(folder):
    argv = voc()
    os.unlink("VOCdevkit/VOC2007/Annotations/a.xml")
    return argv


@bad(
    VOC,
    "an empty list of photos",
    "VOCdevkit/VOC2007/ImageSets/Main/test.txt lists no photo; unpack VOC again or choose another split",
)
def voc_empty_list(folder):
    argv = voc()
    Path("VOCdevkit/VOC2007/ImageSets/Main/test.txt").write_text("\n")
    return argv


@bad(
    VOC,
    "a split that is not there",
    "VOCdevkit/VOC2007/ImageSets/Main/validation.txt not found; lists there: test, trainval",
)
def voc_split(folder):
    return [*voc(), "--test_split", "validation"]


@bad(
    VOC,
    "a class that is not among VOC's",
    "VOCdevkit/VOC2007/Annotations/a.xml: unknown class 'dogg' (near it: dog); correct it or give --classes",
)
def voc_class(folder):
    return voc("<annotation><object><name>dogg</name></object></annotation>")


@bad(
    VOC,
    "a class name that cannot be printed, with the names that the XML holds",
    "VOCdevkit/VOC2007/Annotations/a.xml: class 'wild\\u200bcat': a name must be of characters that can "
    "be printed; give another",
)
def voc_name(folder):
    argv = voc("<annotation><object><name>wild\u200bcat</name></object></annotation>")
    return [*argv, "--classes", "auto"]


@bad(VOC, "a file of class names that is not there", "cannot read names.txt: No such file or directory")
def voc_names(folder):
    return [*voc(), "--classes", "names.txt"]


@bad(
    VOC,
    "an empty XML",
    "VOCdevkit/VOC2007/Annotations/a.xml is not valid XML (...); unpack it again",
)
def xml_empty(folder):
    return voc("")


@bad(
    VOC,
    "half an XML",
    "VOCdevkit/VOC2007/Annotations/a.xml is not valid XML (...); unpack it again",
)
def xml_truncated(folder):
    return voc("<annotation><object>")


@bad(
    VOC,
    "another kind of XML",
    "VOCdevkit/VOC2007/Annotations/a.xml is no VOC annotation: its root is <html>, not <annotation>",
)
def xml_kind(folder):
    return voc("<html/>")


@bad(
    VOC,
    "an object without a name",
    "VOCdevkit/VOC2007/Annotations/a.xml: object '', difficult '0': want a name and 0 or 1",
)
def xml_no_name(folder):
    return voc("<annotation><object><difficult>0</difficult></object></annotation>")


@bad(
    VOC,
    "an entity bomb: 1 KB of XML that unfolds to 3 GB",
    "VOCdevkit/VOC2007/Annotations/a.xml defines XML entities, which are not read: ...",
)
def xml_bomb(folder):
    return voc(f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]><annotation>&l9;</annotation>')


@bad(
    VOC,
    "an external entity, to read another file",
    "VOCdevkit/VOC2007/Annotations/a.xml defines XML entities, which are not read: ...",
)
def xml_external(folder):
    Path("secret.txt").write_text("secret")
    return voc('<!DOCTYPE a [<!ENTITY s SYSTEM "secret.txt">]><annotation>&s;</annotation>')


@bad(
    VOC,
    "an XML of 1 GB",
    "cannot read VOCdevkit/VOC2007/Annotations/a.xml: it has 1073741824 bytes, more than the "
    "1000000 that are read",
)
def xml_large(folder):
    argv = voc()
    sparse("VOCdevkit/VOC2007/Annotations/a.xml", 2**30)
    return argv


@bad(
    COCO,
    "a folder that is not there",
    "folder coco/train2014 not found; choose by --data_path and --year",
    needs=("pycocotools",),
)
def coco_missing(folder):
    return ["--data_path", "coco"]


@bad(
    COCO,
    "no package pycocotools",
    "this needs pycocotools, which is not installed: pip install pycocotools",
    without("pycocotools"),
)
def coco_package(folder):
    return coco()


@bad(
    COCO,
    "half of the annotations",
    "coco/annotations/instances_train2014.json is not valid JSON (...); get the annotations anew",
    needs=("pycocotools",),
)
def coco_truncated(folder):
    argv = coco()
    os.truncate("coco/annotations/instances_train2014.json", 200)
    return argv


@bad(
    COCO,
    "annotations nested deep",
    "coco/annotations/instances_train2014.json is not valid JSON (...); get the annotations anew",
    needs=("pycocotools",),
)
def coco_deep(folder):
    argv = coco()
    Path("coco/annotations/instances_train2014.json").write_text(nested(1_000_000))
    return argv


@bad(
    COCO,
    "annotations of 1 GB",
    "cannot read coco/annotations/instances_train2014.json: it has 1073741824 bytes, more than the "
    "1000000000 that are read; get the annotations anew",
    needs=("pycocotools",),
)
def coco_large(folder):
    argv = coco()
    sparse("coco/annotations/instances_train2014.json", 2**30)
    return argv


@bad(
    COCO,
    "captions in place of instances",
    "coco/annotations/instances_train2014.json: item 0 of 'annotations' must have id (number), "
    "image_id (number), category_id (number); are these COCO's instances?",
    needs=("pycocotools",),
)
def coco_captions(folder):
    return coco(annotations=[{"id": 1, "image_id": 1, "caption": "a dog"}])


@bad(
    COCO,
    "other categories than COCO's",
    "coco/annotations/instances_train2014.json: its 1 categories are not COCO's 80: 'scratch' in "
    "place of 'person'; utils/prepare/prepare_custom.py takes any categories",
    needs=("pycocotools",),
)
def coco_categories(folder):
    return coco(categories=[{"id": 1, "name": "scratch"}])


@bad(
    COCO,
    "an annotation of a photo that is not there",
    "coco/annotations/instances_train2014.json: an annotation is of image 7, which is not there; "
    "get the annotations anew",
    needs=("pycocotools",),
)
def coco_image(folder):
    return coco(annotations=[{"id": 1, "image_id": 7, "category_id": 1}])


@bad(
    COCO,
    "a photo's name that leads out of the folder",
    "coco/annotations/instances_train2014.json: file_name '../../secret.jpg' is not the name of a "
    "file in a folder",
    needs=("pycocotools",),
)
def coco_outside(folder):
    return coco(images=[{"id": 1, "file_name": "../../secret.jpg"}])


@bad(
    WIDER,
    "a folder that is not there",
    "wider/Annotations/wider_attribute_trainval.json not found; choose by --data_path the folder of "
    "Annotations and Image",
)
def wider_missing(folder):
    return ["--data_path", "wider"]


@bad(
    WIDER,
    "half of the annotations",
    "wider/Annotations/wider_attribute_test.json is not valid JSON (...); get the annotations anew",
)
def wider_truncated(folder):
    argv = wider()
    os.truncate("wider/Annotations/wider_attribute_test.json", 100)
    return argv


@bad(
    WIDER,
    "attributes of another length",
    "wider/Annotations/wider_attribute_trainval.json, image 0: attribute [1, 0] must be a list of "
    "14; get the annotations anew",
)
def wider_length(folder):
    return wider({"attribute": [1, 0]})


@bad(
    WIDER,
    "a box of words",
    "wider/Annotations/wider_attribute_trainval.json, image 0: bbox ['left', 0, 5, 5] must be [x, y,"
    " width, height]; get the annotations anew",
)
def wider_box(folder):
    return wider({"bbox": ["left", 0, 5, 5]})


@bad(
    WIDER,
    "a photo's name that leads out of the folder",
    "wider/Annotations/wider_attribute_trainval.json, image 0: file_name '../secret.jpg' is not a "
    "path within the folder Image; get the annotations anew",
)
def wider_outside(folder):
    return wider(images=[{"file_name": "../secret.jpg", "targets": []}])


@bad(
    WIDER,
    "the number of an attribute with 5,000 digits",
    "wider/Annotations/wider_attribute_trainval.json: 'attribute_id_map' must be an object of "
    "numbers and names; get the annotations anew",
)
def wider_number(folder):
    return wider(attribute_id_map={"1" * 5000: "Male"})
