"""Download a data set from its official addresses or mirrors, unpack it, and make its label files.

python utils/prepare/download.py voc07 --out_dir Dataset

The same command goes on after an interruption. An archive that lies in --out_dir already is
used. Archives are kept; remove them once the label files are there.
"""

import importlib
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as `python utils/prepare/download.py`

from utils.errors import UserError, run_script
from utils.optional import optional
from utils.options import Parser
from utils.prepare.fetch import Archive, fetch, remaining
from utils.prepare.unpack import check_room, unpack

OXFORD = ("https://thor.robots.ox.ac.uk/pascal/VOC", "http://host.robots.ox.ac.uk/pascal/VOC")
COCO = ("https://s3.amazonaws.com/images.cocodataset.org", "http://images.cocodataset.org")
MIRROR = "https://pjreddie.com/media/files"


class DataSet(NamedTuple):
    """What makes a data set.

    folder: within --out_dir, where the archives are unpacked; script, data_path (within --out_dir
    too), options: what makes the label files; package: what that needs beside requirements.txt.
    """

    archives: tuple
    folder: str
    script: str
    data_path: str
    options: tuple
    package: str | None = None


def voc(year, name, size, md5):
    """An Archive of VOC; sizes as its mirrors have them."""
    addresses = [f"{base}/voc{year}/{name}" for base in OXFORD] + [f"{MIRROR}/{name}"]
    return Archive(name, size, f"md5:{md5}", tuple(addresses))


def coco(path, size, sha256, mirrors=()):
    """An Archive of COCO, which publishes no checksums: those that TensorFlow Datasets has recorded."""
    name = path.split("/")[-1]
    addresses = [f"{base}/{path}" for base in COCO] + [f"{base}/{name}" for base in mirrors]
    return Archive(name, size, f"sha256:{sha256}", tuple(addresses))


SETS = {
    "voc07": DataSet(
        (
            voc(2007, "VOCtrainval_06-Nov-2007.tar", 460_032_000, "c52e279531787c972589f7e41ab4ae64"),
            voc(2007, "VOCtest_06-Nov-2007.tar", 451_020_800, "b6e924de25625d8de591ea690078ad9f"),
        ),
        ".",
        "prepare_voc",
        "VOCdevkit",
        ("--year", "2007"),
    ),
    "voc12": DataSet(  # the labels of its test split were never published
        (voc(2012, "VOCtrainval_11-May-2012.tar", 1_999_639_040, "6cd6e144f989b92b3379bac3b3de84fd"),),
        ".",
        "prepare_voc",
        "VOCdevkit",
        ("--year", "2012", "--train_split", "train", "--test_split", "val"),
    ),
    "coco14": DataSet(
        (
            coco(
                "annotations/annotations_trainval2014.zip",
                252_872_794,
                "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
            ),
            coco(
                "zips/val2014.zip",
                6_645_013_297,
                "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
                [MIRROR],
            ),
            coco(
                "zips/train2014.zip",
                13_510_573_713,
                "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
                [MIRROR],
            ),
        ),
        "COCO2014",
        "prepare_coco",
        "COCO2014",
        ("--year", "2014"),
        "pycocotools",
    ),
}


def get(archives, out_dir, folder):
    """Fetch Archives into `out_dir` and unpack them to `folder`; UserError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        missing = [(archive, rest) for archive in archives if (rest := remaining(archive, out_dir))]
        needed = sum(rest + archive.size for archive, rest in missing)  # photos unpack to the size they had
        check_room(out_dir, needed, "download and unpack")
        for archive in archives:
            if rest := remaining(archive, out_dir):
                print(f"{archive.name}: {rest / 1e9:.2f} GB to come", flush=True)
            path = fetch(archive, out_dir)
            kind = archive.checksum.split(":")[0]
            print(f"{path}: {archive.size} bytes, {kind} as published", flush=True)
            print(f"{unpack(path, folder)} files of {path.name} lie in {folder}", flush=True)
    except KeyboardInterrupt:
        print("what came is kept; run the same command again to go on", file=sys.stderr)
        raise
    except OSError as error:
        raise UserError(
            f"cannot write to {out_dir}: {error.strerror or error}; choose another --out_dir"
        ) from None


def parse_args(argv=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("dataset", choices=SETS, help="which data set")
    add(
        "--out_dir", type=Path, default=Path("Dataset"), help="gets the archives and the photos (%(default)s)"
    )
    add("--label_dir", help="gets the label files (default: as the prepare script has it, data/voc07)")
    return parser.parse_args(argv)


def main(args, sets=SETS):
    data_set = sets[args.dataset]
    script = importlib.import_module(f"utils.prepare.{data_set.script}")
    if data_set.package:
        optional(data_set.package)  # told now, not after hours
    get(data_set.archives, args.out_dir, args.out_dir / data_set.folder)
    argv = ["--data_path", str(args.out_dir / data_set.data_path), *data_set.options]
    script.main(script.parse_args([*argv, *(["--out_dir", args.label_dir] if args.label_dir else [])]))


if __name__ == "__main__":
    run_script(main, parse_args)
