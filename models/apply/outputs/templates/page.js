// One time for everything: the recording, the cursor over the curves, their values, the words and the table.
"use strict";
const byId = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];
const data = JSON.parse(byId("data").textContent);
const media = byId("media"), timeline = byId("timeline"), scroller = timeline.parentElement;
const end = +timeline.dataset.end;
const offset = media ? +media.dataset.offset : 0;
const values = all(".value"), words = all(".word"), rows = all("tr[data-start]");
const spans = rows.map((row) => ({ row, start: +row.dataset.start, end: +row.dataset.end, current: false }));
const ROUNDING = 0.0005; // players cut times, and a start must not count as before itself
let now = 0;

const clock = (time, decimals = 1) => {
  const ticks = Math.round(time * 10 ** decimals), whole = Math.floor(ticks / 10 ** decimals);
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const text = hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  return decimals ? `${text}.${ticks % 10 ** decimals}` : text;
};
// The last of ascending starts that is not after a time; -1 where all are.
const before = (starts, time) => {
  let low = 0, high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= time) low = middle + 1; else high = middle;
  }
  return low - 1;
};
const text = (output, value, spread) => {
  if (value === null) return "–";
  if (!data.numbers) return `${Math.round(100 * value)} %` + (spread ? ` ± ${Math.round(100 * spread)}` : "");
  const rounded = Math.round(100 * value) / 100 + 0;
  const sign = data.signed[output] && rounded >= 0 ? "+" : "";
  return sign + rounded.toFixed(2).replace("-", "\u2212") + (spread ? ` ± ${spread.toFixed(2)}` : "");
};

const told = (steps, k) => {
  const values = steps.values[k];
  if (values.includes(null)) return "";
  const shown = data.numbers ? [...values.keys()] : [values.indexOf(Math.max(...values))];
  const said = shown.map((output) => `${data.outputs[output]} ${text(output, values[output])}`).join(", ");
  return data.steps.length > 1 ? `${steps.person}: ${said}` : said;
};

const wordStarts = words.map((word) => +word.dataset.start);
let lit = null, line = null;
const speak = () => {
  const k = before(wordStarts, now);
  const word = k >= 0 && now < +words[k].dataset.end ? words[k] : null;
  if (word !== lit) {
    if (lit) lit.classList.remove("lit");
    if (word) word.classList.add("lit");
    lit = word;
  }
  if (k < 0 || words[k].parentElement === line) return;
  line = words[k].parentElement;
  const box = line.parentElement;
  if (line.offsetTop < box.scrollTop || line.offsetTop + line.offsetHeight > box.scrollTop + box.clientHeight)
    box.scrollTop = line.offsetTop - box.clientHeight / 3;
};

const show = (time) => {
  now = Math.min(end, Math.max(0, time));
  byId("cursor").style.left = `${100 * now / end}%`;
  byId("clock").textContent = clock(now);
  byId("slider").value = now;
  const at = data.steps.map((steps) => {
    const k = before(steps.start, now);
    return k >= 0 && now < steps.end[k] ? k : -1;
  });
  for (const element of values) {
    const person = +element.dataset.person, output = +element.dataset.output, k = at[person], steps = data.steps[person];
    element.textContent = k < 0 ? "–" : text(output, steps.values[k][output], steps.spread[k][output]);
    const strongest = k >= 0 && !data.numbers && steps.values[k][output] === Math.max(...steps.values[k]);
    element.parentElement.classList.toggle("strongest", strongest);
  }
  for (const span of spans) {
    const current = now >= span.start && now < span.end;
    if (current !== span.current) span.row.classList.toggle("current", span.current = current);
  }
  byId("told").textContent = data.steps.map((steps, p) => at[p] < 0 ? "" : told(steps, at[p])).filter(Boolean).join(" · ");
  speak();
};

const follow = () => {
  const x = timeline.offsetWidth * now / end;
  if (x < scroller.scrollLeft || x > scroller.scrollLeft + scroller.clientWidth)
    scroller.scrollLeft = x - scroller.clientWidth / 4;
};
const jump = (time) => {
  if (media && media.readyState > 0) media.currentTime = Math.max(0, time + offset);
  show(time);
};

// The time axis: the whole recording, or this many seconds in the width of the page.
const ticks = (seconds) => {
  const room = Math.max(2, scroller.clientWidth / 90);
  const step = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].find((s) => seconds / s <= room) || 7200;
  const last = end - 48 * seconds / scroller.clientWidth; // a later label would stick out
  byId("axis").replaceChildren(...Array.from({ length: Math.max(0, Math.floor(last / step)) + 1 }, (_, k) => {
    const tick = Object.assign(document.createElement("span"), { textContent: clock(k * step, step < 1 ? 1 : 0) });
    tick.style.left = `${100 * k * step / end}%`;
    return tick;
  }));
};
const zoom = (seconds, button) => {
  timeline.style.width = `${100 * Math.max(1, end / seconds)}%`;
  for (const other of byId("zooms").children) other.setAttribute("aria-pressed", other === button);
  ticks(Math.min(seconds, end));
  scroller.scrollLeft = timeline.offsetWidth * now / end - scroller.clientWidth / 2;
};
let seconds = end;
for (const [name, length] of [["whole", end], ["10 min", 600], ["1 min", 60], ["10 s", 10]]) {
  if (length > end || (length === end && name !== "whole")) continue;
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
  button.addEventListener("click", () => zoom(seconds = length, button));
  byId("zooms").append(button);
}
byId("zooms").hidden = byId("zooms").children.length < 2;
document.querySelector(".tools").hidden = false;
zoom(end, byId("zooms").firstChild);
addEventListener("resize", () => ticks(Math.min(seconds, end)));

timeline.addEventListener("click", (event) => {
  const box = timeline.getBoundingClientRect();
  jump(end * (event.clientX - box.left) / box.width);
});
byId("slider").addEventListener("input", (event) => { jump(+event.target.value); follow(); });
for (const element of [...words, ...rows]) element.addEventListener("click", () => { jump(+element.dataset.start); follow(); });

if (media) {
  const held = byId("recording");
  media.addEventListener("error", () => { media.hidden = true; byId("lost").hidden = false; });
  if (held) {
    const bytes = Uint8Array.from(atob(held.textContent), (character) => character.charCodeAt(0));
    held.remove();
    media.src = URL.createObjectURL(new Blob([bytes], { type: media.dataset.type }));
  }
  const sync = () => { show(media.currentTime - offset + ROUNDING); follow(); };
  const run = () => { sync(); if (!media.paused) requestAnimationFrame(run); };
  media.addEventListener("play", run);
  for (const name of ["seeked", "pause", "timeupdate"]) media.addEventListener(name, sync);
}
show(0);
