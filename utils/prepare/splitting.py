"""Which photos train and which evaluate: every class on both sides, photos that look alike on one.

The stratification is Sechidis, Tsoumakas & Vlahavas, On the Stratification of Multi-Label Data, 2011,
of the package iterative-stratification. It divides groups, each with the labels of all its photos.
"""

from collections import defaultdict
from itertools import chain

import numpy as np

from utils.errors import UserError
from utils.optional import optional
from utils.prepare.duplicates import groups, near_rows
from utils.prepare.labelled import UNKNOWN

TRIES = 10  # splits of which the best is taken: groups differ in size, which the stratification cannot know


def groups_of(facts, share):
    """((N,) int: the group of each photo, a warning or None) of the photos' Facts.

    A group holds photos that look alike. Where that makes one that no split could hold, photos of one scene
    taken again and again, a group holds only files of the same bytes.
    """
    by_bytes = defaultdict(list)
    for row, fact in enumerate(facts):
        by_bytes[fact.digest].append(row)
    same = [(rows[0], rows[1:]) for rows in by_bytes.values() if len(rows) > 1]
    alike = groups(len(facts), chain(near_rows([fact.fingerprint for fact in facts]), same))
    largest = int(np.bincount(alike).max())
    if largest <= (1 - share) * len(facts):
        return alike, None
    return groups(len(facts), same), (
        f"{largest} of {len(facts)} photos look alike, so only files of the same bytes are kept on one "
        "side; where photos follow each other, say in the annotations which split they belong to"
    )


def choose_test(targets, group, share, seed):
    """(N,) bool: the photos to evaluate on, near `share` of them all and of each class's positives.

    targets: (N, C) of 1, 0 and UNKNOWN; group: (N,) int. The same seed gives the same split. Raises
    UserError where there are not two groups to divide.
    """
    targets = np.asarray(targets)
    leaders, member = np.unique(group, return_inverse=True)
    if len(leaders) < 2:
        raise UserError(
            f"{len(targets)} photos, all alike, cannot be split; give --test_share 0, or more photos"
        )
    traits = _traits(targets)
    of_groups = np.zeros((len(leaders), traits.shape[1]), dtype=bool)
    np.logical_or.at(of_groups, member, traits)
    wished = min(max(1, round(share * len(leaders))), len(leaders) - 1)
    stratifiers = optional("iterstrat.ml_stratifiers", "iterative-stratification")
    splitter = stratifiers.MultilabelStratifiedShuffleSplit(TRIES, test_size=wished, random_state=seed)
    candidates = []
    for _, chosen in splitter.split(of_groups, of_groups):
        in_test = np.isin(member, chosen)  # (N,)
        if in_test.any() and not in_test.all():
            candidates.append(in_test)
    if not candidates:  # labels of one photo each all go to training
        candidates = [member == np.bincount(member).argmin()]
    return min(candidates, key=lambda in_test: _distance(traits, in_test, share))


def _traits(targets):
    """(N, T) bool, what a split shall divide evenly: positives, unknown labels, photos without a positive."""
    positive, unknown = targets == 1, targets == UNKNOWN
    nothing = ~positive.any(axis=1, keepdims=True)
    return np.concatenate([positive, unknown[:, unknown.any(axis=0)], nothing], axis=1)


def _distance(traits, in_test, share):
    """By how many photos a split misses the wish, in all and for the trait that it misses most."""
    counts, chosen = traits.sum(axis=0), traits[in_test].sum(axis=0)
    return max(abs(in_test.sum() - share * len(in_test)), np.abs(chosen - share * counts).max())
