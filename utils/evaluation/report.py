"""Figures as lines to read and as JSON by class name."""

SIX = ("CP", "CR", "CF1", "OP", "OR", "OF1")


def figure_lines(figures, classes):
    """The reference's three lines, and what a reader must know beside them."""
    mean = "none, no class has a positive" if figures["mAP"] is None else f"{figures['mAP']:4f}"
    lines = [f"mAP: {mean}", *precision_lines(figures)]
    if "top3" in figures:
        lines += [f"top-3 {line}" for line in precision_lines(figures["top3"])]
    absent = [name for name, ap in zip(classes, figures["ap"], strict=True) if ap is None]
    if absent and figures["mAP"] is not None:
        lines.append(f"without a positive, left out of the means of AP and CR: {', '.join(absent)}")
    return lines


def named_figures(figures, classes):
    """The same figures with `ap` and `positives` as dicts by class name."""
    by_name = {key: dict(zip(classes, figures[key], strict=True)) for key in ("ap", "positives")}
    return {**figures, **by_name}


def precision_lines(figures):
    """CP ... OF1 (see metrics.precision_recall) as the reference prints them, two lines."""
    CP, CR, CF1, OP, OR, OF1 = (figures[name] for name in SIX)
    return [f"CP: {CP:4f}, CR: {CR:4f}, CF1 :{CF1:4F}", f"OP: {OP:4f}, OR: {OR:4f}, OF1 {OF1:4F}"]
