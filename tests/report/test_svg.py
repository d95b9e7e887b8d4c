"""Figures can stand side by side in one page, light or dark."""

import re

import numpy as np
import pytest

from vimerge.report import densities, style
from vimerge.report.page import draw
from vimerge.report.svg import to_svg


def painted(prefix):
    return draw(prefix, "title", "caption", lambda _, axes: axes.plot([1, 2], [3, 4], "o-", color=style.BLUE)).svg


def ids(svg):
    return re.findall(r'\sid="([^"]*)"', svg)


def test_equal_figures_have_different_ids():
    first, second = ids(painted("a")), ids(painted("b"))
    assert first
    assert all(name.startswith("a-") for name in first)
    assert not set(first) & set(second)


def test_colours_follow_the_theme_and_text_stays_text():
    svg = painted("a")
    assert "var(--blue)" in svg
    assert ">3.0</text>" in svg
    assert "font:" not in svg


def test_a_figure_has_a_name_for_those_who_cannot_see_it():
    figure, _ = style.panel()
    svg = to_svg(figure, "p", 'R & "S"')
    assert 'role="img" aria-label="R &amp; &#34;S&#34;"' in svg
    assert not re.search(r"https?:", svg)


def test_every_colour_has_another_for_the_dark():
    def luminance(color):
        return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) @ [0.2126, 0.7152, 0.0722] / 255

    # Lines and text are dark on white and light on black.
    for light, (name, dark) in style.THEME.items():
        if name != "grid":
            assert luminance(dark) > max(luminance(light), 0.5), name
    assert len({name for name, _ in style.THEME.values()}) == len(style.THEME)


@pytest.mark.parametrize("number", [500, 200_000])
def test_a_density_is_small_however_many_points_there_are(number):
    rng = np.random.default_rng(0)
    x = rng.gamma(2.0, 100.0, number)
    picture = draw("p", "t", "{}", lambda _, axes: densities.log_density(axes, x, x**0.5, style.RED))
    assert len(picture.svg) < 80_000


def test_a_density_counts_points_where_they_are():
    _, axes = style.panel()
    x = np.array([0.25] * 7 + [0.75])
    top = densities.density(axes, x, x, style.BLUE, (0, 1), (0, 1))
    alpha = axes.images[0].get_array()[..., 3]
    assert top == 7
    rows, columns = np.nonzero(alpha)
    np.testing.assert_array_equal(rows, columns)
    np.testing.assert_allclose((rows + 0.5) / len(alpha), [0.25, 0.75], atol=1 / len(alpha))
    assert alpha[rows[0], columns[0]] > alpha[rows[1], columns[1]]


def test_signed_axes_are_linear_about_nought_and_logarithmic_beyond():
    _, axes = style.panel()
    x = np.array([-150.0, 0.0, 1e5])
    densities.signed_density(axes, x, x, style.BLUE, 10.0, (-200.0, 2e5))
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["−100", "0", "100", "10³", "10⁴", "10⁵"]
    gaps = np.diff(axes.get_xticks())
    assert gaps[1] == pytest.approx(gaps[0])
    np.testing.assert_allclose(gaps[2:], np.log(10), rtol=1e-2)


def test_a_surface_shows_where_values_are_high():
    figure, axes = style.panel(square=True)
    x, y = np.random.default_rng(0).uniform(0, 1, (2, 20_000))
    densities.surface(figure, axes, x, y, x, "label", bins=10)
    image = np.asarray(axes.images[0].get_array(), float)
    brightness = image[..., :3].sum(axis=-1).mean(axis=0)
    assert np.all(np.diff(brightness) > 0)
