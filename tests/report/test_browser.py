"""A browser shows the page: figures are seen, nothing overflows, and nothing is amiss on the console."""

import shutil

import pytest

webdriver = pytest.importorskip("selenium.webdriver")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver")

SIZES = {"desktop": (1280, 900), "telephone": (390, 844)}


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def show(browser, page):
    def open_page(size, scheme="light"):
        width, height = SIZES[size]
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "telephone"}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.get(page.as_uri())
        return browser

    return open_page


@pytest.mark.parametrize("size", SIZES)
def test_the_console_is_silent(show, size):
    assert show(size).get_log("browser") == []


@pytest.mark.parametrize("size", SIZES)
def test_every_figure_is_seen(show, size, page):
    script = "return [...document.querySelectorAll('figure svg')].map(e => e.getBoundingClientRect())"
    boxes = show(size).execute_script(script)
    assert len(boxes) == page.read_text(encoding="utf-8").count("<svg ") > 20
    width = SIZES[size][0]
    assert all(box["width"] > 250 and box["height"] > 150 for box in boxes)
    assert all(box["left"] >= 0 and box["right"] <= width for box in boxes)
    # Of a picture and the bar that tells its colours, the picture.
    widest = "Math.max(...[...e.querySelectorAll('image')].map(i => i.getBoundingClientRect().width))"
    images = f"return [...document.querySelectorAll('figure svg:has(image)')].map(e => {widest})"
    assert min(show(size).execute_script(images)) > 150


@pytest.mark.parametrize("size", SIZES)
def test_the_page_does_not_scroll_sideways(show, size):
    browser = show(size)
    browser.execute_script("document.querySelectorAll('details').forEach(e => { e.open = true })")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= SIZES[size][0]
    # Though its tables do, in their boxes.
    wide = "return [...document.querySelectorAll('.scroll')].some(e => e.scrollWidth > e.clientWidth)"
    assert browser.execute_script(wide)


@pytest.mark.parametrize("size", SIZES)
def test_the_navigation_stays_and_leads_to_its_section(show, size):
    browser = show(size)
    browser.execute_script("document.documentElement.style.scrollBehavior = 'auto'; location.hash = 'outliers'")
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    top = "return document.querySelector(arguments[0]).getBoundingClientRect()"
    navigation, section = (browser.execute_script(top, selector) for selector in ("nav", "#outliers-title"))
    assert navigation["top"] == pytest.approx(0, abs=1)
    assert navigation["bottom"] <= section["top"] < SIZES[size][1]


def test_a_printed_page_holds_everything_on_white(browser, page):
    """An A4 sheet less its margins, of someone who likes the screen dark."""
    width = round((210 - 2 * 10) / 25.4 * 96)
    metrics = {"width": width, "height": 1022, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    try:
        browser.get(page.as_uri())
        boxes = browser.execute_script(
            "return [...document.querySelectorAll('main table, figure svg, .card')].map(e => e.getBoundingClientRect())"
        )
        assert all(box["left"] >= 0 and box["right"] <= width for box in boxes)
        # What is folded away on the screen is there.
        assert all(box["height"] > 20 for box in boxes)
        style = "getComputedStyle(document.body)"
        colors = browser.execute_script(f"return [{style}.backgroundColor, {style}.color]")
        assert colors == ["rgb(255, 255, 255)", "rgb(38, 38, 38)"]
        assert browser.execute_script("return getComputedStyle(document.querySelector('nav')).display") == "none"
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def test_the_keyboard_shows_definitions(show):
    browser = show("telephone")
    browser.execute_script("document.querySelector('table .term').focus()")
    style = "getComputedStyle(document.activeElement, '::after')"
    content, position = browser.execute_script(f"return [{style}.content, {style}.position]")
    title = browser.execute_script("return document.activeElement.title")
    assert content.strip('"') == title
    assert position == "fixed"


def test_figures_follow_the_dark_mode(show):
    color = "return getComputedStyle(document.querySelector('figure svg text')).fill"
    dark, light = (show("desktop", scheme).execute_script(color) for scheme in ("dark", "light"))
    assert dark == "rgb(230, 232, 235)"
    assert light == "rgb(38, 38, 38)"
