"""Which photos a user means, and what files that are made of them are called."""

import os
import sys
from collections import Counter
from fnmatch import fnmatchcase
from glob import has_magic
from itertools import count
from pathlib import Path

from PIL import Image

from utils.data_checks import examples
from utils.errors import UserError, printable

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
NOT_READ = (".heic", ".heif", ".tif", ".tiff", ".gif", ".avif")  # of photos, too


def find_photos(inputs, option="--img_dir"):
    """Paths of all photos in `inputs`, files, folders and patterns in any mix: sorted, each once.

    Of a folder and the folders within it the files with one of SUFFIXES, in any case, are taken; left out
    are files and folders whose names begin with a dot (macOS puts ._1.jpg beside 1.jpg), and links to
    folders; those with one of NOT_READ are told on standard error. A file that is named is taken as it is. A
    pattern like photos/**/*.jpg counts when no file has that very name, and stands for what a shell would
    make of it. "-" stands for a list on standard input, one file or folder a line.
    Raises UserError when something is missing, cannot be listed, or no photo is found.
    """
    found, others = set(), set()
    for given in inputs:
        if str(given) == "-":
            for number, path in _lines_of_standard_input():
                found.update(_photos_of(path, f"line {number} of standard input names it", others))
        elif has_magic(str(given)) and not os.path.lexists(given):
            found.update(_photos_of_pattern(given, option, others))
        else:
            found.update(_photos_of(given, f"name photos or folders with {option}", others))
    said = f"{len(others)} files of formats that are not read, convert them: {examples(sorted(others))}"
    if not found:
        places = " ".join("standard input" if str(given) == "-" else str(given) for given in inputs)
        raise UserError(f"no photo ({' '.join(SUFFIXES)}) in {places}" + f"; {said}" * bool(others))
    if others:
        print(printable(f"left out {said}"), file=sys.stderr)
    return sorted(found)


def each_photo(images):
    """Paths (text) of photos and folders, and Pillow images, in any mix, or one of them: yield each photo.

    A folder is looked into when its turn comes, see find_photos. TypeError for anything else.
    """
    for given in [images] if isinstance(images, (str, os.PathLike, Image.Image)) else images:
        if isinstance(given, Image.Image):
            yield given
        elif not isinstance(given, (str, os.PathLike)):
            raise TypeError(f"a photo is a path or a Pillow image, not {type(given).__name__}")
        elif os.path.isdir(given):
            yield from find_photos([given])
        else:
            yield str(given)


def output_names(paths):
    """{path: its name for files made of it}: a relative path without suffix, no two alike in any case.

    It repeats the folders below the one that all photos have in common: of a/1.jpg and b/2.jpg come
    "a/1" and "b/2". Photos that only their suffixes tell apart keep these: of 1.jpg and 1.png come "1_jpg"
    and "1_png". The names never lead out of the folder that they are put into.
    """
    whole = [os.path.abspath(path) for path in paths]
    common = os.path.commonpath([os.path.dirname(path) for path in whole]) if whole else ""
    stems = [os.path.splitext(os.path.relpath(path, common)) for path in whole]
    counts = Counter(stem.casefold() for stem, _ in stems)
    taken, names = set(counts), {}
    for path, (stem, suffix) in zip(paths, stems, strict=True):
        if counts[stem.casefold()] > 1:
            stem = _free(f"{stem}_{suffix[1:]}", taken)
        names[path] = stem
    return names


def check_output_folders(folders, photos):
    """UserError when what is written to a folder, or below it, could replace a photo, or another's files.

    folders: {option: folder or None}, each for files of its own.
    """
    taken = {}
    for option, folder in folders.items():
        if folder:
            check_output_folder(folder, photos, option)
            other = taken.setdefault(os.path.realpath(folder), option)
            if other != option:
                raise UserError(f"{other} and {option} name the same folder, {folder}; give each its own")


def check_output_folder(folder, photos, option):
    """UserError when what is written to `folder`, or below it, could replace one of the photos."""
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise UserError(f"{option} {folder} is a file; name a folder")
    inside = os.path.join(os.path.realpath(folder), "")
    for path in photos:
        parent, name = os.path.split(os.path.abspath(path))
        places = os.path.realpath(path), os.path.join(os.path.realpath(parent), name)  # what a link leads to
        if any(place.startswith(inside) for place in places):
            raise UserError(f"{option} {folder} holds photos that are read ({path}); name another folder")


def _lines_of_standard_input():
    """(number, path) of each line that is not empty; the bytes of a path need not be text."""
    if sys.stdin is None:
        raise UserError("standard input is closed, and - stands for a list of photos there")
    for number, line in enumerate(sys.stdin.buffer, start=1):
        path = line.removesuffix(b"\n").removesuffix(b"\r")
        if path:
            yield number, os.fsdecode(path)


def _photos_of(given, hint, others):
    """Photos of a file or a folder; hint: what to say when it is missing; others: gets those NOT_READ."""
    try:
        os.stat(given)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a zero byte
        raise UserError(f"no file or folder {given}; {hint}") from None
    except OSError as error:
        raise _cannot_read(error) from None
    if not os.path.isdir(given):
        return [str(Path(given))]
    files = list(_files_below(given))
    others.update(path for path in files if path.lower().endswith(NOT_READ))
    return [path for path in files if path.lower().endswith(SUFFIXES)]


def _files_below(folder):
    for place, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (str(Path(place, name)) for name in files if not name.startswith("."))


def _photos_of_pattern(pattern, option, others):
    anchor, *parts = Path(pattern).parts if Path(pattern).is_absolute() else ("", *Path(pattern).parts)
    matches = list(_expand(Path(anchor), parts))
    if not matches:
        raise UserError(f"no file or folder matches {pattern}; name photos or folders with {option}")
    return [photo for match in matches for photo in _photos_of(match, f"{pattern} matched it", others)]


def _expand(folder, parts):
    """Paths below a folder that the parts of a pattern stand for; ** is any folders, links left out."""
    part, *rest = parts
    if part == "**" and rest:
        yield from _expand(folder, rest)
        for entry in _entries(folder, "*"):
            if entry.is_dir(follow_symlinks=False):
                yield from _expand(folder / entry.name, parts)
        return
    if part == "**":
        names = ["."]
    elif has_magic(part):
        names = [entry.name for entry in _entries(folder, part)]
    else:
        names = [part] if os.path.lexists(folder / part) else []
    for name in names:
        if not rest:
            yield folder / name
        elif os.path.isdir(folder / name):
            yield from _expand(folder / name, rest)


def _entries(folder, part):
    """What a folder holds that matches a part of a pattern; a leading dot must be written."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if fnmatchcase(entry.name, part)]
    except OSError as error:
        raise _cannot_read(error) from None
    return [entry for entry in found if part.startswith(".") or not entry.name.startswith(".")]


def _free(name, taken):
    """`name`, with a number where it is taken; from then on it is."""
    tries = (name if number == 1 else f"{name}_{number}" for number in count(1))
    name = next(attempt for attempt in tries if attempt.casefold() not in taken)
    taken.add(name.casefold())
    return name


def _raise(error):
    raise _cannot_read(error) from None


def _cannot_read(error):
    return UserError(
        f"cannot read {error.filename}: {error.strerror}; change its permissions or leave it out"
    )
