"""What the prepare scripts share: reading annotations in JSON, the text of a label file, a warning."""

import json
import sys

from datasets.spec import CLASSES_FILE
from utils.errors import UserError
from utils.files import read_bytes, read_json, write_all

LARGEST = 1e6  # pixels; a number beyond it is no place in a photo
AGAIN = "get the annotations anew"


def read_annotations(path, object_hook=None):
    """Read somebody's annotations, a JSON object; object_hook: as of json.loads, for each object in it."""
    content = read_json(path, AGAIN, object_hook)
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no annotations: a JSON object was expected; {AGAIN}")
    return content


def read_text(path):
    """The text of a UTF-8 file (a BOM is dropped, line ends stay); UserError where it is not one."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8") from None


def text_lines(path):
    """Return the stripped lines of a text file without the empty ones (BOM, CRLF accepted)."""
    return [line.strip() for line in read_text(path).replace("\r", "\n").split("\n") if line.strip()]


def is_box(value):
    """Whether a value is a list of four numbers that may be pixels; NaN is no such number."""
    return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


def _is_number(value):
    return type(value) in (int, float) and abs(value) < LARGEST


def records_text(records):
    """The text of a label file: records as JSON, one a line.

    Bytes of a file's name that are no text, which Python holds as lone surrogates, become JSON escapes.
    """
    text = "[\n" + ",\n".join(json.dumps(record, ensure_ascii=False) for record in records) + "\n]\n"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_data_set(texts):
    """Write {path: text} of label files and of the classes.json that names them, all or none.

    Killed in between it leaves no classes.json and so no data set, even where there was one.
    """
    write_all(texts, last=[path for path in texts if path.name == CLASSES_FILE])


def warn(line):
    """Print a warning on standard error."""
    print(f"warning: {line}", file=sys.stderr)
