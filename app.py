"""A page to play with: drop a photo, see its labels and, for each class, where the model sees it.

python app.py [--load_from FILE]   then open http://127.0.0.1:7860
It serves this machine alone and asks no other; a photo's file is deleted as soon as it was read.
"""

import html
import os

from datasets.transforms import transform
from utils.checkpoint import SHIPPED, load_checkpoint
from utils.device import choose_device
from utils.errors import UserError, run_script
from utils.evaluation.calibration import calibrate
from utils.evaluation.metrics import THRESHOLD
from utils.heatmap_pictures import overlay
from utils.heatmaps import score_maps
from utils.local_page import as_html, check_port, private_gradio, read_upload, serve
from utils.options import make_parser, whole
from utils.photos import SUFFIXES
from utils.predictions import labels_of
from utils.thresholds import choose_thresholds

PLAIN = -1  # stands among the columns of classes: the photo without a heat map
CSS = """
#picture {text-align: center} #picture img {width: 100%; max-height: 70vh; object-fit: contain}
.gradio-container {overflow: clip !important}
@media (max-width: 600px) {  /* on a phone the photo stays in sight while one chooses among the classes */
    #all {flex-direction: column} #all > .column {display: contents} #picture img {max-height: 40vh}
    #picture {position: sticky; top: 0; z-index: 100; background: var(--body-background-fill)}
}"""


def parse_args(argv=None):
    changes = {"load_from": dict(required=False, default=os.path.relpath(SHIPPED))}
    options = "load_from model num_heads lam num_cls dataset img_size threshold thresholds device"
    parser = make_parser(__doc__, from_checkpoint=True, changes=changes, page=options)
    parser.add_argument("--port", type=whole(1, 65535), default=7860, help="of this machine (default: 7860)")
    return parser.parse_args(argv)


def main(args):
    check_port(args.port)
    with private_gradio() as gradio:
        choose_device(args.device)
        model, description = load_checkpoint(
            args.load_from, args.model, args.num_heads, args.lam, args.num_cls, args.img_size, args.dataset
        )
        limits = choose_thresholds(args.threshold, args.thresholds, description, description["classes"])
        serve(gradio, make_page(gradio, model, description, *limits), args.port, CSS)


def look_at(path, model, description, temperature):
    """Run the model on an upload: (photo, scores (C,), maps (C, h, w)). UserError when it cannot be read."""
    image = read_upload(path)
    pixels = transform(image, description["img_size"])[None]  # (1, S, S, 3)
    maps = score_maps(model, pixels, description["normalization"])[0]
    image.thumbnail((900, 900))  # enough to be shown
    return image, calibrate(maps.scores, temperature), maps.summed_score()


def picture(seen, column, classes):
    """HTML that holds the photo, with the heat map of a class unless column is PLAIN."""
    if seen is None:
        return "This page was left too long: drop the photo again."
    image, _, maps = seen
    if column == PLAIN:
        return as_html(image, "the photo")
    return as_html(overlay(image, maps[column]), f"heat map of {classes[column]}: red for it, blue against")


def make_page(gradio, model, description, limit, temperature):
    """The page (gradio.Blocks). A session keeps one photo's look_at; only an upload runs the model.

    limit: the threshold to begin with; for a list of C a box says whether they count or the slider."""
    classes, by_class = description["classes"], isinstance(limit, list)

    def choices(seen, threshold, own, column):
        """The labels, and all classes, best first, to choose one from; those that are labels bear a mark."""
        if seen is None:
            return gradio.skip(), gradio.skip()
        scores = seen[1]
        labels = labels_of(scores, classes, limit if own else threshold)
        texts = [f"{'✓ ' * (name in labels)}{name} {scores[c]:.3f}" for c, name in enumerate(classes)]
        rows = [("photo alone", PLAIN), *((texts[c], c) for c in (-scores).argsort().tolist())]
        return ", ".join(labels) or "none", gradio.Radio(rows, value=column)

    def look(upload, threshold, own):
        try:
            seen = look_at(upload["path"], model, description, temperature)
        except UserError as error:
            gradio.Warning(html.escape(str(error)), title="This cannot be used")
            return None, *[gradio.skip()] * 4
        return None, seen, *choices(seen, threshold, own, PLAIN), picture(seen, PLAIN, classes)

    name = "One threshold for all" if by_class else "Threshold"
    about = "{model}, {num_heads} heads, lambda {lam:g}, {img_size} px".format(**description)
    with gradio.Blocks(title="What the model sees", delete_cache=(60, 60)) as page:
        gradio.Markdown(f"# {page.title}\n{about}")
        seen = gradio.State(time_to_live=3600)
        with gradio.Row(elem_id="all"):
            with gradio.Column():
                upload = gradio.File(label="Photo", file_types=list(SUFFIXES), height=120)
                shown = gradio.HTML(elem_id="picture")
            with gradio.Column():
                own = gradio.Checkbox(by_class, label="Each class's own threshold", visible=by_class)
                slider = gradio.Slider(0, 1, THRESHOLD if by_class else limit, step=0.01, label=name)
                labels = gradio.Textbox(label="Labels", interactive=False, elem_id="labels")
                pick = gradio.Radio([], label="Choose a class to see its heat map")
        quick = dict(api_visibility="private", show_progress="hidden", trigger_mode="always_last")
        everything = [upload, seen, labels, pick, shown]
        upload.upload(look, [upload, slider, own], everything, preprocess=False, api_visibility="private")
        slider.change(lambda: False, None, own, **quick)
        gradio.on([slider.change, own.change], choices, [seen, slider, own, pick], [labels, pick], **quick)
        pick.input(lambda *now: picture(*now, classes), [seen, pick], shown, **quick)
    return page


if __name__ == "__main__":
    run_script(main, parse_args)
