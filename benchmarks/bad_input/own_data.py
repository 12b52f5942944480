"""Own data, in prepare_custom.py's forms."""

import os
from pathlib import Path

from benchmarks.bad_input.row import bad
from benchmarks.bad_input.things import XML, data_set, forbidden, full_after, nested, photo, sparse, write

CUSTOM = "utils/prepare/prepare_custom"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


def table(*lines, name="labels.csv", photos=4):
    """Write a table beside some photos; the options that name it."""
    for number in range(photos):
        photo(f"{number}.png")
    Path(name).write_text("".join(f"{line}\n" for line in lines))
    return [name, "--out_dir", "out", "--test_share", "0"]


SOUND = ("path,labels", "0.png,cat", "1.png,dog", "2.png,cat;dog", "3.png,")


def yolo(line="0 0.5 0.5 0.2 0.2", names="cat\ndog\n"):
    """Write a folder of YOLO's form with two photos; the options that name it."""
    for number in range(2):
        photo(f"yolo/{number}.png")
        Path(f"yolo/{number}.txt").write_text(f"{line}\n")
    if names is not None:
        Path("yolo/classes.txt").write_text(names)
    return ["yolo", "--out_dir", "out"]


@bad(
    CUSTOM,
    "a file that is not there",
    "labels.csv is not there; IN is a .csv, .jsonl or COCO .json file, or a folder of VOC's XML or "
    "YOLO's text files",
)
def missing(folder):
    return ["labels.csv", "--out_dir", "out"]


@bad(
    CUSTOM,
    "a file of another kind",
    "labels.xlsx: what is it? IN is a .csv, .jsonl or COCO .json file, or a folder of VOC's XML or "
    "YOLO's text files",
)
def kind(folder):
    return table(*SOUND, name="labels.xlsx")


@bad(
    CUSTOM,
    "a folder without annotations",
    "labels holds no VOC XML and no text files of YOLO; IN is a .csv, .jsonl or COCO .json file, or "
    "a folder of VOC's XML or YOLO's text files",
)
def empty_folder(folder):
    os.mkdir("labels")
    return ["labels", "--out_dir", "out"]


@bad(
    CUSTOM,
    "a folder that may not be read",
    "cannot read yolo: Permission denied; change its permissions",
    forbidden("yolo"),
)
def unreadable(folder):
    return yolo()


@bad(
    CUSTOM,
    "a file in a folder that may not be read",
    "cannot read data/labels.csv: Permission denied",
    forbidden("data"),
)
def unreadable_file(folder):
    os.mkdir("data")
    return table(*SOUND, name="data/labels.csv")


@bad(CUSTOM, "a link to itself", "cannot read labels.csv: Too many levels of symbolic links")
def loop(folder):
    os.symlink("labels.csv", "labels.csv")
    return ["labels.csv", "--out_dir", "out"]


@bad(
    CUSTOM,
    "a name of 300 letters",
    "aaa...aaa.csv is not there; IN is a .csv, .jsonl or COCO .json file, or a folder of VOC's XML "
    "or YOLO's text files",
)
def long_name(folder):
    return ["a" * 300 + ".csv", "--out_dir", "out"]


@bad(CUSTOM, "a pipe", "cannot read labels.json: it is no file; get the annotations anew")
def pipe(folder):
    os.mkfifo("labels.json")
    return ["labels.json", "--out_dir", "out"]


@bad(
    CUSTOM,
    "a table of 1 GB",
    "cannot read labels.csv: it has 1073741824 bytes, more than the 1000000000 that are read",
)
def large(folder):
    return [sparse("labels.csv", 2**30), "--out_dir", "out"]


@bad(CUSTOM, "an empty table", "labels.csv is empty; want path,labels and a photo a line")
def empty(folder):
    return table()


@bad(CUSTOM, "a table of its first line alone", "labels.csv holds no photo; write one a line")
def no_line(folder):
    return table(SOUND[0])


@bad(CUSTOM, "bytes that are no text", "labels.csv is not UTF-8 text; save it as UTF-8")
def no_text(folder):
    Path("labels.csv").write_bytes(b"path,labels\n0.png,caf\xe9\n")
    return ["labels.csv", "--out_dir", "out"]


@bad(CUSTOM, "a quotation mark that is not closed", "labels.csv, line 6: no CSV (...)")
def quote(folder):
    return table(*SOUND, '"4.png,cat')


@bad(
    CUSTOM,
    "a line with a column more",
    'labels.csv, line 5: 3 columns, where the first line has 2; labels share one cell: "cat;dog"',
)
def columns(folder):
    return table(*SOUND[:-1], "3.png,cat,dog")


@bad(
    CUSTOM,
    "a first line that names no column",
    "labels.csv: its first line must name the columns: path,labels or path and the classes",
)
def header(folder):
    return table("0.png,cat,dog", "1.png,dog,cat")


@bad(
    CUSTOM,
    "a column of what is unknown twice",
    "labels.csv: column 'unknown' beside 'labels': take it out, labels are all in one",
)
def unknown_twice(folder):
    return table("path,labels,unknown,unknown", "0.png,cat,dog,", "1.png,dog,,cat")


@bad(
    CUSTOM,
    "a class in two columns, its accent written in two ways",
    "labels.csv: its first line names 'b\u00e4r' twice",
)
def accents(folder):
    return table("path,b\u00e4r,ba\u0308r", "0.png,1,0", "1.png,0,1")


@bad(
    CUSTOM,
    "a value that is neither 0 nor 1",
    "labels.csv, line 3: '2' for 'cat' is none of 1, 0 and nothing (unknown)",
)
def value(folder):
    return table("path,cat,dog", "0.png,1,0", "1.png,2,1")


@bad(CUSTOM, "a photo twice", "labels.csv, line 6: photo 0.png is at labels.csv, line 2 already")
def twice(folder):
    return table(*SOUND, "0.png,dog")


@bad(
    CUSTOM,
    "a photo whose name is written otherwise, as by Windows or macOS",
    "1 of 4 photos not found: 3; 3.png is there: write names as the folder has them, case, accents, ending, "
    "/ and all",
)
def spelled_otherwise(folder):
    return table(*SOUND[:-1], "3,cat")


@bad(
    CUSTOM,
    "a photo that is not there",
    "1 of 4 photos not found: 3.png; say with --photos DIR what their paths count from, or take them out",
)
def no_photo(folder):
    return table(*SOUND, photos=3)


@bad(
    CUSTOM,
    "half a photo",
    "1 of 4 photos cannot be read: 2.png (image file is truncated); mend or take them out",
)
def broken_photo(folder):
    argv = table(*SOUND)
    os.truncate("2.png", 300)
    return argv


@bad(
    CUSTOM,
    "a zero byte in a photo's name",
    "1 of 4 photos not found: 3\\x00.png; say with --photos DIR what their paths count from, or take "
    "them out",
)
def zero_byte(folder):
    return table(*SOUND[:-1], "3\0.png,cat")


@bad(
    CUSTOM,
    "a class that is not among those given",
    "labels.csv, line 5: class 'dgo' is unknown; the nearest known name is 'dog'; correct it or add it "
    "to --classes",
)
def unknown_class(folder):
    return [*table(*SOUND[:-1], "3.png,dgo"), "--classes", "cat", "dog"]


@bad(
    CUSTOM,
    "a split of some photos alone",
    "labels.csv, line 3: no split, as 1 of 2 photos, though others have one; give one to all or to none",
)
def some_split(folder):
    return table("path,labels,split", "0.png,cat,train", "1.png,dog,")


@bad(CUSTOM, "JSON lines cut off", "labels.jsonl, line 2: no JSON (...); want one record a line")
def lines(folder):
    return table('{"path": "0.png", "labels": ["cat"]}', '{"path": "1.png", "lab', name="labels.jsonl")


@bad(CUSTOM, "a JSON line nested deep", "labels.jsonl, line 1: no JSON (...); want one record a line")
def deep_line(folder):
    return table(nested(100_000), name="labels.jsonl")


@bad(CUSTOM, "a COCO JSON nested deep", "labels.json is not valid JSON (...); get the annotations anew")
def deep_json(folder):
    return table(nested(100_000), name="labels.json")


@bad(
    CUSTOM,
    "a COCO JSON without categories",
    "labels.json: 'categories' must be a list of one or more; are these COCO's instances?",
)
def categories(folder):
    write("labels.json", {"images": [{"id": 1, "file_name": "0.png"}], "annotations": []})
    return ["labels.json", "--out_dir", "out"]


@bad(CUSTOM, "an entity bomb in VOC's XML", "voc/a.xml defines XML entities, which are not read: ...")
def xml_bomb(folder):
    photo("voc/a.jpg")
    bomb = f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]><annotation>&l9;</annotation>'
    Path("voc/a.xml").write_text(bomb)
    return ["voc", "--out_dir", "out"]


@bad(
    CUSTOM,
    "an XML without its photo",
    "voc/a.xml: no photo of that name in voc, JPEGImages; say where they lie with --photos DIR",
)
def xml_no_photo(folder):
    os.mkdir("voc")
    Path("voc/a.xml").write_text(XML)
    return ["voc", "--out_dir", "out"]


@bad(
    CUSTOM,
    "YOLO's form without names",
    "yolo holds text files but no classes.txt (one class a line) or data.yaml",
)
def yolo_names(folder):
    return yolo(names=None)


@bad(CUSTOM, "a YOLO class beyond the names", "yolo/0.txt, line 1: class 7; there are 2 names, for 0 to 1")
def yolo_number(folder):
    return yolo("7 0.5 0.5 0.2 0.2")


@bad(
    CUSTOM,
    "a YOLO box of three numbers",
    "yolo/0.txt, line 1: 3 numbers after the class; want x y width height, or an outline",
)
def yolo_box(folder):
    return yolo("0 0.5 0.5 0.2")


@bad(CUSTOM, "words in a YOLO box", "yolo/0.txt, line 1: 'cat 0.5 0.5 0.2 0.2' is no class number and a box")
def yolo_words(folder):
    return yolo("cat 0.5 0.5 0.2 0.2")


@bad(
    CUSTOM,
    "an output folder that holds another data set",
    "out/train.json is there and not of an earlier run that ended; remove it or choose another --out_dir",
)
def other(folder):
    data_set("out")
    return table(*SOUND)


@bad(
    CUSTOM,
    "an output where nothing may be written",
    "cannot write out/classes.json: Permission denied; choose a folder that is writable",
    forbidden(".", 0o555),
)
def read_only(folder):
    return table(*SOUND)


@bad(
    CUSTOM,
    "a full disk",
    "cannot write out/classes.json: ...; free some space or choose another folder",
    full_after(64),
)
def full(folder):
    return table(*SOUND)


@bad(
    CUSTOM,
    "a file in place of the output folder",
    "cannot write out/classes.json: File exists; choose a folder that is writable",
)
def out_file(folder):
    Path("out").write_text("")
    return table(*SOUND)
