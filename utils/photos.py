"""Which photos a user means."""

from pathlib import Path

from utils.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def find_photos(inputs, option="--img_dir"):
    """Paths of all photos in `inputs`, files and folders in any mix: sorted, each once.

    Of a folder the files with one of SUFFIXES, in any case, are taken; a file that
    is named is taken as it is. Raises UserError when a path is missing or none is found.
    """
    found = set()
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            found.update(
                str(entry)
                for entry in path.iterdir()
                if entry.suffix.lower() in SUFFIXES and not entry.is_dir()
            )
        elif path.exists():
            found.add(str(path))
        else:
            raise UserError(f"no file or folder {given}; name photos or folders with {option}")
    if not found:
        raise UserError(f"no photo ({' '.join(SUFFIXES)}) in {' '.join(map(str, inputs))}")
    return sorted(found)
