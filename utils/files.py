"""Files appear whole or not at all: written beside their place, flushed, renamed."""

import errno
import io
import json
import os
import stat
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from utils.errors import UserError

try:
    import fcntl
except ImportError:  # Windows has no such lock
    fcntl = None

LARGEST = 1_000_000_000  # bytes of a JSON file; COCO's annotations have 450 million


@contextmanager
def atomic_path(path):
    """Yield a temporary path beside `path`; rename it to `path` when the block succeeds.

    The temporary file is removed when the block raises. Before the rename its
    bytes are forced to disk, so that a power cut leaves the old file or the new one.
    Folders that it had to make go again, too. Raises UserError when the folder cannot be made or written.
    """
    path = Path(path)
    made = _missing(path.parent)
    try:
        if path.is_dir():  # told before anything is written, be it one of several files
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        _remove_empty(made)
        raise UserError(f"cannot write {path}: {error.strerror}; choose a folder that is writable") from None
    os.close(handle)
    try:
        yield Path(temporary)
        _flush_to_disk(temporary)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes 0600 files
        os.replace(temporary, path)
        _flush_to_disk(path.parent)
    except BrokenPipeError:  # not of this file: who read standard output went away
        raise
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another folder"
        ) from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
        if not os.path.lexists(path):
            _remove_empty(made)


@contextmanager
def staged(folder):
    """Yield a temporary folder within `folder`; what lies there moves to `folder` when the block succeeds.

    Files of the same names are replaced; deploy.json and the like come last, since the
    files move in the order in which they were last written. Raises UserError when the
    folder cannot be made or written.
    """
    folder = Path(folder)
    made = _missing(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".staged.", dir=folder) as temporary:
            yield Path(temporary)
            for path in sorted(Path(temporary).iterdir(), key=lambda path: path.stat().st_mtime_ns):
                _flush_to_disk(path)
                os.replace(path, folder / path.name)
        _flush_to_disk(folder)
    except OSError as error:
        raise UserError(
            f"cannot write to {folder}: {error.strerror or error}; choose another folder"
        ) from None
    finally:
        _remove_empty(made)


def write_text(path, text):
    """Write `text` to `path` as UTF-8, whole or not at all.

    Bytes of a file's name that are no text, which Python holds as lone surrogates, become \\udcff: in JSON
    an escape that means them.
    """
    write_all({path: text})


def write_all(texts, last=()):
    """Write {path: text} as write_text; no file takes its place before all of them lie on the disk.

    last: those paths that say what the others are. Old ones go before the others take their places, and the
    new ones come when these have: a run killed in between leaves no mixture of old and new that is whole.
    Of two runs at once one waits meanwhile.
    """
    with ExitStack() as alone, ExitStack() as stack:
        for path in sorted(texts, key=lambda path: path not in last):  # a stack: the first one comes last
            temporary = stack.enter_context(atomic_path(path))
            temporary.write_text(texts[path], encoding="utf-8", errors="backslashreplace")
            _flush_to_disk(temporary)
        for folder in sorted({path.parent for path in last}):  # in one order, or two runs wait for each other
            alone.enter_context(_locked(folder))
        for path in last:
            path.unlink(missing_ok=True)


@contextmanager
def _locked(folder):
    """Within the block no other process is in such a block for the folder, where there are such locks."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system can
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_saved(path, save):
    """Write what save(file) puts into a file, whole or not at all.

    Through memory: where the disk fills while Pillow writes to a file, it says nothing.
    """
    content = io.BytesIO()
    save(content)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getvalue())


def write_json(path, value, indent=None):
    """Write `value` to `path` as JSON (NaN refused), whole or not at all."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path, remedy="make it anew with the prepare script", object_hook=None):
    """Read a JSON file; UserError when it is missing, unreadable or not JSON (`remedy`: what to do then).

    object_hook: as of json.loads, for each object in it.
    """
    try:
        return json.loads(read_bytes(path).decode("utf-8-sig"), object_hook=object_hook)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); {remedy}") from None


def read_bytes(path, largest=LARGEST):
    """The bytes of a file; OSError where it cannot be read, is a pipe or a device, or is too large."""
    about = os.stat(path)
    if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
        raise OSError("it is no file")  # a pipe would be waited for, /dev/zero has no end
    if about.st_size > largest:
        raise OSError(f"it has {about.st_size} bytes, more than the {largest} that are read")
    return Path(path).read_bytes()


def is_missing(path):
    """Whether nothing is there; what may not be looked at is not missing: reading it says why."""
    try:
        os.stat(path)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.ELOOP)
    except ValueError:  # a zero byte
        return True
    return False


def _missing(folder):
    """Which of a folder and those above it are not there, the innermost first."""
    return [place for place in (folder, *folder.parents) if not os.path.lexists(place)]


def _remove_empty(folders):
    with suppress(OSError):  # what is not empty stays, and what is around it
        for folder in folders:
            folder.rmdir()


def _flush_to_disk(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
