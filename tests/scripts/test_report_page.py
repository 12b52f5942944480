"""The report's page in a browser: it loads from disk, tables sort, filters work, hostile names stay text."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from utils.errors import UserError
from utils.evaluation.bootstrap import ap_of_draws, draws_of_photos, interval, mean_of_classes
from utils.evaluation.compare import Other
from utils.evaluation.metrics import average_precision, evaluate
from utils.evaluation.page import Evaluation, check_report, write_report

HOSTILE = ["<img src=x onerror=alert(1)>", "\"';--", "</script><script>alert(1)</script>", "a$\\frac{$ &amp;"]
CLASSES = [*HOSTILE, "empty", "Ape", "class 10", "class 9", "rück\x1b[31m" + "x" * 60]
PHOTOS = 60


def make_run(seed=0, classes=CLASSES, **changed):
    """An Evaluation of noise; the class "empty" has no positive."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((PHOTOS, len(classes))) < np.linspace(0.1, 0.6, len(classes))).astype(np.int8)
    labels[:2, 0] = 1, -1
    labels[:, [name == "empty" for name in classes]] = 0
    scores = (0.4 * labels + 0.6 * rng.random(labels.shape)).astype(np.float32).clip(0, 1)
    box = [(c, (0, 0, 5 + c, 8), False) for c in range(len(classes))]
    content = {
        "figures": evaluate(scores, labels),
        "about": {"checkpoint": "<b>last</b>.pdparams"},
        "paths": [f"photos/<i>{row}.jpg" for row in range(PHOTOS)],
        "objects": [box] * PHOTOS,
        "sizes": [(20, 20)] * PHOTOS,
    }
    return Evaluation(scores, labels, list(classes), **content | changed)


def pictures(wanted):
    return {pair: (Image.new("RGB", (200, 100), "red"), Image.new("RGB", (200, 100))) for pair in wanted}


OTHER = Other("there/<u>metrics</u>.json", make_run(1).scores, {"options": {"load_from": "<s>x</s>"}})


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A folder with a report beside another run's."""
    folder = tmp_path_factory.mktemp("made") / "report"
    write_report(folder, make_run(), pictures, OTHER)
    return folder


@pytest.fixture
def page(report, web_page):
    web_page.goto((report / "index.html").as_uri())
    return web_page


def column(page, number, table="#classes"):
    """The texts of one column of a table, rows that are shown."""
    shown = "(rows, n) => rows.filter(row => row.checkVisibility()).map(row => row.cells[n].innerText)"
    return page.locator(f"{table} tbody tr").evaluate_all(shown, number)


def header(page, name, table="#classes"):
    return page.locator(f"{table} th[data-sort]", has_text=name).first


def test_it_shows_what_was_measured(page):
    figures = make_run().figures
    assert page.locator("dl.tiles dd").first.inner_text().startswith(f"{100 * figures['mAP']:.1f}")
    ap = [f"{100 * value:.1f}" if value is not None else "–" for value in figures["ap"]]
    assert column(page, 2) == ap
    assert column(page, 1) == [str(count) for count in figures["positives"]]
    said = page.locator("#comparison ~ p.quiet").first.inner_text()
    assert f"{PHOTOS} photos" in said
    assert "Of 8 intervals by class about 0.4 would miss 0" in said


def test_every_picture_is_drawn_and_described(page):
    page.locator("#open").click()
    found = page.locator("img").evaluate_all(
        """images => Promise.all(images.map(async image => {
            image.loading = "eager"; await image.decode(); return [image.alt, image.naturalWidth];
        }))"""
    )
    assert len(found) > 40
    assert all(alt and width for alt, width in found)


def test_numbers_sort_both_ways_and_what_is_not_known_stays_last(page):
    button = header(page, "AP").get_by_role("button")
    button.click()
    assert header(page, "AP").get_attribute("aria-sort") == "descending"
    *numbers, last = column(page, 2)
    assert last == "–"
    assert numbers == sorted(numbers, key=float, reverse=True)
    button.click()
    assert header(page, "AP").get_attribute("aria-sort") == "ascending"
    assert column(page, 2) == [*reversed(numbers), "–"]
    header(page, "positives").get_by_role("button").click()
    assert page.locator("#classes [aria-sort]").count() == 1


def test_names_sort_as_people_do(page):
    header(page, "class").get_by_role("button").click()
    names = column(page, 0)
    assert names.index("Ape") < names.index("class 9") < names.index("class 10") < names.index("empty")
    header(page, "class").get_by_role("button").click()
    assert column(page, 0) == names[::-1]


def test_every_column_sorts_every_table(page):
    sorted_by = page.locator("th[data-sort]").evaluate_all(
        "all => all.map(th => { th.firstElementChild.click(); return th.getAttribute('aria-sort') })"
    )
    assert len(sorted_by) == 12 + 7
    assert all(sorted_by)


def test_the_keyboard_is_enough(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the figures"
    for _ in range(60):
        page.keyboard.press("Tab")
        if (
            page.evaluate("document.activeElement.closest('#classes') && document.activeElement.textContent")
            == "AP"
        ):
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert header(page, "AP").get_attribute("aria-sort") == "descending"
    page.locator("details.class summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.class[open]").count() == 1


def test_filters_narrow_rows_and_sections(page):
    page.locator("#search").fill("CLASS")
    assert column(page, 0) == ["class 10", "class 9"]
    assert page.locator("details.class:visible").count() == 2
    assert page.locator("#shown").inner_text() == f"2 of {len(CLASSES)} classes"
    page.locator("#search").fill("")
    page.locator("#few").check()
    assert 0 < len(column(page, 0)) < len(CLASSES)
    assert all(int(count) < 15 for count in column(page, 1))
    page.locator("#few").uncheck()
    assert len(column(page, 0)) == len(CLASSES)


def test_a_class_opens_from_the_table(page):
    page.get_by_role("link", name="class 9").click()
    section = page.locator(f"#class-{CLASSES.index('class 9')}[open]")
    section.wait_for()
    assert section.locator("li img").count() == 2 * section.locator("li").count() > 0
    page.locator("#close").click()
    assert page.locator("details[open]").count() == 0


def test_hostile_names_stay_text(page):
    assert column(page, 0)[: len(HOSTILE)] == HOSTILE
    assert page.locator("main :is(img:not([src^='data:']), script, b > b, i, u, s)").count() == 0
    assert column(page, 0)[-1].startswith("rück\\x1b[31m")
    assert page.locator("dl.about dd").first.inner_text() == "<b>last</b>.pdparams"
    assert "<i>" in page.locator("figcaption span").first.text_content()
    for name in HOSTILE[:3]:
        page.locator("#search").fill(name)
        assert column(page, 0) == [name]


def test_what_an_escape_might_let_through_would_not_run(report, chromium):
    page = chromium.new_page()
    page.goto((report / "index.html").as_uri())
    attack = "<img src=x onerror='window.ran = 1'><style>body { color: red }</style>"
    page.evaluate("text => document.body.insertAdjacentHTML('beforeend', text)", attack)
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None
    assert page.evaluate("getComputedStyle(document.body).color") != "rgb(255, 0, 0)"
    page.close()


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_shows_it_without_scrolling_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("#open").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    table = page.locator(".scroll:has(#classes)")
    assert table.evaluate("box => box.scrollWidth > box.clientWidth")
    table.evaluate("box => { box.scrollLeft = 200 }")
    left = page.locator("#classes tbody th").first.bounding_box()["x"]
    assert left == pytest.approx(table.bounding_box()["x"], abs=2)  # the names stay


def test_a_sheet_of_a4_holds_it(page):
    page.set_viewport_size({"width": 718, "height": 1000})  # 190 mm
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") == 718
    assert page.locator("#classes th").last.is_visible()


def test_without_scripts_all_is_there(report, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((report / "index.html").as_uri())
    assert page.locator("#classes tbody tr:visible").count() == len(CLASSES)
    assert page.locator(".controls:visible, th button").count() == 0
    context.close()


def test_files_beside_it_hold_the_same(report):
    run = make_run()
    rows = list(csv.DictReader((report / "classes.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["class"] for row in rows] == CLASSES
    ap = average_precision(run.scores, run.labels)
    assert [float(row["ap"] or "nan") for row in rows] == pytest.approx(ap.tolist(), rel=1e-5, nan_ok=True)
    curves = json.loads((report / "curves.json").read_text(encoding="utf-8"))
    assert sum(curves["reliability"]["count"]) == (run.labels != -1).sum()
    assert curves["precision_recall"]["empty"]["recall"] == []
    assert curves["difference"]["draws"] == 1000
    assert sorted(path.name for path in report.iterdir()) == ["classes.csv", "curves.json", "index.html"]


def test_what_another_run_is_compared_by_is_said_of_both(tmp_path):
    """There AP was of another kind; here it is made anew from its scores."""
    run = make_run(about={"AP": "ours", "difficult or unknown": "our rule"}, objects=None)
    other = Other("m.json", run.scores, {"mAP": 0.1, "ap_definition": "voc07_11point", "ignored": 7})
    page = write_report(tmp_path, run, None, other).read_text(encoding="utf-8")
    assert "voc07_11point" not in page
    assert page.count("<dt>AP</dt><dd>ours</dd>") == page.count("<dd>our rule</dd>") == 2


def test_intervals_are_over_photos_not_over_their_boxes(tmp_path):
    alone, paths = make_run(objects=None), [f"{row // 6}.jpg" for row in range(PHOTOS)]
    together = make_run(objects=None, paths=paths)
    for run, count in ((alone, 60), (together, 10)):
        page = write_report(tmp_path, run).read_text(encoding="utf-8")
        assert f"1,000 draws of {count} photos" in page
        low, high = json.loads((tmp_path / "curves.json").read_text(encoding="utf-8"))["mAP_interval"]
        times = draws_of_photos(run.paths)
        drawn = mean_of_classes(ap_of_draws(run.scores, run.labels, times))
        assert [low, high] == pytest.approx(interval(drawn), rel=1e-5)


def test_photos_shown_as_mistakes_are_those_that_are_counted(tmp_path):
    """Where ignored labels count as negative, they are among them, and said to be ignored."""
    labels, scores = np.array([[-1], [1]], np.int8), np.array([[0.9], [0.8]], np.float32)
    for rule, said in ((False, "0 false"), (True, "1 false")):
        figures = evaluate(scores, labels, ignored_is_negative=rule)
        run = Evaluation(scores, labels, ["hat"], figures, {}, ["a.jpg", "b.jpg"], ignored_is_negative=rule)
        page = write_report(tmp_path / said, run).read_text(encoding="utf-8")
        assert said in page
        assert page.count("ignored: hat") == rule


def test_the_same_input_gives_the_same_bytes_and_light_plots(report, tmp_path, capsys):
    write_again = write_report(tmp_path, make_run(), pictures, OTHER).read_bytes()
    assert write_again == (report / "index.html").read_bytes()
    assert f"({len(write_again) / 1e6:.1f} MB)" in capsys.readouterr().out
    plots = re.findall(rb'src="data:image/svg[^"]*"', write_again)
    assert len(plots) == 6 + 2 * len(CLASSES) - 1  # one class has no curve
    assert max(map(len, plots)) < 30_000


def test_one_photo_of_one_class_is_enough(tmp_path, web_page):
    for name, label in (("absent", 0), ("there", 1)):
        labels, scores = np.array([[label]], np.int8), np.array([[0.7]], np.float32)
        run = Evaluation(scores, labels, ["cat"], evaluate(scores, labels), {}, ["a.jpg"])
        web_page.goto(write_report(tmp_path / name, run).as_uri())
        assert column(web_page, 2) == ["100.0" if label else "–"]


def test_what_stands_in_the_way_is_told_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        check_report(tmp_path / "file/report")
    check_report(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(UserError, match="pip install jinja2"):
        check_report(tmp_path / "new")
