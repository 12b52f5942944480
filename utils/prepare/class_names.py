"""Class names that people spell in two ways or write several of as one, and names that are none."""

import difflib
import re
import unicodedata
from collections import Counter, defaultdict
from itertools import combinations

from datasets.spec import is_name
from utils.errors import UserError

RARE = 0.1  # a name one letter off another is a slip of the pen if it is so much rarer; cat and car are not
LONG = 100  # letters; slips of the pen in longer names are not looked for
BETWEEN = re.compile("[,;|/+&]")  # people put them between labels


def tidy(name):
    """A name as somebody wrote it -> as it counts: without blanks around, each accent in one form (NFC).

    In the other form (NFD) an é is two characters, which look the same and would be another class.
    """
    return unicodedata.normalize("NFC", name.strip())


def check_printable(classes, places):
    """UserError for a name that a classes.json may not hold; places: {name: what says so}, of some."""
    for name in classes:
        if not is_name(name) or not name.strip():
            shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
            where = f"{places[name]}: " if name in places else ""
            raise UserError(
                f"{where}class '{shown}': a name must be of characters that can be printed; give another"
            )


def folded(name):
    """What is left of a name when case, blanks, "_", "-" and forms of letters do not count."""
    name = unicodedata.normalize("NFKC", name.casefold())
    return "".join(c for c in name if c not in "_-" and not c.isspace())


def nearest(name, names):
    """The known name that `name` most likely means, or None."""
    same = [known for known in names if folded(known) == folded(name)]
    return next(iter(same or difflib.get_close_matches(name, names, 1)), None)


def lookalikes(counts):
    """Pairs of names (rarer, more frequent) that look like one class; counts: {name: photos with it}."""
    short = {name: folded(name) for name in sorted(counts)}
    kin = defaultdict(list)  # names that are the same, or the same without one of their letters
    for name, text in short.items():
        cuts = (text[:at] + text[at + 1 :] for at in range(len(text))) if len(text) <= LONG else ()
        for rest in {text, *cuts}:
            kin[rest].append(name)
    pairs = []
    for pair in sorted({pair for names in kin.values() for pair in combinations(names, 2)}):
        rare, frequent = sorted(pair, key=counts.get)
        first, second = short[rare], short[frequent]
        if first == second or counts[rare] <= RARE * counts[frequent] and one_slip_apart(first, second):
            pairs.append((rare, frequent))
    return pairs


def joined(names):
    """Those of the names that look like several in one: "cat, dog" where another holds one of the two."""
    parts = {name: {folded(part) for part in BETWEEN.split(name)} - {""} for name in names}
    counts = Counter(part for its in parts.values() for part in its)
    return [name for name, its in parts.items() if len(its) > 1 and any(counts[part] > 1 for part in its)]


def one_slip_apart(first, second):
    """Whether one letter of several is changed, put in or left out, or two neighbours have changed places;
    digits are no letters (cam1, cam2)."""
    short, long = sorted((first, second), key=len)
    if len(long) - len(short) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    pair = long[start : start + 2]
    if len(short) == len(long) and short[start:] == pair[::-1] + long[start + 2 :]:
        return pair.isalpha()
    rest = short[start + (len(short) == len(long)) :]
    return bool(start or rest) and rest == long[start + 1 :] and long[start : start + 1].isalpha()
