"""The page in a real Chromium: quiet, self-contained, sortable, readable on a phone, in the dark and by keyboard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from advae.records import Manifest
from advae.report import write_report
from advae.report.analysis.collecting import compare_runs
from advae.report.data.word_tables import read_value
from tests.report_fixtures import DIGITS, Lab, read_headlines

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 812}
READABLE = 4.5
"""Contrast of text that WCAG 2.2 asks for at level AA."""

AWKWARD = (
    "<b>Ankle boot</b>",
    "a-class-name-that-is-much-longer-than-any-column-and-has-no-space",
    "",
    "\"'><img src=x onerror=alert(1)>",
    "$x$ \u202e right to left",
    "T-shirt/top",
)


@dataclass
class Sight:
    """A page that is open. errors: what it said on the console, or raised; requests: all that it asked for."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def run(self, script: str, *arguments: object) -> Any:
        return self.page.evaluate(script, *arguments)


@dataclass(frozen=True)
class Written:
    """A report on disk. headline: the rows of its headline table, with the numbers behind their words."""

    path: Path
    headline: list[tuple[str, ...]]
    runs: tuple[Manifest, ...]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of this module; none is a failure where CI is set, and skipped elsewhere."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        reason = f"no Chromium ({', '.join(BROWSERS)}); on Debian: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A report on two kinds of classifier, several autoencoders, a failing check, and much that was not run."""
    lab = Lab(tmp_path_factory.mktemp("browser") / "home")
    for model in ("nn", "lr"):
        lab.add_run(lab.add_classifier(model=model), keep=(0.3, 0.1), checked=True)
        for place, type_ in enumerate(("vanilla", "sparse", "blur")):
            classifier = lab.add_classifier(lab.add_autoencoder(type_), model=model)
            found = {"probabilities": True} if (model, type_) == ("nn", "sparse") else {}
            keep = (0.5 + place / 10, 0.1 + place / 20)
            lab.add_run(classifier, keep=keep, checked=True, found=found)
            if type_ != "blur":
                lab.add_run(classifier, threat="oblivious", keep=(0.9, 0.8), checked=True)
    return write(lab, tmp_path_factory.mktemp("written"))


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """One run on a dataset with the names that are worst for a page."""
    dataset = DIGITS.model_copy(update={"name": "</title><script>alert(1)</script>", "classes": AWKWARD})
    lab = Lab(tmp_path_factory.mktemp("awkward") / "home", dataset)
    lab.add_run(lab.add_classifier(lab.add_autoencoder()), checked=True)
    return write(lab, tmp_path_factory.mktemp("written"))


def write(lab: Lab, out: Path) -> Written:
    runs = lab.registry.entries("run")
    path = write_report(lab.registry, runs, out, formats=["html"])["html"]
    return Written(path, list(read_headlines(compare_runs(lab.registry, runs)).rows), tuple(runs))


@pytest.fixture(scope="module")
def page(browser: Any) -> Any:
    """The page that all tests share, since each new one is a process: a test loads its report into it anew."""
    return browser.new_page(viewport=DESKTOP)


@pytest.fixture
def look(page: Any) -> Iterator[Any]:
    """Open a report in place of the last, which must have stayed quiet until the end."""
    sight = Sight(page)
    listeners = {
        "console": lambda message: sight.errors.append(f"{message.type}: {message.text}"),
        "pageerror": lambda error: sight.errors.append(str(error)),
        "request": lambda request: sight.requests.append(request.url),
    }
    opened: set[str] = set()

    def open_report(
        report: Written, *, anchor: str = "", viewport: Any = DESKTOP, color_scheme: str = "light"
    ) -> Sight:
        # From an empty page, since a report with another anchor would not be loaded anew.
        page.goto("about:blank")
        page.set_viewport_size(viewport)
        page.emulate_media(media="screen", color_scheme=color_scheme)
        page.goto(report.path.as_uri() + anchor)
        opened.add(report.path.as_uri())
        return sight

    for event, listener in listeners.items():
        page.on(event, listener)
    yield open_report
    page.goto("about:blank")
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    requests = [url for url in sight.requests if not url.startswith("data:") and url != "about:blank"]
    assert {url.split("#")[0] for url in requests} == opened
    assert sight.errors == []


OPEN_ALL = "for (const one of document.querySelectorAll('details')) one.open = true"


@pytest.fixture(params=["written", "awkward"])
def report(request: pytest.FixtureRequest) -> Written:
    written: Written = request.getfixturevalue(request.param)
    return written


# ---------------------------------------------------------------- what is there


def test_the_headline_is_above_the_fold(written: Written, look: Any) -> None:
    sight = look(written)
    answer = sight.page.locator(".answer").bounding_box()
    table = sight.page.locator("table.headlines tbody tr").first.bounding_box()
    assert answer["y"] + answer["height"] < table["y"] + table["height"] < DESKTOP["height"]
    assert "in front of nn on digits" in sight.page.locator(".answer").inner_text()
    on_a_phone = look(written, viewport=PHONE).page.locator(".answer p").first.bounding_box()
    assert on_a_phone["y"] + on_a_phone["height"] < PHONE["height"]


def test_the_document_is_sound(report: Written, look: Any) -> None:
    found = look(report).run("""() => ({
        images: [...document.images].filter((one) => !one.alt).length,
        labels: [...document.querySelectorAll("[role=img]")].filter((one) => !one.ariaLabel).length,
        captions: [...document.querySelectorAll("figure")].filter((one) => !one.querySelector("figcaption")).length,
        figures: document.querySelectorAll("figure").length,
        twice: [...document.querySelectorAll("[id]")].map((one) => one.id)
            .filter((id, at, all) => all.indexOf(id) < at),
        dangling: [...document.querySelectorAll('a[href^="#"]')].map((one) => one.hash.slice(1))
            .filter((id) => !document.getElementById(id)),
        blank: [...document.querySelectorAll("table.grid td")].filter((one) => !one.textContent.trim()).length,
    })""")
    assert found.pop("figures") >= 3
    assert found == {"images": 0, "labels": 0, "captions": 0, "twice": [], "dangling": [], "blank": 0}


def test_names_from_files_stay_words(awkward: Written, look: Any) -> None:
    sight = look(awkward)
    assert sight.page.locator("body script").count() == 1
    assert sight.page.locator("img[src=x]").count() == 0
    assert "</title><script>alert(1)</script>" in sight.page.locator("h3").first.inner_text()


# ---------------------------------------------------------------- sorting

READ_COLUMN = """([table, column]) => [...table.tBodies[0].rows].map((row) => row.cells[column])
    .map((cell) => cell.dataset.order ?? cell.textContent.trim())"""

SORT_ALL = f"""() => [...document.querySelectorAll("table.sortable")].flatMap((table) =>
    [...table.tHead.querySelectorAll("button")].flatMap((button, column) => [false, true].map((down) => {{
        button.click();
        return [down, ({READ_COLUMN})([table, column])];
    }})))"""


def read_column(sight: Sight, table: Any, column: int) -> list[str]:
    words: list[str] = sight.run(READ_COLUMN, [table, column])
    return words


def test_the_headline_sorts_by_the_numbers_behind_its_words(written: Written, look: Any) -> None:
    sight = look(written)
    table = sight.page.locator("table.headlines")
    for column in range(len(written.headline[0])):
        values: dict[str, Any] = {row[-1]: read_value(row[column]) for row in written.headline}
        known = [value for value in values.values() if value is not None]
        for down in (False, True):
            table.locator("thead button").nth(column).click()
            ids = table.locator("tbody tr td:last-child").all_inner_texts()
            shown = [values[id_] for id_ in ids]
            assert shown[: len(known)] == sorted(known, reverse=down), (column, down)
            assert shown[len(known) :] == [None] * (len(values) - len(known)), "what was not run comes last"
            states = table.locator("thead th").evaluate_all("all => all.map((one) => one.ariaSort)")
            expected = [None] * len(states)
            expected[column] = "descending" if down else "ascending"
            assert states == expected


def test_every_table_sorts_both_ways(written: Written, look: Any) -> None:
    columns = look(written).run(SORT_ALL)
    assert len(columns) > 400
    for down, keys in columns:
        known = [key for key in keys if key]
        assert keys == known + [""] * (len(keys) - len(known))
        if all(map(is_number, known)):
            numbers = list(map(float, known))
            assert numbers == sorted(numbers, reverse=down)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_the_accuracy_table_has_numbers_behind_its_words(written: Written, look: Any) -> None:
    sight = look(written)
    table = sight.page.query_selector("table.accuracy")
    titles = [head.inner_text() for head in table.query_selector_all("thead th")]
    place = titles.index("robust accuracy")
    results = {(run.id, result.eps): result.accuracy for run in written.runs for result in run.as_run()[1].results}
    ids, eps, keys = (read_column(sight, table, column) for column in (titles.index("run"), titles.index("eps"), place))
    assert len(ids) > 10
    for id_, one, key in zip(ids, eps, keys, strict=True):
        assert float(key) == results[id_, float(one)]


def test_tables_that_are_no_figures_sort_and_by_keyboard(written: Written, look: Any) -> None:
    sight = look(written)
    assert sight.page.locator("table:not(.sortable, .matrix, .strip)").count() == 0
    button = sight.page.locator("table.headlines thead button").nth(3)
    button.focus()
    sight.page.keyboard.press("Enter")
    assert sight.page.locator("table.headlines th").nth(3).get_attribute("aria-sort") == "ascending"
    sight.page.keyboard.press("Space")
    assert sight.page.locator("table.headlines th").nth(3).get_attribute("aria-sort") == "descending"


# ---------------------------------------------------------------- finding one's way


def test_an_anchor_opens_all_that_hides_it(written: Written, look: Any) -> None:
    run = written.runs[0]
    pipeline = run.parents[0]
    opened = look(written, anchor=f"#{run.id}")
    assert opened.page.locator(f"#{run.id}").get_attribute("open") is not None
    assert opened.page.locator(f"#{run.id} summary").is_visible()
    closed = look(written)
    assert not closed.page.locator(f"details.pipeline#{pipeline}").get_attribute("open")
    link = closed.page.locator(f'table.headlines a[href="#{pipeline}"]')
    for _ in range(2):
        link.click()
        assert closed.page.locator(f"#{pipeline}").evaluate("(one) => one.open")
        # Closed by hand, the same link must open it again.
        closed.page.locator(f"#{pipeline} > summary").click()


def test_one_pipeline_alone_is_open(awkward: Written, look: Any) -> None:
    assert look(awkward).page.locator("details.pipeline[open]").count() == 1


def test_tab_reaches_everything_with_a_focus_that_is_seen(written: Written, look: Any) -> None:
    sight = look(written)
    wanted = sight.run("""() => {
        const all = document.querySelectorAll("a[href], button, summary, .scroll, pre");
        const seen = [...all].filter((one) => one.checkVisibility());
        seen.forEach((one, at) => { one.dataset.stop = at; });
        return seen.length;
    }""")
    assert wanted > 60
    stops = []
    for _ in range(wanted):
        sight.page.keyboard.press("Tab")
        stops.append(
            sight.run("""() => {
                const one = document.activeElement, style = getComputedStyle(one);
                return [one.dataset.stop, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
            }""")
        )
    assert {stop for stop, _ in stops} == {str(at) for at in range(wanted)}
    assert all(seen for _, seen in stops)


def test_the_skip_link_is_first_and_leads_past_the_navigation(written: Written, look: Any) -> None:
    sight = look(written)
    sight.page.keyboard.press("Tab")
    assert sight.run("document.activeElement.className") == "skip"
    assert sight.page.locator(".skip").bounding_box()["y"] >= 0
    sight.page.keyboard.press("Enter")
    sight.page.keyboard.press("Tab")
    assert sight.run("document.activeElement.closest('section').getAttribute('aria-labelledby')") == "headlines"


# ---------------------------------------------------------------- copying

NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', { value: undefined })"
REFUSED = "Object.defineProperty(navigator, 'clipboard', { value: { writeText: () => Promise.reject(new Error()) } })"
NOTHING_COPIES = f"{NO_CLIPBOARD}; document.execCommand = () => false"


@pytest.mark.parametrize(
    ("before", "said"),
    [("", "Copied."), (NO_CLIPBOARD, "Copied."), (REFUSED, "Copied."), (NOTHING_COPIES, "Selected: copy it")],
    ids=["clipboard", "none", "refused", "no way at all"],
)
def test_the_copy_button_copies_or_selects(written: Written, look: Any, before: str, said: str) -> None:
    sight = look(written)
    sight.run(before or "0")
    block = sight.page.locator("section[aria-labelledby=again] .commands")
    block.locator("button").click()
    block.locator(".copied:not(:empty)").wait_for()
    assert block.locator(".copied").inner_text().startswith(said)
    text = block.locator("code").inner_text()
    assert text.startswith("advae train-")
    assert sight.run("getSelection().toString()").strip() == text.strip()


# ---------------------------------------------------------------- every screen


def test_a_phone_scrolls_down_only(report: Written, look: Any) -> None:
    sight = look(report, viewport=PHONE)
    for script in ("0", OPEN_ALL):
        sight.run(script)
        width, inner = sight.run("[document.scrollingElement.scrollWidth, innerWidth]")
        assert width <= inner == PHONE["width"]


CONTRASTS = """() => {
    const channel = (value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const read = (text) => text.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
    const backOf = (one) => {
        const layers = [];
        for (let part = one; part; part = part.parentElement) {
            const [r, g, b, a = 1] = read(getComputedStyle(part).backgroundColor);
            layers.push([r, g, b, a]);
            if (a === 1) break;
        }
        const cover = (under, [r, g, b, a]) => [r, g, b].map((value, at) => a * value + (1 - a) * under[at]);
        return layers.reverse().reduce(cover, [255, 255, 255]);
    };
    const contrast = (one) => {
        const [light, dark] = [read(getComputedStyle(one).color), backOf(one)].map(luminance).sort((a, b) => b - a);
        return (light + 0.05) / (dark + 0.05);
    };
    const worst = {};
    const all = "body, p, small, a, td, th, summary, button, pre, dd, figcaption, .status, .missing, .notes li, .alarm";
    for (const one of document.querySelectorAll(all)) {
        const name = one.className || one.tagName;
        worst[name] = Math.min(worst[name] ?? 99, contrast(one));
    }
    return [getComputedStyle(document.body).backgroundColor, worst];
}"""


def test_text_is_readable_in_the_light_and_in_the_dark(written: Written, look: Any) -> None:
    backs = {}
    for scheme in ("light", "dark"):
        sight = look(written, color_scheme=scheme)
        sight.run(OPEN_ALL)
        backs[scheme], contrasts = sight.run(CONTRASTS)
        assert {"status fail", "status warn", "status pass", "missing", "P", "alarm"} <= contrasts.keys()
        assert {name: ratio for name, ratio in contrasts.items() if ratio < READABLE} == {}
    light, dark = (sum(map(int, backs[scheme][4:-1].split(", "))) for scheme in ("light", "dark"))
    assert light > 600 > 150 > dark


def test_a_status_is_more_than_a_colour(written: Written, look: Any) -> None:
    marks = look(written).run("""() => [...document.querySelectorAll(".status")].map((one) =>
        [one.textContent.replace(/^\\d+ /, ""), getComputedStyle(one, "::before").content])""")
    assert {tuple(mark) for mark in marks} == {
        ("FAIL", '"✗ "'),
        ("WARN", '"! "'),
        ("PASS", '"✓ "'),
        ("NOT RUN", '"– "'),
    }


def test_print_is_light_without_what_paper_cannot_do(written: Written, look: Any) -> None:
    sight = look(written, color_scheme="dark")
    sight.page.emulate_media(media="print", color_scheme="dark")
    assert not sight.page.locator("nav").is_visible()
    assert not sight.page.locator("button.copy").last.is_visible()
    assert sight.run("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    assert sight.run("getComputedStyle(document.body).color") == "rgb(26, 29, 33)"
