"""A bad input as a value, and what a script says to it, run in this process.

    @bad("predict", "a folder without a photo", "no photo (...) in empty")
    def no_photo(folder):
        (folder / "empty").mkdir()
        return ["--img_dir", "empty"]

The function makes the input in a new folder, which is then the working folder, and returns the options.
"""

import importlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from utils.errors import run_script

UMASK = 0o027  # unlike most people's, so that one sees who takes no notice
ROWS = []  # all, in the order of the table


@dataclass(frozen=True)
class Row:
    """One bad or odd input of a script.

    what: what it is, in words; says: the line on standard error after "error: ", where "..." stands
    for what differs between machines and versions, or what happens where the exit code is 0 and
    nothing is said; make(folder): makes it and returns the options; around(folder): a context in
    which the script runs; needs: packages; code: the exit code; leaves: beginnings of the names of
    what the script writes all the same; topic: a part of the table.
    """

    script: str
    what: str
    says: str
    make: Callable
    around: Callable
    needs: tuple
    code: int
    leaves: tuple
    topic: str

    @property
    def name(self):
        return "-".join((self.make.__module__.split(".")[-1], self.script.split("/")[-1], self.make.__name__))

    def absent(self):
        """The packages that it needs and that are not installed."""
        return [package for package in self.needs if not find_spec(package)]


@dataclass(frozen=True)
class Outcome:
    """How a script ended: exit code, lines on standard error, names that are new, gone or changed.

    loose: those of them whose mode is not what the umask says.
    """

    code: int
    errors: list
    changed: list
    loose: list

    def problems(self, row):
        """In what it is not as the Row says, in words."""
        pattern = ".*".join(map(re.escape, f"error: {row.says}".split("...")))
        if row.code == 0:
            pattern = "(?!error|warning|Traceback).*"  # Paddle may prattle
        stray = [name for name in self.changed if not name.startswith(row.leaves or "\0")]
        absent = [leaf for leaf in row.leaves if not any(name.startswith(leaf) for name in self.changed)]
        return [
            *([f"exit code {self.code}, not {row.code}"] if self.code != row.code else []),
            *([] if re.fullmatch(pattern, "\n".join(self.errors)) else [f"it said {self.errors}"]),
            *([f"it wrote {stray}"] if stray else []),
            *([f"it did not write {absent}"] if absent else []),
            *([f"it took no notice of the umask: {self.loose}"] if self.loose else []),
        ]


def bad(script, what, says, around=lambda folder: nullcontext(), needs=(), code=2, leaves=()):
    """A decorator that makes a Row of ROWS from a function; its topic is the module's first line."""

    def add(make):
        topic = sys.modules[make.__module__].__doc__.splitlines()[0].rstrip(".")
        ROWS.append(Row(script, what, says, make, around, needs, code, leaves, topic))
        return make

    return add


def works(script, what, happens, leaves=(), needs=()):
    """As bad, for an odd input that is none."""
    return bad(script, what, happens, needs=needs, code=0, leaves=leaves)


@contextmanager
def place():
    """A new folder, which everyone can enter, as the working folder; the process is left as it was."""
    before, variables = os.getcwd(), dict(os.environ)
    folder = Path(tempfile.mkdtemp(prefix="bad_input_")).resolve()
    folder.chmod(0o755)
    os.chdir(folder)
    mask = os.umask(UMASK)
    try:
        yield folder
    finally:
        os.umask(mask)
        os.chdir(before)
        os.environ.clear()
        os.environ.update(variables)
        shutil.rmtree(folder)


def run_row(row):
    """Make the input of a Row and run its script on it in this process: an Outcome."""
    with place() as folder:
        argv = [os.fspath(word) for word in row.make(folder)]
        before = tree(folder)
        with row.around(folder):
            code, _, errors = call(row.script, argv)
        after = tree(folder)
        return Outcome(code, errors.splitlines(), changes(before, after), loose(before, after, UMASK))


def call(script, argv):
    """Run a script in this process as run_script does: (exit code, standard output, standard error)."""
    module = importlib.import_module(script.replace("/", "."))
    with captured() as said:
        try:
            run_script(module.main, lambda: module.parse_args(argv))
        except SystemExit as stop:
            code = stop.code or 0
    return code, *said


@contextmanager
def captured():
    """Standard output and error, of C code too, go into the list that it gives, once the block has ended."""
    texts = []
    streams, copies = (sys.stdout, sys.stderr), (os.dup(1), os.dup(2))
    for stream in streams:
        stream.flush()
    with ThreadPoolExecutor(2) as pool:
        said = [pool.submit(_drain, _pipe_to(number)) for number in (1, 2)]  # no files: the disk may be full
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
        try:
            yield texts
        finally:
            for ours in (sys.stdout, sys.stderr):
                ours.flush()
            sys.stdout, sys.stderr = streams
            for copy, number in zip(copies, (1, 2), strict=True):
                os.dup2(copy, number)
                os.close(copy)
            texts.extend(each.result() for each in said)


def _pipe_to(number):
    """The reading end of a pipe whose writing end is now the file descriptor `number`."""
    ours, theirs = os.pipe()
    os.dup2(theirs, number)
    os.close(theirs)
    return ours


def _drain(handle):
    with open(handle, "rb") as file:
        return file.read().decode(errors="backslashreplace")


def tree(folder):
    """{name: what it is and when it was last changed} of everything below a folder."""
    found = {}
    for home, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(home, name)
            about = os.lstat(path)
            stamp = (
                None if name in folders else (about.st_size, about.st_mtime_ns)
            )  # a folder's changes with it
            found[os.path.relpath(path, folder)] = (about.st_mode, stamp)
    return found


def changes(before, after):
    """Names that two trees differ in."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def loose(before, after, umask):
    """Names of what is new in a tree and has not the mode that follows from the umask."""
    usual = {name: (0o777 if stat.S_ISDIR(mode) else 0o666) & ~umask for name, (mode, _) in after.items()}
    new = after.keys() - before.keys()
    return sorted(name for name in new if stat.S_IMODE(after[name][0]) != usual[name])
