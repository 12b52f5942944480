"""The original's figures, by the checks that make docs/results/parity.md."""

import pytest

from benchmarks.parity_checks import CHECKS


@pytest.mark.parametrize("name", CHECKS)
def test_equal_to_the_original(name, shared_path, tmp_path):
    check, needs_more = CHECKS[name]
    rows = check(shared_path("golden") if needs_more else tmp_path)
    assert rows
    for what, tolerance, measured in rows:
        assert measured <= tolerance, what
