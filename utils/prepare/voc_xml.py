"""The objects that a VOC annotation (XML) names: class, difficult or not, box."""

from typing import NamedTuple

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from utils.errors import UserError
from utils.files import read_bytes
from utils.prepare.class_names import tidy
from utils.prepare.label_files import LARGEST

LARGEST_FILE = 1_000_000  # bytes; those of VOC have a few thousand
DIFFICULT = {"": False, "0": False, "false": False, "1": True, "true": True}
SIDES = ("xmin", "ymin", "xmax", "ymax")


class Object(NamedTuple):
    """box: [x, y, width, height] in pixels, counted from 0; None where the XML has no valid one."""

    name: str
    difficult: bool
    box: list | None


def read_objects(xml_path):
    """Return the Objects of an annotation, in its order.

    Only <object> directly under the root counts: the <part> of a person (head,
    hand, foot) has a <name> too. UserError for XML that is broken or defines entities.
    """
    try:
        root = fromstring(read_bytes(xml_path, LARGEST_FILE))
    except OSError as error:
        raise UserError(f"cannot read {xml_path}: {error.strerror or error}") from None
    except DefusedXmlException as error:
        raise UserError(f"{xml_path} defines XML entities, which are not read: {error}") from None
    except (ParseError, ValueError, LookupError) as error:  # the last two: odd encodings
        raise UserError(f"{xml_path} is not valid XML ({error}); unpack it again") from None
    if root.tag != "annotation":
        raise UserError(f"{xml_path} is no VOC annotation: its root is <{root.tag}>, not <annotation>")
    objects = []
    for element in root.findall("object"):
        name = tidy(element.findtext("name") or "")
        difficult = (element.findtext("difficult") or "").strip().lower()
        if not name or difficult not in DIFFICULT:
            raise UserError(f"{xml_path}: object '{name}', difficult '{difficult}': want a name and 0 or 1")
        objects.append(Object(name, DIFFICULT[difficult], read_box(element)))
    return objects


def read_box(element):
    """The <bndbox> of an <object> as [x, y, width, height], or None where it is absent or no box.

    VOC counts pixels from 1 and includes the last: xmin 1 and xmax 3 are x 0 and width 3.
    Labels need no box, so a bad one is no reason to stop.
    """
    try:
        sides = [float(element.findtext(f"bndbox/{side}", "")) for side in SIDES]
    except ValueError:  # absent, empty, or no number
        return None
    left, top, right, bottom = sides
    if not all(0 <= side < LARGEST for side in sides) or right < left or bottom < top:  # NaN is in no range
        return None
    box = (left - 1, top - 1, right - left + 1, bottom - top + 1)
    return [round(side, 2) if side % 1 else int(side) for side in box]  # whole but in a few photos of VOC
