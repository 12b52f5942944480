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
    checkpoint, options = (_dict(metrics.get(key)) for key in ("checkpoint", "options"))
    data = options.get("dataset") or checkpoint.get("dataset")
    threshold = metrics.get("threshold")
    said = {
        "checkpoint": options.get("load_from"),
        "model": _model(checkpoint, options),
        "data": _joined(data, options.get("data_dir"), _with(options.get("split"), "{} split")),
        "AP": AP_WORDS.get(metrics.get("ap_definition")),
        "difficult labels": _difficult(options.get("difficult"), metrics.get("ignored")),
        "threshold": _threshold(threshold),
        "temperature": _with(metrics.get("temperature"), "{:.3f}"),
        "top-3": _six(_dict(metrics.get("top3"))),
        "written by": _versions(_dict(checkpoint.get("versions"))),
    }
    return {name: text for name, text in said.items() if text}


def _dict(value):
    return value if isinstance(value, dict) else {}


def _with(value, words):
    return words.format(value) if value is not None else None


def _joined(*parts):
    return ", ".join(str(part) for part in parts if part)


def _model(checkpoint, options):
    tested = options.get("test_time_lam")
    return _joined(
        checkpoint.get("model"),
        _with(checkpoint.get("num_heads"), "{} heads"),
        _with(checkpoint.get("lam"), "lambda {:g}"),
        _with(tested, "attention at test time with lambda {:g}"),
        _with(checkpoint.get("img_size"), "{} px"),
        _with(checkpoint.get("epoch"), "epoch {}"),
        "averaged weights" if checkpoint.get("averaged") else "",
        _with(options.get("test_aug") or None, "test_aug {}"),
    )


def _difficult(rule, ignored):
    words = DIFFICULT_WORDS.get(rule, DIFFICULT_WORDS["ignore"])
    return words + (f" ({ignored:,} labels)" if ignored else "")


def _threshold(value):
    if isinstance(value, list):
        return f"one for each class, {min(value):.3f} to {max(value):.3f}" if value else None
    return _with(value, "{:g} for all classes")


def _six(top3):
    return ", ".join(f"{name} {100 * value:.1f}" for name, value in top3.items())


def _versions(versions):
    return ", ".join(f"{name} {value}" for name, value in versions.items() if name != "git")
