"""The page in a real Chromium: quiet, self-contained, drawn, sortable, readable on a phone, in the dark, by keys."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from advae.records import Manifest
from advae.report import write_report
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.number_records import PipelineNumber
from advae.report.analysis.pipeline_numbers import list_first_numbers
from advae.report.analysis.tables import Findings
from tests.report_fixtures import DIGITS, Lab

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 375, "height": 812}
TABLET = {"width": 800, "height": 1100}
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

    def open_all(self) -> None:
        """Open every part, and wait until what is built then is there."""
        self.run("for (const one of document.querySelectorAll('details')) one.open = true")
        self.page.wait_for_selector("script.packed", state="detached")
        self.run("for (const one of document.querySelectorAll('details')) one.open = true")

    def wait(self, script: str, *arguments: object) -> None:
        """Wait until a script returns true. Playwright's own way evaluates text, which the page's policy forbids."""
        deadline = monotonic() + 30
        while not self.run(script, *arguments):
            assert monotonic() < deadline, script
            self.page.wait_for_timeout(50)

    def draw(self) -> None:
        """Wait until the first chart is drawn."""
        self.page.wait_for_selector(".pipelines-chart[data-drawn]")


@dataclass(frozen=True)
class Written:
    """A report on disk."""

    path: Path
    numbers: tuple[PipelineNumber, ...]
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
    return Written(path, tuple(list_first_numbers(Findings(compare_runs(lab.registry, runs)))), tuple(runs))


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


@pytest.fixture(params=["written", "awkward"])
def report(request: pytest.FixtureRequest) -> Written:
    written: Written = request.getfixturevalue(request.param)
    return written


# ---------------------------------------------------------------- what is there


def test_the_finding_its_number_and_its_chart_are_on_the_first_screen(written: Written, look: Any) -> None:
    sight = look(written)
    for part in ("h1", ".big", ".ratings", ".pipelines-chart"):
        box = sight.page.locator(part).first.bounding_box()
        assert box["y"] + box["height"] < DESKTOP["height"], part
    assert sight.page.locator("h1").inner_text().endswith("protects the classifier in part: sparse") or (
        "autoencoder" in sight.page.locator("h1").inner_text()
    )
    best = max((one for one in written.numbers if one.role == "autoencoder"), key=lambda one: one.known)
    assert sight.page.locator(".big").inner_text().replace("\xa0", " ") == f"{100 * best.known:.1f} %"
    on_a_phone = look(written, viewport=PHONE).page.locator(".ratings").bounding_box()
    assert on_a_phone["y"] + on_a_phone["height"] < PHONE["height"]


def test_the_page_is_short_and_has_few_elements_before_it_is_opened(written: Written, look: Any) -> None:
    sight = look(written)
    sight.draw()
    assert sight.run("document.querySelectorAll('*').length") < 3000
    assert sight.run("document.documentElement.scrollHeight / innerHeight") < 12


def test_the_document_is_sound(report: Written, look: Any) -> None:
    sight = look(report)
    sight.open_all()
    found = sight.run("""() => ({
        images: [...document.images].filter((one) => !one.alt).length,
        labels: [...document.querySelectorAll("[role=img]")].filter((one) => !one.ariaLabel).length,
        captions: [...document.querySelectorAll("figure")].filter((one) => !one.querySelector("figcaption")).length,
        figures: document.querySelectorAll("figure").length,
        twice: [...document.querySelectorAll("[id]")].map((one) => one.id)
            .filter((id, at, all) => all.indexOf(id) < at),
        dangling: [...document.querySelectorAll('a[href^="#"]')].map((one) => one.hash.slice(1))
            .filter((id) => !document.getElementById(id)),
        blank: [...document.querySelectorAll("table.grid td:not(.tick)")]
            .filter((one) => !one.textContent.trim()).length,
    })""")
    assert found.pop("figures") >= 3
    assert found == {"images": 0, "labels": 0, "captions": 0, "twice": [], "dangling": [], "blank": 0}


def test_names_from_files_stay_words(awkward: Written, look: Any) -> None:
    sight = look(awkward)
    sight.draw()
    sight.open_all()
    assert sight.page.locator("script:not([type])").count() == 1
    assert sight.page.locator("img[src=x]").count() == 0
    assert "</title><script>alert(1)</script>" in sight.page.locator("h3").first.inner_text()
    # In charts, too: the images of a class, and the counts of a heat map.
    assert sight.page.locator("svg image, svg script, svg a").count() == 0


# ---------------------------------------------------------------- sorting

READ_COLUMN = """([table, column]) => [...table.tBodies[0].rows].map((row) => row.cells[column])
    .map((cell) => cell.dataset.order ?? cell.textContent.trim())"""

SORT_ALL = f"""() => [...document.querySelectorAll("table.sortable")].flatMap((table) =>
    [...table.tHead.rows[0].cells].flatMap((head, column) => [false, true].filter(() => head.querySelector("button"))
        .map((down) => {{
            head.querySelector("button").click();
            return [down, ({READ_COLUMN})([table, column])];
        }})))"""


def read_column(sight: Sight, table: Any, column: int) -> list[str]:
    words: list[str] = sight.run(READ_COLUMN, [table, column])
    return words


def test_the_numbers_sort_by_what_is_behind_their_words(written: Written, look: Any) -> None:
    sight = look(written)
    table = sight.page.locator("table.numbers")
    values = {one.classifier_id: one.robust and one.robust.value for one in written.numbers}
    known = [value for value in values.values() if value is not None]
    head = table.locator("th", has_text="robust accuracy").first
    for down in (False, True):
        head.locator("button").click()
        ids = table.locator("tbody tr").evaluate_all("all => all.map((one) => one.dataset.id)")
        shown = [values[id_] for id_ in ids]
        assert shown[: len(known)] == sorted(known, reverse=down)
        assert shown[len(known) :] == [None] * (len(values) - len(known)), "what was not run comes last"
        assert head.get_attribute("aria-sort") == ("descending" if down else "ascending")


def test_every_table_sorts_both_ways(written: Written, look: Any) -> None:
    sight = look(written)
    sight.open_all()
    columns = sight.run(SORT_ALL)
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
    sight.open_all()
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
    head = sight.page.locator("table.numbers th", has_text="clean accuracy")
    head.locator("button").focus()
    sight.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    sight.page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"


# ---------------------------------------------------------------- charts


def test_charts_are_drawn_when_they_come_into_view(written: Written, look: Any) -> None:
    sight = look(written)
    sight.draw()
    assert sight.page.locator(".pipelines-chart .still").count() == 0
    texts = sight.page.locator(".pipelines-chart svg text").all_text_contents()
    assert any("white-box robust accuracy" in text for text in texts)
    run = next(run for run in written.runs if run.as_run()[0].threat == "adaptive")
    sight.run(f"location.hash = '{run.parents[0]}'")
    chart = sight.page.locator(f"[id='{run.parents[0]}'] .chart").first
    chart.scroll_into_view_if_needed()
    sight.page.wait_for_selector(f"[id='{run.parents[0]}'] .chart[data-drawn] svg path")
    # A pointer on a point reads its numbers.
    chart.locator("svg g.mark-symbol path").last.hover(force=True)
    assert "accuracy" in sight.page.locator("#vg-tooltip-element.visible").inner_text()


def test_another_eps_changes_number_chart_and_table(written: Written, look: Any) -> None:
    sight = look(written)
    sight.draw()
    choice = sight.page.locator("select.eps")
    assert choice.locator("option").count() > 1
    before = [sight.page.locator(part).inner_text() for part in (".big", "table.numbers tbody", ".pipelines-chart")]
    choice.select_option(index=1)
    sight.wait("(old) => document.querySelector('.pipelines-chart').innerText !== old", before[2])
    after = [sight.page.locator(part).inner_text() for part in (".big", "table.numbers tbody", ".pipelines-chart")]
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_ticked_pipelines_are_compared(written: Written, look: Any) -> None:
    sight = look(written)
    sight.page.locator("#compare").scroll_into_view_if_needed()
    sight.page.wait_for_selector(".compare-chart[data-drawn]")
    ticks = sight.page.locator("input.compared")
    for place in range(ticks.count()):
        ticks.nth(place).set_checked(place < 2)
    names = [one.replace("\n", "") for one in sight.page.locator("table.numbers tbody th").all_inner_texts()[:2]]
    sight.wait("document.querySelectorAll('table.differences tbody tr').length === 1")
    cells = sight.page.locator("table.differences tbody td").all_inner_texts()
    assert [cell.rpartition(", ")[0] for cell in cells[:2]] == names
    first, second = (next(one for one in written.numbers if one.purifier_name == name) for name in names)
    assert first.robust is not None
    assert second.robust is not None
    points = 100 * (first.robust.value - second.robust.value)
    assert cells[2] == f"{points:+.1f} points".replace("-", "\N{MINUS SIGN}")
    sight.wait(
        "(names) => names.every((name) => document.querySelector('.compare-chart').textContent.includes(name))", names
    )
    ticks.nth(1).set_checked(False)
    sight.wait("document.querySelector('.differences-none').innerText.startsWith('Tick two or more')")
    sight.page.locator("select.filter[name=kind]").select_option(label="none")
    assert sight.page.locator("table.numbers tbody tr:visible").count() == 2


def test_a_chart_is_saved_as_svg_and_png(written: Written, look: Any) -> None:
    sight = look(written)
    sight.draw()
    for kind, start in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with sight.page.expect_download() as found:
            sight.page.locator(".pipelines-chart .tools button", has_text=kind).click()
        assert found.value.suggested_filename == f"pipelines-digits.{kind.lower()}"
        content = Path(found.value.path()).read_bytes()
        assert content.startswith(start)
        assert b"var(--" not in content


def test_without_a_script_there_are_the_first_chart_and_the_tables(browser: Any, written: Written) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=DESKTOP)
    page = context.new_page()
    page.goto(written.path.as_uri())
    assert page.locator(".pipelines-chart .wide svg text").first.is_visible()
    assert page.locator("table.numbers tbody tr").count() == len(written.numbers)
    assert "the details of each pipeline are in report.md" in page.locator("noscript p").inner_text()
    context.close()


# ---------------------------------------------------------------- finding one's way


def test_an_anchor_opens_all_that_hides_it(written: Written, look: Any) -> None:
    run = written.runs[0]
    pipeline = run.parents[0]
    opened = look(written, anchor=f"#{run.id}")
    opened.page.wait_for_selector(f"#{run.id}[open] summary")
    closed = look(written)
    assert not closed.page.locator(f"details.pipeline#{pipeline}").get_attribute("open")
    link = closed.page.locator(f'table.numbers a[href="#{pipeline}"]')
    for _ in range(2):
        link.click()
        closed.page.wait_for_selector(f"#{pipeline}[open] .headline")
        # Closed by hand, the same link must open it again.
        closed.page.locator(f"#{pipeline} > summary").click()


def test_one_pipeline_alone_is_open(awkward: Written, look: Any) -> None:
    sight = look(awkward)
    sight.page.wait_for_selector("details.pipeline[open] .headline")
    assert sight.page.locator("details.pipeline[open]").count() == 1


def test_tab_reaches_everything_with_a_focus_that_is_seen(written: Written, look: Any) -> None:
    sight = look(written)
    sight.page.wait_for_selector(".compare-chart[data-drawn]")
    sight.draw()
    wanted = sight.run("""() => {
        const all = document.querySelectorAll("a[href], button, summary, select, input, .scroll, pre");
        const seen = [...all].filter((one) => one.checkVisibility());
        seen.forEach((one, at) => { one.dataset.stop = at; });
        return seen.length;
    }""")
    assert wanted > 50
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
    assert sight.run("document.activeElement.closest('section').getAttribute('aria-labelledby')") == "compare"


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
    sight.page.locator("#again > summary").click()
    block = sight.page.locator("#again .commands")
    block.locator("button").click()
    block.locator(".copied:not(:empty)").wait_for()
    assert block.locator(".copied").inner_text().startswith(said)
    text = block.locator("code").inner_text()
    assert text.startswith("advae train-")
    assert sight.run("getSelection().toString()").strip() == text.strip()


def test_the_summary_is_copied(written: Written, look: Any, page: Any) -> None:
    sight = look(written)
    sight.run(REFUSED)
    sight.run("document.execCommand = () => { window.copied = getSelection().toString(); return true; }")
    sight.page.locator(".copy-summary").click()
    sight.page.locator(".summary .copied:not(:empty)").wait_for()
    copied = sight.run("copied")
    assert copied.startswith(sight.page.locator("h1").inner_text())
    assert "Clean accuracy" in copied


# ---------------------------------------------------------------- every screen


def test_a_phone_scrolls_down_only(report: Written, look: Any) -> None:
    for viewport in (PHONE, TABLET):
        sight = look(report, viewport=viewport)
        sight.draw()
        for opened in (False, True):
            if opened:
                sight.open_all()
            width, inner = sight.run("[document.scrollingElement.scrollWidth, innerWidth]")
            assert width <= inner == viewport["width"]


def test_the_numbers_are_the_first_columns_at_every_width(written: Written, look: Any) -> None:
    for viewport in (PHONE, TABLET, DESKTOP):
        sight = look(written, viewport=viewport)
        number = sight.page.locator("table.numbers tbody td[data-field=n]").first.bounding_box()
        assert number["x"] + number["width"] <= viewport["width"]


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
    const all = "body, p, small, a, td, th, summary, button, pre, dd, figcaption, strong, " +
        ".status, .missing, .alarm, .notes li";
    for (const one of document.querySelectorAll(all)) {
        const name = one.className || one.tagName;
        worst[name] = Math.min(worst[name] ?? 99, contrast(one));
    }
    return [getComputedStyle(document.body).backgroundColor, worst];
}"""


def test_text_is_readable_in_the_light_and_in_the_dark(written: Written, look: Any) -> None:
    backs, inks = {}, set()
    for scheme in ("light", "dark"):
        sight = look(written, color_scheme=scheme)
        sight.draw()
        sight.open_all()
        backs[scheme], contrasts = sight.run(CONTRASTS)
        assert {"status fail", "status warn", "status pass", "missing", "P", "alarm"} <= contrasts.keys()
        assert {name: ratio for name, ratio in contrasts.items() if ratio < READABLE} == {}
        # The words of a chart are of the colour that the page's style sheet gives them.
        ink = "getComputedStyle(document.querySelector('.pipelines-chart svg text')).fill"
        inks.add(sight.run(ink))
    assert len(inks) == 2
    light, dark = (sum(map(int, backs[scheme][4:-1].split(", "))) for scheme in ("light", "dark"))
    assert light > 600 > 150 > dark


def test_a_status_is_more_than_a_colour(written: Written, look: Any) -> None:
    sight = look(written)
    sight.open_all()
    marks = sight.run("""() => [...document.querySelectorAll(".status")].map((one) =>
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
    assert not sight.page.locator(".skip").is_visible()
    assert not sight.page.locator(".copy-summary").is_visible()
    assert sight.run("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    assert sight.run("getComputedStyle(document.body).color") == "rgb(26, 29, 33)"


def test_the_page_as_it_opens_prints_on_few_pages(written: Written, look: Any) -> None:
    sight = look(written)
    sight.page.wait_for_selector(".compare-chart[data-drawn]")
    content = sight.page.pdf(prefer_css_page_size=True)
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 8
