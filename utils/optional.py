"""Packages that only some uses need."""

import importlib
import os
import sys
import tempfile
from contextlib import contextmanager, nullcontext

from utils.errors import UserError


def optional(module, package=None):
    """Import and return a module; where its package is absent, a UserError says how to get it."""
    try:
        with _writable_home() if sys.modules.get(module) is None else nullcontext():
            return importlib.import_module(module)
    except ImportError:
        package = package or module.split(".")[0]
        raise UserError(f"this needs {package}, which is not installed: pip install {package}") from None


@contextmanager
def _writable_home():
    """Within the block HOME can be written: it is a new folder, for a moment, where the user's cannot be.

    Matplotlib and VisualDL make folders there when they are imported, and complain or fail where they cannot.
    """
    home = os.environ.get("HOME")
    effective = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    if os.access(os.path.expanduser("~"), os.W_OK, **effective):
        yield
        return
    try:
        place = tempfile.TemporaryDirectory()
    except OSError as error:
        raise UserError(f"no folder for temporary files ({error.strerror}); name one by TMPDIR") from None
    with place as folder:
        os.environ["HOME"] = folder
        try:
            yield
        finally:
            del os.environ["HOME"]
            if home is not None:
                os.environ["HOME"] = home
