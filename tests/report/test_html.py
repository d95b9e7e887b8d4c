"""The page has what the folders have, needs nothing else, and is sound HTML."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.reflections import OptionError, UnreadableFileError
from vimerge.report.definitions import DEFINITIONS, format_number
from vimerge.report.html import write_report

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements with their attributes, in order; fails if they are not nested."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"{self.open} are not closed"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, text):
        self.text.append(text)

    def attributes(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def ids(self, tag):
        return [attributes["id"] for name, attributes in self.elements if name == tag and "id" in attributes]


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def sections(path):
    return read(path).ids("section")


ALL = ["summary", "resolution", "pairs", "images", "detector", "predictions", "residuals", "posterior", "training"]
ALL += ["outliers"]


def test_two_folders_have_every_section(page):
    assert sections(page) == [*ALL, "definitions"]
    assert read(page).ids("footer") == ["provenance"]


def test_every_section_is_in_the_navigation(page):
    parsed = read(page)
    links = [attributes["href"] for tag, attributes in parsed.elements if tag == "a" and "href" in attributes]
    assert links == ["#main", *(f"#{key}" for key in [*ALL, "definitions", "provenance"])]


def test_the_page_refers_to_nothing_outside_itself(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"https?://", text)
    assert "<script" not in text
    assert "@import" not in text
    parsed = Page(text)
    assert all(target.startswith(("#", "data:")) for name in ("href", "src") for target in parsed.attributes(name))
    assert set(re.findall(r"url\((.)", text)) <= {"#"}


def test_ids_are_unique_and_what_is_referred_to_is_there(page):
    text = page.read_text(encoding="utf-8")
    parsed = Page(text)
    ids = parsed.attributes("id")
    assert len(ids) == len(set(ids))
    references = set(re.findall(r"url\(#([^)]*)\)", text)) | {h[1:] for h in parsed.attributes("href") if h[0] == "#"}
    references |= set(parsed.attributes("aria-labelledby"))
    assert references <= set(ids)


def test_figures_take_all_their_colours_from_the_theme(page):
    figures = re.findall(r"<svg.*?</svg>", page.read_text(encoding="utf-8"), re.S)
    assert len(figures) > 20
    for svg in figures:
        drawn = re.sub(r'href="data:[^"]*"', "", svg)
        assert not re.findall(r"#[0-9a-f]{6}", drawn)
        assert "var(--ink)" in drawn


def test_numbers_have_definitions_that_the_keyboard_reaches(page):
    parsed = read(page)
    cells = [attributes for tag, attributes in parsed.elements if tag == "td"]
    assert len(cells) > 300
    assert all(attributes.get("title") for attributes in cells)
    terms = [attributes for tag, attributes in parsed.elements if tag == "abbr"]
    assert all(attributes["tabindex"] == "0" and attributes["title"] for attributes in terms)
    boxes = [a for _, a in parsed.elements if "scroll" in (a.get("class") or "")]
    assert all(attributes["tabindex"] == "0" for attributes in boxes)


def test_table_one_says_what_the_statistics_say(page, results):
    from vimerge.statistics import half_dataset_correlations

    table = half_dataset_correlations(rs.read_mtz(str(results / "evans" / "half_datasets.mtz")), 1)
    row = re.search(r"<tr><th[^>]*><abbr[^>]*>CC½</abbr></th><td[^>]*>([\d.]+)", page.read_text(encoding="utf-8"))
    assert row[1] == f"{table.loc['overall', 'cc_half']:.3f}"


def test_the_footer_tells_where_the_results_come_from(page, observations):
    text = "".join(read(page).text)
    assert str(observations) in text
    assert re.search(r"SHA-256 [0-9a-f]{64}", text)
    assert "scaled & merged <evans>" in text


def test_one_folder_is_not_compared_with_itself(folder, tmp_path):
    assert sections(write_report(folder, tmp_path / "one.html")) == [*(k for k in ALL if k != "pairs"), "definitions"]


@pytest.mark.parametrize(
    ("missing", "gone"),
    [
        ({"predictions.mtz"}, {"images", "detector", "predictions", "residuals", "outliers"}),
        ({"merged.mtz", "half_datasets.mtz"}, {"resolution", "posterior"}),
        ({"history.csv", "run.json", "log.txt"}, {"training"}),
    ],
    ids=lambda value: "-".join(sorted(value)),
)
def test_sections_without_data_are_left_out(folder, tmp_path, missing, gone):
    for name in missing:
        (folder / name).unlink()
    found = sections(write_report(folder, tmp_path / "less.html"))
    assert found == [key for key in [*ALL, "definitions"] if key not in {*gone, "pairs"}]


def test_without_half_data_sets_there_is_no_cc_half(folder, tmp_path):
    (folder / "half_datasets.mtz").unlink()
    text = write_report(folder, tmp_path / "less.html").read_text(encoding="utf-8")
    assert "<h3>CC½</h3>" not in text
    assert "<h3>⟨I/σ(I)⟩</h3>" in text


def change(folder, stem, edit):
    path = str(folder / f"{stem}.mtz")
    edit(rs.read_mtz(path)).write_mtz(path)


def without_sigmas(table):
    for name in table.columns:
        if name.startswith("SIG") and name != "SIGIobs":
            table[name] = rs.DataSeries(np.full(len(table), np.nan), index=table.index, dtype=table[name].dtype)
    return table


def test_point_estimates_have_no_uncertainties_to_show(folder, tmp_path):
    for stem in ("merged", "half_datasets", "predictions"):
        change(folder, stem, without_sigmas)
    text = write_report(folder, tmp_path / "point.html").read_text(encoding="utf-8")
    assert "<h3>⟨I/σ(I)⟩</h3>" not in text
    assert "<h3>CC½</h3>" in text


def test_a_handful_of_data_is_enough(folder, tmp_path):
    for stem, number in (("merged", 12), ("half_datasets", 12), ("predictions", 15)):
        change(folder, stem, lambda table, number=number: table.iloc[:number])
    assert {"summary", "resolution", "images", "outliers"} <= set(sections(write_report(folder, tmp_path / "few.html")))


def test_positions_and_rotation_are_used_where_predictions_have_them(page, folder, tmp_path):
    assert "rotation (°)" in page.read_text(encoding="utf-8")
    path = str(folder / "predictions.mtz")
    rs.read_mtz(path).drop(columns=["ROT", "XDET", "YDET"]).write_mtz(path)
    other = write_report(folder, tmp_path / "less.html")
    assert "detector" not in sections(other)
    assert "rotation (°)" not in other.read_text(encoding="utf-8")


def test_many_observations_do_not_make_a_large_page(folder, tmp_path):
    path = str(folder / "predictions.mtz")
    table = rs.read_mtz(path)
    many = rs.concat([table] * 20)
    many["image_id"] = rs.DataSeries(np.arange(len(many)) // 50, index=many.index, dtype="I")
    many.write_mtz(path)
    page = write_report(folder, tmp_path / "many.html")
    assert len(many) > 100_000
    assert page.stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("folders", "names", "error", "message"),
    [
        ([], None, OptionError, "name one or more"),
        (["nowhere"], None, UnreadableFileError, "no folder nowhere"),
        (["."], None, UnreadableFileError, "neither merged.mtz nor predictions.mtz"),
        ([".", "."], ["a", "a"], OptionError, "as many different names"),
    ],
)
def test_errors_name_the_fix(folders, names, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        write_report(folders, "report.html", names)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [("completeness", 0.987, "98.7%"), ("z", -6.04, "−6.0"), ("cc_half", np.nan, "–"), ("unique", 12345.0, "12,345")],
)
def test_numbers_are_written_as_their_definition_says(key, value, text):
    assert format_number(key, value) == text
    assert DEFINITIONS[key].text.endswith(".")
