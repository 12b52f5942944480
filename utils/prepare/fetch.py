"""Fetch a large file that is known beforehand: from several addresses, in pieces if need be, checked."""

import hashlib
import http.client
import os
import re
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from tqdm import tqdm

from utils.errors import UserError

try:
    import fcntl
except ImportError:  # Windows has no such lock
    fcntl = None

CONNECTIONS = 5  # to one address, each going on where the last one broke off
CHUNK = 1 << 20  # bytes


class Archive(NamedTuple):
    """A file as its publisher made it. size: bytes; checksum: "md5:..." or "sha256:..."."""

    name: str
    size: int
    checksum: str
    addresses: tuple


class Unavailable(Exception):
    """An address does not have the file, or does not give it."""


class Redirects(urllib.request.HTTPRedirectHandler):
    """A few, and only over HTTP and HTTPS: the opener below knows nothing else."""

    max_redirections = 5


def fetch(archive, folder, timeout=30, pause=1):
    """Have an Archive in `folder`; return its path.

    A file of that name that lies there is only checked. What comes is kept in NAME.part,
    with which a later call goes on. A file with another checksum is thrown away, and
    the next address is tried. timeout: seconds without a byte; pause: seconds before a
    connection is made again. Raises UserError when no address gives the file, OSError when
    it cannot be written.
    """
    target = Path(folder, archive.name)
    part = target.with_name(f"{archive.name}.part")
    if target.exists():
        if not _is_right(target, archive):
            raise UserError(f"{target} is not the official archive ({archive.checksum}); remove it")
        return target
    reasons = []
    for url in archive.addresses:
        went_on = True
        while went_on:  # a wrong file that another address may have begun is fetched from here as a whole
            went_on = _size(part) > 0
            try:
                _bring(url, part, archive.size, timeout, pause)
            except Unavailable as error:
                reasons.append(f"{urlsplit(url).netloc}: {error}")
                break
            if _is_right(part, archive):
                os.replace(part, target)
                _note(part).unlink(missing_ok=True)
                return target
            part.unlink()
            reasons.append(f"{urlsplit(url).netloc}: the file had a wrong checksum and was thrown away")
    raise UserError(
        f"cannot get {archive.name}: {'; '.join(reasons)}; run the same command again to go on, "
        f"or put the file into {folder}"
    )


def remaining(archive, folder):
    """Bytes of an Archive that are still to come into `folder`."""
    target = Path(folder, archive.name)
    return 0 if target.exists() else archive.size - _size(target.with_name(f"{archive.name}.part"))


def _bring(url, part, size, timeout, pause):
    """Add to `part` until it has `size` bytes; Unavailable when the address does not give them."""
    if _size(part) > size:
        part.unlink()
    for attempt in range(CONNECTIONS):
        if _size(part) == size:
            return
        time.sleep(attempt * pause)
        _receive(url, part, size, timeout)
    if _size(part) < size:
        raise Unavailable(f"broke off {CONNECTIONS} times, last after {_size(part)} of {size} bytes")


def _receive(url, part, size, timeout):
    """One connection: what it gives goes to `part`, after what is there if the server can do that."""
    with _open(url, part, timeout) as response:
        start = _start(response, _size(part), size)
        with open(part, "ab") as file:
            _lock(file)
            if start == 0:
                file.truncate(0)
                _note(part).write_text(f"{url}\n{_version(response)}\n", encoding="utf-8")
            bar = dict(desc=part.stem, total=size, initial=start, unit="B", unit_scale=True, disable=None)
            with tqdm(**bar) as progress:
                for chunk in _chunks(response, size - start):
                    file.write(chunk)
                    progress.update(len(chunk))


def _open(url, part, timeout):
    headers = {"User-Agent": "csra-download", "Accept-Encoding": "identity"}
    have = _size(part)
    if have:
        headers["Range"] = f"bytes={have}-"
        if version := _version_begun(url, part):
            headers["If-Range"] = version  # a file that changed since comes as a whole
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
        Redirects,
    ):
        opener.add_handler(handler())
    try:
        return opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except HTTPError as error:
        error.close()
        raise Unavailable(f"HTTP {error.code} {error.msg}") from None
    except URLError as error:
        raise Unavailable(error.reason) from None
    except (OSError, http.client.HTTPException, ValueError) as error:  # no answer, or a senseless one
        raise Unavailable(f"no answer ({error or type(error).__name__})") from None


def _start(response, have, size):
    """The byte of the file with which an answer begins; Unavailable when the file is another one."""
    start, length = 0, response.headers.get("Content-Length", "")
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != have:
            raise Unavailable("gives another part of the file than was asked for")
        start, length = have, str(int(found[2]) - have)
    elif response.status != 200:
        raise Unavailable(f"HTTP {response.status} {response.reason}")
    if length and length != str(size - start):
        raise Unavailable(f"has a file of another size ({length} bytes to come, not {size - start})")
    return start


def _chunks(response, most):
    """Pieces of the content, until the connection ends or breaks off, or `most` bytes have come."""
    while most > 0:
        try:
            chunk = response.read1(min(most, CHUNK))
        except (OSError, http.client.HTTPException, ValueError):  # to be gone on with by the next connection
            return
        if not chunk:
            return
        most -= len(chunk)
        yield chunk


def _lock(file):
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"another process is fetching {file.name}; wait for it to end") from None


def _note(part):
    """The file that says from where `part` comes, and which version of the file it is."""
    return part.with_name(f"{part.name}.from")


def _version(response):
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _version_begun(url, part):
    """The version of the file that `part` is of, if it came from this address."""
    if not _note(part).exists():
        return ""
    begun, version, *_ = [*_note(part).read_text(encoding="utf-8").split("\n"), "", ""]
    return version if begun == url else ""


def _is_right(path, archive):
    kind, _, expected = archive.checksum.partition(":")
    digest = hashlib.new(kind, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == expected


def _size(path):
    return path.stat().st_size if path.exists() else 0
