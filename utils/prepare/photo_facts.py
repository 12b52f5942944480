"""What there is to know of a photo before training: whether all of it can be decoded, and what it is."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tqdm import tqdm

from datasets.transforms import UNREADABLE, open_photo, why_unreadable
from utils.prepare.duplicates import SIDE, fingerprint

CHUNK = 1 << 20  # bytes


class Facts(NamedTuple):
    """error: why it cannot be read, or None; then all else is known.

    mode: Pillow's, of the file; size: (width, height) in pixels; digest: of its bytes; fingerprint:
    of what it shows, see duplicates.py.
    """

    error: str | None
    mode: str = ""
    size: tuple = (0, 0)
    digest: bytes = b""
    fingerprint: object = None


def facts_of(path):
    """The Facts of a photo.

    A JPEG is decoded in grey and small, from every byte of it all the same: Pillow refuses what is cut
    off or changed just when it would refuse it decoding the whole (see the tests).
    """
    try:
        with open(path, "rb") as file:
            digest = hashlib.blake2b(digest_size=16)
            while chunk := file.read(CHUNK):
                digest.update(chunk)
            file.seek(0)
            with open_photo(file) as image:
                mode, size = image.mode, image.size
                image.draft("L", (SIDE, SIDE))  # does nothing for other formats
                return Facts(None, mode, size, digest.digest(), fingerprint(image))
    except UNREADABLE as error:
        return Facts(why_unreadable(error))


def facts_of_all(paths, num_workers):
    """[Facts] of paths, by so many threads at once; Pillow decodes outside the interpreter lock."""
    with ThreadPoolExecutor(max(num_workers, 1)) as pool:
        return list(tqdm(pool.map(facts_of, paths), "check", len(paths), unit="photo", disable=None))
