"""The page of a prediction in headless Chromium: one time for the recording, the cursor, the words and the table."""

import json
import re
import subprocess
import threading
from pathlib import Path
from urllib.parse import quote

import pytest

from models.apply.outputs.write import write_outputs
from tests.clips import beeps, painted, write_clip
from tests.test_apply_outputs import ODD, SWITCH_S, classes
from tests.test_report_browser import QUIET, ours

pytestmark = pytest.mark.browser
WIDTHS = (390, 1400, 2560)
MEASURE = """
<!DOCTYPE html><meta charset="utf-8"><body><script>
const wait = (target, name) => new Promise((done) => target.addEventListener(name, done, { once: true }));
const look = async (src, width) => {
  const frame = Object.assign(document.createElement("iframe"), { src, width, height: 900 });
  document.body.append(frame);
  await wait(frame, "load");
  const page = frame.contentDocument, view = frame.contentWindow, media = page.getElementById("media");
  const timeline = page.getElementById("timeline"), out = { width };
  const state = () => {
    const box = timeline.getBoundingClientRect();
    const cursor = page.getElementById("cursor").getBoundingClientRect();
    return {
      at: media.currentTime, share: ((cursor.left + cursor.right) / 2 - box.left) / box.width,
      lit: [...page.querySelectorAll(".lit")].map((e) => e.textContent),
      told: page.getElementById("told").textContent,
      values: [...page.querySelectorAll(".value")].map((e) => e.textContent),
      rows: [...page.querySelectorAll("tr.current")].map((e) => e.sectionRowIndex),
    };
  };
  const seek = async (act) => { const seeked = wait(media, "seeked"); act(); await seeked; return state(); };
  if (media.readyState < 2) await wait(media, "canplay");
  out.played = [media.videoWidth, media.duration];
  out.before = await seek(() => { media.currentTime = OFFSET + 1.44; });
  out.after = await seek(() => { media.currentTime = OFFSET + 1.50; });
  const box = timeline.getBoundingClientRect();
  const click = { clientX: box.left + box.width * 0.6, clientY: box.top + 40, bubbles: true };
  out.clicked = await seek(() => timeline.dispatchEvent(new view.MouseEvent("click", click)));
  out.row = await seek(() => page.querySelectorAll("tr[data-start]")[1].querySelector("button").click());
  out.word = await seek(() => page.querySelectorAll(".word")[2].click());
  out.switched = page.querySelector("path.curve").getBoundingClientRect();
  out.timeline = timeline.getBoundingClientRect();
  out.beyond = timeline.parentElement.scrollWidth - timeline.parentElement.clientWidth;
  out.wide = [...page.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 1
    && !e.closest(".scroll, .scroller")).map((e) => e.outerHTML.slice(0, 90));
  out.scroll = page.documentElement.scrollWidth;
  out.paper = view.getComputedStyle(page.body).backgroundColor;
  return out;
};
(async () => {
  const out = [];
  for (const width of WIDTHS) out.push(await look("PAGE", width));
  console.log("MEASURED " + JSON.stringify(out) + " END");
})();
</script></body>
"""


def look(path: Path, offset_s: float, *options: str, widths=WIDTHS) -> tuple[list[dict], list[str], list[str]]:
    """What is measured of a page, what it says to the console, and the addresses that it asks for.

    In real time, since a player knows no other: the browser is ended when it has said what was measured.
    """
    measure, log = path.parent / "measure.html", path.parent / "net.json"
    text = MEASURE.replace("WIDTHS", json.dumps(widths)).replace("PAGE", quote(path.name))
    measure.write_text(text.replace("OFFSET", str(offset_s)), encoding="utf-8")
    command = [
        "chromium", *QUIET, f"--user-data-dir={path.parent / 'profile'}", f"--log-net-log={log}",
        "--enable-logging=stderr", "--window-size=2600,1000", *options, measure.as_uri(),
    ]  # fmt: skip
    said = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as browser:
        alarm = threading.Timer(60, browser.kill)
        alarm.start()
        for line in browser.stderr:
            said += [line] if "CONSOLE" in line else []
            if "MEASURED" in line:
                break
        browser.terminate()
        alarm.cancel()
    found = re.search(r"MEASURED (\[.*\]) END", said[-1] if said else "")
    assert found, said
    asked = re.findall(r'"url":"(https?:[^"]+|wss?:[^"]+)"', log.read_text(encoding="utf-8", errors="replace"))
    return json.loads(found[1]), said[:-1], ours(asked)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The page of a clip whose sound begins 0.2 s before its pictures, held in the page and beside it."""
    folder = tmp_path_factory.mktemp("page")
    clip = folder / "a # clip.mp4"
    pictures = [painted(k, 320, 192) for k in range(100)]
    write_clip(
        clip, pictures, [0.2 + k / 25 for k in range(100)], sound=(beeps([1.0], 4.2, 48_000), 48_000, 0.0, "aac")
    )
    write_outputs(classes(source=clip, demonstration=True, notes=("To know.",)), folder / "held", "a # clip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.apply.outputs.player.EMBED_BELOW_BYTES", 0)
        write_outputs(classes(source=clip), folder / "beside", "a # clip")
    return folder


def test_everything_follows_the_recording(made):
    found, said, asked = look(made / "held" / "a # clip.html", 0.2, "--blink-settings=preferredColorScheme=1")
    assert not said
    assert not asked
    assert [page["width"] for page in found] == list(WIDTHS)
    for page in found:
        assert page["played"] == [320, pytest.approx(4.2, abs=0.05)]
        before, after = page["before"], page["after"]
        assert (before["share"], after["share"]) == pytest.approx((1.44 / 4, 1.50 / 4), abs=0.003)
        assert before["values"][:3] == ["70 % ± 5", "20 % ± 4", "10 %"]
        assert after["told"] == "ann: happiness 80 %"
        assert page["word"]["told"] == f"ann: happiness 80 % · {ODD}: sadness 50 %"
        assert after["values"] == ["10 % ± 12", "80 % ± 10", "10 %", "–", "–", "–"]
        assert (before["rows"], after["rows"]) == ([0], [1])
        assert page["clicked"]["at"] == pytest.approx(0.2 + 0.6 * 4, abs=0.02)
        assert page["clicked"]["lit"] == ["später"]
        assert page["row"]["at"] == pytest.approx(0.2 + SWITCH_S, abs=0.002)
        assert page["word"]["at"] == pytest.approx(0.2 + 2.2, abs=0.002)
        assert (page["word"]["lit"], page["word"]["rows"]) == (["später"], [1, 2])
        # A curve over all of the recording lies over all of the axis.
        assert page["switched"]["left"] == pytest.approx(page["timeline"]["left"], abs=1.5)
        assert page["switched"]["width"] == pytest.approx(page["timeline"]["width"], abs=3)
        assert page["scroll"] <= page["width"], page["wide"][:5]
        assert not page["wide"]
        assert page["beyond"] == 0, "the whole recording needs no scroll bar"
        assert page["paper"] == "rgb(255, 255, 255)"


def test_a_recording_beside_the_page_plays_and_the_page_is_dark_where_that_is_preferred(made):
    dark = "--blink-settings=preferredColorScheme=0"
    found, said, _ = look(made / "beside" / "a # clip.html", 0.2, dark, widths=(390,))
    assert found[0]["after"]["values"][:2] == ["10 % ± 12", "80 % ± 10"]
    assert found[0]["paper"] == "rgb(20, 23, 27)"
    assert not said
