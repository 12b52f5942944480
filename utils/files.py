"""Files appear whole or not at all: written beside their place, flushed, renamed."""

import json
import os
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from utils.errors import UserError


@contextmanager
def atomic_path(path):
    """Yield a temporary path beside `path`; rename it to `path` when the block succeeds.

    The temporary file is removed when the block raises. Before the rename its
    bytes are forced to disk, so that a power cut leaves the old file or the new one.
    Raises UserError when the folder cannot be made or written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
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


@contextmanager
def staged(folder):
    """Yield a temporary folder within `folder`; what lies there moves to `folder` when the block succeeds.

    Files of the same names are replaced; deploy.json and the like come last, since the
    files move in the order in which they were last written. Raises UserError when the
    folder cannot be made or written.
    """
    folder = Path(folder)
    new = not folder.exists()
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
        if new and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()


def write_text(path, text):
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_all(texts):
    """Write {path: text} as UTF-8; no file takes its place before all of them lie on the disk."""
    with ExitStack() as stack:
        for path, text in texts.items():
            stack.enter_context(atomic_path(path)).write_text(text, encoding="utf-8")


def write_json(path, value, indent=None):
    """Write `value` to `path` as JSON (NaN refused), whole or not at all."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path, remedy="make it anew with the prepare script"):
    """Read a JSON file; UserError when it is missing, unreadable or not JSON (`remedy`: what to do then)."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); {remedy}") from None


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
