"""What a run was, in words: from what val.py writes to metrics.json."""

AP_WORDS = {
    "area": "area: mean precision at the positives (the reference's)",
    "interpolated": "interpolated: area under the envelope (VOC 2010 and later)",
    "voc07_11point": "voc07_11point: mean of the envelope at 11 recalls (VOC 2007)",
}
DIFFICULT_WORDS = {
    "ignore": "left out",
    "negative": "counted as negative",
    "positive": "counted as positive",
}


def about_run(metrics):
    """{name: text} of a run from the content of its metrics.json; what that does not say is left out."""
    checkpoint, options = (dict_at(metrics, key) for key in ("checkpoint", "options"))
    said = {
        "checkpoint": _text(options.get("load_from")),
        "model": _model(checkpoint, options),
        "data": _joined(
            _text(options.get("dataset")) or _text(checkpoint.get("dataset")),
            _text(options.get("data_dir")),
            _text(options.get("split"), "{} split"),
        ),
        "AP": AP_WORDS.get(_text(metrics.get("ap_definition"))),
        "difficult or unknown": _difficult(_text(options.get("difficult")), metrics.get("ignored")),
        "threshold": _threshold(metrics.get("threshold")),
        "temperature": _text(metrics.get("temperature")) if metrics.get("temperature") != 1 else "",
        "top-3": _six(dict_at(metrics, "top3")),
        "checkpoint by": _versions(dict_at(checkpoint, "versions")),
    }
    return {name: text for name, text in said.items() if text}


def dict_at(content, key):
    """The dict at `key` of a dict; an empty one where there is none, since a file may hold anything."""
    value = content.get(key)
    return value if isinstance(value, dict) else {}


def _text(value, words="{}"):
    """A number or text within `words`; "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return ""
    return words.format(f"{value:g}" if isinstance(value, float) else value)


def _joined(*parts):
    return ", ".join(part for part in parts if part)


def _model(checkpoint, options):
    return _joined(
        _text(checkpoint.get("model")),
        _text(checkpoint.get("num_heads"), "{} heads"),
        _text(checkpoint.get("lam"), "lambda {}"),
        _text(options.get("test_time_lam"), "attention at test time with lambda {}"),
        _text(checkpoint.get("img_size"), "{} px"),
        _text(checkpoint.get("epoch"), "epoch {}"),
        "averaged weights" if checkpoint.get("averaged") is True else "",
        _joined("test_aug", *map(str, options.get("test_aug"))) if _is_list(options.get("test_aug")) else "",
    )


def _is_list(value):
    return isinstance(value, list) and bool(value)


def _difficult(rule, ignored):
    words = DIFFICULT_WORDS.get(rule, DIFFICULT_WORDS["ignore"])
    return words + (f" ({_text(ignored)} labels)" if ignored and _text(ignored) else "")


def _threshold(value):
    if _is_list(value) and all(isinstance(each, float) for each in value):
        return f"one for each class, {min(value):.3f} to {max(value):.3f}"
    return _text(value, "{} for all classes")


def _six(top3):
    return ", ".join(f"{name} {100 * value:.1f}" for name, value in top3.items() if isinstance(value, float))


def _versions(versions):
    return ", ".join(f"{name} {value}" for name, value in versions.items() if name != "git")
