"""Rows of predictions: what is written is what is read back."""

import pytest

from utils.rows import cell, path_cell


@pytest.mark.parametrize("start", "=+-@\t\r\n＝＋－＠")
def test_nothing_that_a_spreadsheet_would_compute(start):
    assert cell(f"{start}1+1") == f"'{start}1+1"
    assert path_cell(f"{start}1.jpg") == f"./{start}1.jpg"


@pytest.mark.parametrize("text", ["", "cat", "a=b", "1-2", "'=1", " =1", "/x/=1.jpg", "日本"])
def test_other_texts_stay(text):
    assert cell(text) == path_cell(text) == text
