"""Texts as the cells of a table."""

FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # what a spreadsheet may take for the beginning of a formula


def cell(text):
    """A name for a cell of a CSV file: with "'" before it where a spreadsheet would compute it."""
    return f"'{text}" if text.startswith(FORMULA) else text


def path_cell(path):
    """The same for a path, with "./" before it: it is a path still."""
    return f"./{path}" if path.startswith(FORMULA) else path
