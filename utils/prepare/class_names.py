"""Class names: which there are, and that people spell one in two ways."""

import difflib
from itertools import combinations

from utils.errors import UserError
from utils.prepare.listed import PRESENT, class_name, read_text

RARE = 0.1  # a name one letter off another is a slip of the pen if it is so much rarer; cat and car are not


def choose_classes(photos, known=None, path=None):
    """Class names in order: of the file `path`, one a line, or else `known`, or else all, sorted.

    Raises UserError for a file that does not fit, and for a label that is not among its names.
    """
    if path is None:
        classes = known or sorted({name for photo in photos for name in photo.labels})
        if not classes:
            raise UserError("no photo has a label; without labels there is nothing to learn")
        return classes
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    classes = [class_name(line, path) for line in lines]
    if not classes or len(set(classes)) < len(classes):
        raise UserError(f"--classes {path} gives no class or one twice; want different names, one a line")
    for photo in photos:
        for name in photo.labels:
            if name not in classes:
                near = nearest(name, classes) or "none"
                raise UserError(
                    f"{photo.where}: unknown class '{name}' (near it: {near}); correct it, or {path}"
                )
    return classes


def odd_names(photos, classes):
    """Lines on names that look like slips: two spellings of one class, several classes in one name."""
    counts = {name: sum(photo.labels.get(name) == PRESENT for photo in photos) for name in classes}
    lines = [
        f"'{rare}' ({counts[rare]} photos) looks like '{frequent}' ({counts[frequent]}); each is a class"
        for rare, frequent in lookalikes(counts)
    ]
    lines += [f"class '{name}' holds a comma; labels are separated by ;" for name in classes if "," in name]
    if set(classes) <= {"0", "1"}:
        lines.append("the classes are 0 and 1: if they mean no and yes, call the column what they are about")
    return lines


def folded(name):
    """What is left of a name when case, blanks, "_" and "-" do not count."""
    return "".join(c for c in name.casefold() if c not in "_-" and not c.isspace())


def nearest(name, names):
    """The known name that `name` most likely means, or None."""
    same = [known for known in names if folded(known) == folded(name)]
    return next(iter(same or difflib.get_close_matches(name, names, 1)), None)


def lookalikes(counts):
    """Pairs of names (rarer, more frequent) that look like one class; counts: {name: photos with it}."""
    pairs = []
    for pair in combinations(sorted(counts), 2):
        rare, frequent = sorted(pair, key=counts.get)
        first, second = folded(rare), folded(frequent)
        if first == second or counts[rare] <= RARE * counts[frequent] and one_letter_apart(first, second):
            pairs.append((rare, frequent))
    return pairs


def one_letter_apart(first, second):
    """Whether one letter is changed, put in or left out; digits are no letters (cam1, cam2)."""
    short, long = sorted((first, second), key=len)
    if len(long) - len(short) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    rest = short[start + (len(short) == len(long)) :]
    return rest == long[start + 1 :] and long[start : start + 1].isalpha()
