"""Packages that only some uses need."""

import importlib
import sys
from contextlib import nullcontext

from utils.errors import UserError
from utils.home import writable_home


def optional(module, package=None):
    """Import and return a module; where its package is absent, a UserError says how to get it.

    Matplotlib and VisualDL make folders in HOME when they are imported, and complain or fail
    where they cannot: they get one that they can.
    """
    try:
        with nullcontext() if sys.modules.get(module) else writable_home():
            return importlib.import_module(module)
    except ImportError:
        package = package or module.split(".")[0]
        raise UserError(f"this needs {package}, which is not installed: pip install {package}") from None
