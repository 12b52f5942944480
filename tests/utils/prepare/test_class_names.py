"""Class names that look like one class, or like several, or that are none."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import UserError
from utils.prepare.class_names import (
    RARE,
    check_printable,
    folded,
    joined,
    lookalikes,
    nearest,
    one_slip_apart,
    tidy,
)

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def test_an_accent_has_one_form():
    assert tidy(f" {DECOMPOSED}\n") == tidy(COMPOSED) == COMPOSED
    assert lookalikes({COMPOSED: 5, DECOMPOSED: 5}) == [(DECOMPOSED, COMPOSED)]
    assert nearest(DECOMPOSED, ["cave", COMPOSED]) == COMPOSED


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ({"Hot_dog": 3, "hot-DOG ": 5}, [("Hot_dog", "hot-DOG ")]),
        ({"horse": 100, "hors": 1, "house": 10, "houses": 11}, [("hors", "horse"), ("house", "horse")]),
        ({"cat": 100, "car": 90}, []),
        ({"cam1": 100, "cam2": 1, "cam": 1}, []),
        ({"a": 100, "b": 1, "ab": 1}, [("ab", "a")]),
        ({"_": 1, "x": 100}, []),
    ],
)
def test_which_names_look_alike(counts, found):
    assert lookalikes(counts) == found


@given(st.dictionaries(st.text("ab1_É", max_size=5), st.integers(0, 200), max_size=12))
def test_the_lookalikes_are_those_that_all_pairs_give(counts):
    expected = []
    for pair in combinations(sorted(counts), 2):
        rare, often = sorted(pair, key=counts.get)
        slip = counts[rare] <= RARE * counts[often] and one_slip_apart(folded(rare), folded(often))
        if folded(rare) == folded(often) or slip:
            expected.append((rare, often))
    assert lookalikes(counts) == expected


def test_names_may_be_many_and_long():
    counts = {f"tag {number} {'of a photo ' * (number % 7)}": number for number in range(5000)}
    counts["x" * 1_000_000] = 1  # which would take a terabyte without each of its letters
    assert lookalikes(counts) == []


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ("dog", "dig", True),
        ("dog", "dogs", True),
        ("dog", "dgo", True),
        ("odg", "dog", True),
        ("horse", "hrose", True),
        ("horse", "hrosy", False),
        ("cat", "act", True),
        ("dog", "god", False),
        ("cam1", "cam2", False),
        ("b12", "b21", False),
        ("dog", "cat", False),
    ],
)
def test_a_slip_of_the_pen_is_one_letter_or_two_neighbours(first, second, apart):
    assert one_slip_apart(first, second) is one_slip_apart(second, first) is apart


def test_names_that_others_are_part_of():
    several = ["cat, dog", "Dog|cow", "dog;cow"]
    assert joined(["cat", *several, "cow", "sheep"]) == several
    assert joined(["cat+dog", "dog+cow"]) == ["cat+dog", "dog+cow"]  # none stands alone
    assert joined(["stable, inside", "black & white", "cat", "/cat"]) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", ""),
        (" ", " "),
        ("ä\nb", r"ä\nb"),
        ("a\u00a0b", r"a\xa0b"),
        ("\ud800", r"\ud800"),
        ("a\u200bb", r"a\u200bb"),
    ],
)
def test_what_is_no_name(name, shown):
    """It is shown such that one sees why."""
    for places, where in (({}, ""), ({name: "a.csv, line 3"}, "a.csv, line 3: ")):
        with pytest.raises(UserError) as stop:
            check_printable(["cat", name], places)
        assert str(stop.value).startswith(f"{where}class '{shown}': a name must be of characters that can be")
