"""Packages that only some uses need."""

import importlib

from utils.errors import UserError


def optional(module, package=None):
    """Import and return a module; where its package is absent, a UserError says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        package = package or module.split(".")[0]
        raise UserError(f"this needs {package}, which is not installed: pip install {package}") from None
