"""What the prepare scripts share: the text of a label file, a warning."""

import json
import sys


def records_text(records):
    """The text of a label file: records as JSON, one a line."""
    return "[\n" + ",\n".join(json.dumps(record, ensure_ascii=False) for record in records) + "\n]\n"


def warn(line):
    """Print a warning on standard error."""
    print(f"warning: {line}", file=sys.stderr)
