"""The report in headless Chromium: it fits a telephone, follows dark and light, says no error and asks for nothing.

The report forbids itself every script but its own, so a page around it measures it: an iframe of a given width, read
from outside (which file pages may do with ``--allow-file-access-from-files``), the findings printed by ``--dump-dom``.
"""

import html
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.report_fixture import Fixture, html_of

pytestmark = pytest.mark.browser
PAGES = ("iemocap", "affwild2", "numbers", "text", "features compared")
WIDTHS = (390, 820, 1400, 2560)
QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-extensions", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--no-pings",
    "--disable-client-side-phishing-detection", "--metrics-recording-only", "--allow-file-access-from-files",
)  # fmt: skip
MEASURE = """
<!DOCTYPE html><meta charset="utf-8"><body><script>
const out = [];
const frames = FRAMES.map(([src, width]) => {
  const frame = document.createElement("iframe");
  Object.assign(frame, { src, width, height: 900 });
  document.body.append(frame);
  return new Promise((done) => { frame.onload = () => done([src, width, frame]); });
});
Promise.all(frames).then((all) => {
  for (const [src, width, frame] of all) {
    const page = frame.contentDocument, view = frame.contentWindow;
    const wide = [...page.querySelectorAll("body *")].filter((e) =>
      e.getBoundingClientRect().right > width + 1 && !e.closest(".scroll, .store, pre, svg > *"))
      .map((e) => e.outerHTML.slice(0, 90));
    const boxes = [...page.querySelectorAll(".scroll")];
    const figure = page.querySelector(".trace-figure");
    let readout = null;
    if (figure) {
      const box = figure.querySelector("svg.line").getBoundingClientRect();
      const at = { clientX: box.left + box.width / 2, bubbles: true };
      figure.querySelector(".trace").dispatchEvent(new view.PointerEvent("pointermove", at));
      readout = figure.querySelector(".readout").textContent;
    }
    out.push({ src, width, wide, readout,
      scroll: page.documentElement.scrollWidth, client: page.documentElement.clientWidth,
      closed: boxes.filter((e) => e.scrollWidth > e.clientWidth + 1
        && view.getComputedStyle(e).overflowX !== "auto").length,
      paper: view.getComputedStyle(page.body).backgroundColor, ink: view.getComputedStyle(page.body).color,
      small: Math.min(...[...page.querySelectorAll("p, td, th, li, figcaption, text")].map((e) =>
        parseFloat(view.getComputedStyle(e).fontSize) * (e.tagName === "text" ? e.getScreenCTM().a : 1))),
      title: page.title, headings: page.querySelectorAll("h2").length,
      sheet: page.querySelector(".faces svg use") ? page.querySelector(".faces svg use").getBBox().width : 0,
    });
  }
  document.body.innerHTML = "<pre></pre>";
  document.querySelector("pre").textContent = JSON.stringify(out);
});
</script></body>
"""


def chromium(folder: Path, page: Path, *options: str) -> tuple[str, list[str], list[str]]:
    """The page's DOM once it has settled, what it said to the console, and the addresses that were asked for."""
    log = folder / "net.json"
    log.unlink(missing_ok=True)
    command = [
        "chromium", *QUIET, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--enable-logging=stderr",
        "--virtual-time-budget=8000", "--window-size=2600,1000", *options, "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    # A killed browser leaves the log without its end, so it is read as text.
    asked = re.findall(r'"url":"(https?:[^"]+|wss?:[^"]+)"', log.read_text(encoding="utf-8", errors="replace"))
    return done.stdout, said, asked


def ours(addresses: list[str]) -> list[str]:
    """Without what Chromium itself asks its maker, whatever the page."""
    return [a for a in addresses if not re.match(r"https?://([a-z0-9-]+\.)*(google|googleapis|gvt1)\.com[/:]", a)]


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("browser")
    out = {}
    for name in PAGES:
        out[name] = folder / f"{name.replace(' ', '_')}.html"
        out[name].write_text(html_of(Fixture(folder / name, name)), encoding="utf-8")
    return out


def measure(folder: Path, frames: list, *options: str) -> tuple[list[dict], list[str], list[str]]:
    page = folder / "measure.html"
    page.write_text(MEASURE.replace("FRAMES", json.dumps(frames)), encoding="utf-8")
    dom, said, asked = chromium(folder, page, *options)
    found = re.search(r"<pre>(.*)</pre>", dom, re.DOTALL)
    assert found, dom[:2000]
    return json.loads(html.unescape(found.group(1))), said, asked


@pytest.fixture(scope="module")
def light(reports, tmp_path_factory):
    frames = [[file.name, width] for file in reports.values() for width in WIDTHS]
    return measure(next(iter(reports.values())).parent, frames, "--blink-settings=preferredColorScheme=1")


def test_no_page_is_wider_than_its_window(light):
    found, _, _ = light
    assert len(found) == len(PAGES) * len(WIDTHS)
    for page in found:
        assert page["headings"] >= 9  # it was really there
        assert page["scroll"] <= page["client"], (page["src"], page["width"], page["wide"][:5])
        assert not page["wide"], (page["src"], page["width"])
        assert page["closed"] == 0
        assert page["small"] >= 11


def test_no_console_error_and_no_request(light):
    _, said, asked = light
    assert not said
    assert not ours(asked)


def test_the_cursor_reads_values_and_words(light):
    pages = [page for page in light[0] if page["src"] == "affwild2.html"]
    assert [page["width"] for page in pages] == list(WIDTHS)
    for page in pages:
        assert re.fullmatch(r"0:20\.0  valence −?0\.\d\d \(truth .*\), arousal .*  “.+”", page["readout"])
        assert page["sheet"] > 0  # a crop of the contact sheet is drawn


def test_dark_where_the_reader_prefers_it(light, reports):
    dark, said, _ = measure(
        reports["iemocap"].parent, [["iemocap.html", 390]], "--blink-settings=preferredColorScheme=0"
    )
    assert (dark[0]["paper"], dark[0]["ink"]) == ("rgb(20, 23, 27)", "rgb(229, 231, 235)")
    assert light[0][0]["paper"] == "rgb(255, 255, 255)"
    assert not said


@pytest.fixture(scope="module")
def printed(reports, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("printed")
    pdf = folder / "report.pdf"
    options = [f"--user-data-dir={folder}/profile", "--no-pdf-header-footer", f"--print-to-pdf={pdf}"]
    command = ["chromium", *QUIET, *options, reports["affwild2"].as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    return pdf


def sheets_in(pdf: Path) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))


def test_it_prints_on_a_few_sheets(printed):
    assert 5 <= sheets_in(printed) <= 15


@pytest.mark.poppler
def test_each_printed_sheet_is_marked_as_a_demonstration(printed):
    text = subprocess.run(["pdftotext", str(printed), "-"], capture_output=True, text=True, check=True).stdout
    marked = ["Demonstration: these numbers are not results" in sheet for sheet in text.split("\f")[:-1]]
    assert marked == [True] * sheets_in(printed)
    for heading in ("Scores", "Prediction against truth over time", "Coverage", "Cost", "Provenance"):
        assert f"\n{heading}\n" in text


def test_the_measurements_can_fail(tmp_path):
    (tmp_path / "bad.html").write_text(
        "<!DOCTYPE html><title>x</title><body><p>x</p><div style='width:900px'>wide</div>"
        "<script>console.error('a complaint')</script><img src='http://192.0.2.1/picture.png' alt=''>"
    )
    found, said, asked = measure(tmp_path, [["bad.html", 390]])
    assert found[0]["scroll"] > found[0]["client"]
    assert found[0]["wide"]
    assert any("a complaint" in line for line in said)
    assert "http://192.0.2.1/picture.png" in ours(asked)
