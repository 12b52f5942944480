"""Photos."""

import os

from PIL import Image

from benchmarks.bad_input.row import bad
from benchmarks.bad_input.things import checkpoint, data_set, exported, forbidden, photo, train

BOMB = (9_500, 9_500)


@bad(
    "predict", "a folder that is not there", "no file or folder photos; name photos or folders with --img_dir"
)
def missing(folder):
    return ["--img_dir", "photos"]


@bad("predict", "no photo in the folder", "no photo (.jpg .jpeg .png .bmp .webp) in photos")
def none(folder):
    os.mkdir("photos")
    open("photos/notes.txt", "w").close()
    return ["--img_dir", "photos"]


@bad(
    "predict",
    "photos in the folder, but of a format that is not read",
    "no photo (.jpg .jpeg .png .bmp .webp) in photos; 1 files of formats that are not read, convert them: "
    "photos/1.HEIC",
)
def unread(folder):
    os.mkdir("photos")
    open("photos/1.HEIC", "w").close()
    return ["--img_dir", "photos"]


@bad(
    "predict",
    "a pattern that nothing fits",
    "no file or folder matches photos/**/*.jpg; name photos or folders with --img_dir",
)
def pattern(folder):
    return ["--img_dir", "photos/**/*.jpg"]


@bad(
    "predict",
    "a folder that may not be read",
    "cannot read photos: Permission denied; change its permissions or leave it out",
    forbidden("photos"),
)
def unreadable_folder(folder):
    photo("photos/a.png")
    return ["--img_dir", "photos"]


@bad(
    "predict",
    "a link to itself",
    "cannot read photos: Too many levels of symbolic links; change its permissions or leave it out",
)
def loop(folder):
    os.symlink("photos", "photos")
    return ["--img_dir", "photos"]


@bad(
    "predict",
    "a name of 300 letters",
    "cannot read aaa...aaa.jpg: File name too long; change its permissions or leave it out",
)
def long_name(folder):
    return ["--img_dir", "a" * 300 + ".jpg"]


def broken(name, wrong, says, content):
    """The row of a photo among others that has this content: it is told, the others are done."""

    @bad("predict", f"{wrong} (the other photos are done)", says, code=1)
    def make(folder):
        photo("photos/0.png")
        content("photos/1.png")
        return ["--img_dir", "photos", "--load_from", checkpoint(), "--device", "cpu", "--num_workers", "0"]

    make.__name__ = name


def text(path):
    with open(path, "w") as file:
        file.write("<html>moved</html>")


def empty(path):
    open(path, "w").close()


def truncated(path):
    photo(path)
    os.truncate(path, os.path.getsize(path) // 2)


def gif(path):
    Image.new("L", (9, 9)).save(path, "GIF")


def bomb(path):
    Image.new("1", BOMB).save(path)


def photo_loop(path):
    os.symlink("1.png", path)


broken("empty", "an empty photo", "cannot read photo photos/1.png: it is no JPEG, PNG, BMP, WEBP file", empty)
broken("truncated", "half a photo", "cannot read photo photos/1.png: image file is truncated", truncated)
broken(
    "text",
    "a web page called .png",
    "cannot read photo photos/1.png: it is no JPEG, PNG, BMP, WEBP file",
    text,
)
broken(
    "gif",
    "a format that is not read",
    "cannot read photo photos/1.png: it is no JPEG, PNG, BMP, WEBP file",
    gif,
)
broken(
    "bomb",
    "an image bomb: 11 KB that unpack to 90 million pixels",
    "cannot read photo photos/1.png: it has more than 89478485 pixels; make it smaller",
    bomb,
)
broken("pipe", "a pipe in the folder", "cannot read photo photos/1.png: it is a pipe", os.mkfifo)
broken(
    "photo_loop",
    "a link to itself in the folder",
    "cannot read photo photos/1.png: Too many levels of symbolic links",
    photo_loop,
)


@bad(
    "infer",
    "half a photo (the other photos are done)",
    "cannot read photo half.png: image file is truncated",
    code=1,
)
def infer_truncated(folder):
    argv = exported()
    truncated("half.png")
    return [*argv, "--input_file", "photo.png", "half.png", "--enable_mkldnn", "False"]


@bad(
    "predict",
    "a photo that may not be read (the other photos are done)",
    "cannot read photo photos/1.png: Permission denied",
    forbidden("photos/1.png"),
    code=1,
)
def unreadable(folder):
    photo("photos/0.png")
    photo("photos/1.png")
    return ["--img_dir", "photos", "--load_from", checkpoint(), "--device", "cpu", "--num_workers", "0"]


@bad(
    "val",
    "an image bomb in the test split",
    "cannot read photo data/photos/2.png: it has more than 89478485 pixels; make it smaller",
)
def val_bomb(folder):
    data_set()
    bomb("data/photos/2.png")
    return ["--load_from", checkpoint(), "--device", "cpu", "--num_workers", "0", "--out", "out"]


@bad(
    "train",
    "half a photo in the training split (the run's log is kept)",
    "cannot read photo data/photos/0.png: image file is truncated",
    leaves=("save",),
)
def train_truncated(folder):
    data_set()
    truncated("data/photos/0.png")
    return ["--dataset", "data", *train("--save_dir", "save")]


@bad(
    "utils/prepare/prepare_wider",
    "a photo that is a web page",
    "cannot read photo wider/Image/trainval/1.jpg: it is no JPEG, PNG, BMP, WEBP file; unpack the "
    "photos again",
)
def wider_text(folder):
    from benchmarks.bad_input.things import wider

    argv = wider()
    text("wider/Image/trainval/1.jpg")
    return argv


@bad("val", "a box outside its photo", "the box [500, 500, 10, 10] lies outside photo a.png of 40 x 30")
def box_outside(folder):
    record = {"img_path": photo("a.png"), "target": [1, 0, 0], "bbox": [500, 500, 10, 10]}
    data_set(records=[record])
    return ["--load_from", checkpoint(), "--device", "cpu", "--num_workers", "0", "--out", "out"]
