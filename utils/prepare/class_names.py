"""Class names that people spell in two ways."""

import difflib
from itertools import combinations

RARE = 0.1  # a name one letter off another is a slip of the pen if it is so much rarer; cat and car are not


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
