// A cursor over the traces: time, values and words under it, and the face of that moment. Without it everything is there, too.
"use strict";
for (const figure of document.querySelectorAll(".trace-figure")) {
  const trace = figure.querySelector(".trace");
  const charts = [...figure.querySelectorAll("svg.line")];
  const cells = [...figure.querySelectorAll(".cells li")];
  const words = JSON.parse(figure.dataset.words);
  const start = +figure.dataset.start, end = +figure.dataset.end;

  const points = (path) => (path.getAttribute("d").match(/\d+ \d+/g) || []).map((p) => p.split(" ").map(Number));
  const lines = charts.map((chart) => ({
    name: chart.dataset.name, low: +chart.dataset.low, high: +chart.dataset.high,
    truth: points(chart.querySelector(".truth")), predicted: points(chart.querySelector(".predicted")),
  }));
  const cursor = Object.assign(document.createElement("div"), { className: "cursor", hidden: true });
  const readout = Object.assign(document.createElement("p"), { className: "readout" });
  const slider = Object.assign(document.createElement("input"), {
    type: "range", className: "slider", min: start, max: end, step: (end - start) / 400, value: start,
  });
  slider.setAttribute("aria-label", "Time in the video, in seconds");
  readout.setAttribute("role", "status");
  readout.textContent = "Point at the chart, or move the slider below it, to read values and words.";
  trace.append(cursor);
  trace.after(slider);
  figure.querySelector("figcaption").after(readout);

  const value = (series, line, share) => {
    let best = null;
    for (const [x, y] of series) if (!best || Math.abs(x - share * 1000) < Math.abs(best[0] - share * 1000)) best = [x, y];
    if (!best || Math.abs(best[0] - share * 1000) > 6) return "–";
    return (line.low + (1 - best[1] / 1000) * (line.high - line.low)).toFixed(2).replace("-", "\u2212");
  };
  const show = (share) => {
    share = Math.min(1, Math.max(0, share));
    const time = start + share * (end - start);
    const box = charts[0].getBoundingClientRect(), frame = trace.getBoundingClientRect();
    cursor.hidden = false;
    cursor.style.left = box.left - frame.left + share * box.width + "px";
    for (const cell of cells) cell.classList.toggle("now", time >= +cell.dataset.start && time < +cell.dataset.end);
    const spoken = words.filter((w) => w[0] <= time + 0.4 && w[1] > time - 0.4).map((w) => w[2]).join(" ");
    const at = Math.floor(time / 60) + ":" + (time % 60).toFixed(1).padStart(4, "0");
    readout.textContent = at + "  " + lines.map((line) =>
      `${line.name} ${value(line.predicted, line, share)} (truth ${value(line.truth, line, share)})`).join(", ")
      + (spoken ? `  “${spoken}”` : "");
    slider.value = time;
    slider.setAttribute("aria-valuetext", readout.textContent);
  };
  trace.addEventListener("pointermove", (event) => {
    const box = charts[0].getBoundingClientRect();
    show((event.clientX - box.left) / box.width);
  });
  slider.addEventListener("input", () => show((slider.value - start) / (end - start)));
}
