"""Unpack an archive that may be hostile: regular files below one folder, and nothing else.

Contents are copied; owners, modes, dates, links and devices of the archive are never used, so
tarfile's own filters (which early Python 3.10 lacks) are not needed.
"""

import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from tqdm import tqdm

from utils.errors import UserError

MOST_FILES = 200_000  # COCO's train2014.zip, the largest here, has 82,783
DEEPEST = 50  # folders in folders
MOST_TIMES = 8  # the archive's own size: JPEG does not shrink, JSON to a quarter
SPARE = 100_000_000  # bytes that are left free on the disk
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)


class Member(NamedTuple):
    """A regular file in an archive. parts: names of its folders and its own; read: opens its content."""

    parts: tuple
    size: int
    read: Callable


def unpack(path, folder):
    """Unpack a .tar (not compressed) or .zip archive into `folder`; return the number of its files.

    Where all its files lie there already nothing is written. What a killed run left is gone on
    with; the files take their places when all of them are unpacked. Raises UserError, with
    `folder` as it was, for a member that is no regular file below the folder, a damaged archive,
    one that unpacks to more than it should, and where the disk has no room.
    """
    path, folder = Path(path), Path(folder)
    staging = folder / f".{path.name}.unpacking"
    try:
        with _opened(path) as members:
            _check_all(path, members)
            if not all(_is_there(folder, member) for member in members):
                _check_room(folder, staging, members)
                for member in tqdm(members, f"unpack {path.name}", unit="file", disable=None):
                    if not _is_there(staging, member):
                        _copy(member, staging)
                _move(staging, folder)
            return len(members)
    except DAMAGED as error:
        shutil.rmtree(staging, ignore_errors=True)  # what came out of it is not to be gone on with
        raise UserError(f"{path} is damaged ({error}); remove it and download it again") from None
    except OSError as error:
        raise UserError(
            f"cannot unpack {path} to {folder}: {error.strerror or error}; then run the same command again"
        ) from None


@contextmanager
def _opened(path):
    """The Members of an archive, which stays open meanwhile."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            yield [_zip_member(path, archive, info) for info in archive.infolist() if not info.is_dir()]
    else:
        with tarfile.open(path, "r:") as archive:  # "r:": a compressed one is refused
            members = archive.getmembers()
            archive.fileobj.seek(archive.offset)
            if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # its mark of the end
                raise tarfile.ReadError("it ends early")
            yield [_tar_member(path, archive, info) for info in members if not info.isdir()]


def _zip_member(path, archive, info):
    kind = info.external_attr >> 16 & 0o170000  # of Unix; 0: made elsewhere
    if kind not in (0, 0o100000) or info.flag_bits & 1:
        raise UserError(f"{path}: {info.filename} is a link, a device or encrypted; nothing was unpacked")
    return Member(_safe_parts(path, info.filename), info.file_size, partial(archive.open, info))


def _tar_member(path, archive, info):
    if not info.isreg() or info.issparse():
        raise UserError(f"{path}: {info.name} is a link or a device, no regular file; nothing was unpacked")
    return Member(_safe_parts(path, info.name), info.size, partial(archive.extractfile, info))


def _safe_parts(path, name):
    """The parts of a member's name, once they lead below a folder, be it on Unix or on Windows."""
    pure = PureWindowsPath(name)  # knows both separators, and drives
    if pure.anchor or not pure.parts or ".." in pure.parts:
        raise UserError(f"{path}: the name {name} leads out of the folder; nothing was unpacked")
    if len(pure.parts) > DEEPEST:
        raise UserError(f"{path}: the name {name} leads too deep; nothing was unpacked")
    return pure.parts


def _check_all(path, members):
    """UserError for too much of anything, and for a name that comes twice, for a folder, too."""
    size, most = sum(member.size for member in members), MOST_TIMES * path.stat().st_size
    if size > most or len(members) > MOST_FILES:
        raise UserError(f"{path} would unpack to {len(members)} files, {size} bytes; nothing was unpacked")
    names = {_folded(member.parts) for member in members}
    if len(names) < len(members):
        raise UserError(f"{path} has two files of one name; nothing was unpacked")
    if any(parts[:depth] in names for parts in names for depth in range(1, len(parts))):
        raise UserError(f"{path} has a file and a folder of one name; nothing was unpacked")
    if not members:
        raise UserError(f"{path} has no file in it; remove it and download it again")


def _folded(parts):
    """What distinguishes a name on any disk; some take A.jpg and a.jpg for one."""
    return tuple(part.casefold() for part in parts)


def _check_room(folder, staging, members):
    needed = sum(member.size for member in members if not _is_there(staging, member))
    check_room(folder, needed, "unpack the archive")


def check_room(folder, needed, what):
    """UserError unless the disk of `folder` has room for `needed` bytes, to do `what`."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise UserError(
            f"{folder}: {needed / 1e9:.1f} GB needed to {what}, {free / 1e9:.1f} GB free; "
            "free some space or give another --out_dir"
        )


def _is_there(folder, member):
    target = folder.joinpath(*member.parts)
    return target.is_file() and target.stat().st_size == member.size


def _copy(member, folder):
    target = folder.joinpath(*member.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with member.read() as source, open(target, "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)  # either module raises when a file ends early


def _move(source, target):
    """Move a folder to its place; where there is a folder already, its content to that one's."""
    if source.is_dir() and target.is_dir():
        for entry in source.iterdir():
            _move(entry, target / entry.name)
        source.rmdir()
    else:
        os.replace(source, target)
