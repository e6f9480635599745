"""A report as one page that needs no network; pictures and data are inside it."""

import base64
import json
import time
from typing import Any

import numpy as np
import pandas as pd

from lookalike.reports.model_plots import MOST_LABELS, draw
from lookalike.reports.model_report import Report
from lookalike.reports.plots import table, text

_CELL, _POINT = 112, 56  # pixels, thumbnails of the galleries and of the map
_QUERIES, _NEIGHBOURS = 12, 5  # of the best and of the worst
_PAIRS = 25  # confused labels listed
_STYLE = """
:root { color-scheme: light; --ink: #1b1b1f; --soft: #55595f; --line: #d9dce1; --card: #f6f7f9; --blue: #0072B2;
  --orange: #D55E00 }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1120px; padding: 24px 20px 64px; background: #fff; color: var(--ink);
  font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 19px; margin: 40px 0 6px } .sentence { font-size: 18px }
p { color: var(--soft); margin: 4px 0; max-width: 86ch }
nav { display: flex; flex-wrap: wrap; gap: 8px; margin: 16px 0 }
nav a { padding: 3px 12px; border: 1px solid var(--line); border-radius: 16px; color: inherit; text-decoration: none }
table { border-collapse: collapse; margin: 10px 0 } .scroll { max-height: 640px; overflow: auto; display: inline-block;
  max-width: 100% }
th, td { padding: 3px 16px 3px 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
th { position: sticky; top: 0; background: #fff; white-space: nowrap } .sort th { cursor: pointer }
.n { text-align: right; font-variant-numeric: tabular-nums } .row { display: flex; flex-wrap: wrap; gap: 20px;
  align-items: flex-start } svg { max-width: 100%; height: auto }
.queries { display: grid; gap: 10px } .query { display: flex; flex-wrap: wrap; gap: 10px; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; padding: 10px }
figure { margin: 0; width: 116px } figure img, figure .none { width: 116px; height: 116px; border: 2px solid #888;
  border-radius: 4px; display: block; background: var(--line) } figure:first-child { margin-right: 18px }
figure.right img { border: 4px solid var(--blue) } figure.wrong img { border: 4px dashed var(--orange) }
figcaption { font-size: 12px; line-height: 1.35; overflow-wrap: anywhere } figcaption span { color: var(--soft) }
.right b::before { content: "\\2713 "; color: var(--blue) }
.wrong b::before { content: "\\2717 "; color: var(--orange) }
#map { border: 1px solid var(--line); border-radius: 8px; background: var(--card); width: 100%; height: 640px }
#map circle { fill: var(--blue); stroke: none; opacity: .8 }
#map .reference { fill: #9aa0a8 } #map path { stroke: var(--orange); stroke-width: 2; fill: none }
#map .faint { opacity: .12 } #map .chosen { stroke: #111; stroke-width: 1.5 }
#map path.chosen { stroke: #111 } #tip { position: fixed; display: none; pointer-events: none; background: #fff;
  border: 1px solid #888; border-radius: 6px; padding: 6px; font-size: 12px; max-width: 260px }
#tip img { display: block; width: 112px } .controls { display: flex; gap: 14px; flex-wrap: wrap; align-items: center;
  margin: 8px 0 } select { font: inherit } code { font-size: 13px }
"""
_SCRIPT = """
const data = JSON.parse(document.getElementById("points").textContent);
const map = document.getElementById("map"), tip = document.getElementById("tip");
const layout = document.getElementById("layout"), label = document.getElementById("label");
const space = "http://www.w3.org/2000/svg", side = 640, full = 1040, marks = [];
let view = [0, 0, full, side];
for (const name of Object.keys(data.layouts)) layout.add(new Option(name, name));
data.labels.forEach((name, place) => label.add(new Option(name, place)));
data.points.forEach((point, place) => {
  const [kind] = point, wrong = kind === 2;
  const mark = document.createElementNS(space, wrong ? "path" : "circle");
  if (wrong) mark.setAttribute("d", "M-4,-4L4,4M-4,4L4,-4");
  else mark.setAttribute("r", kind === 0 ? 3.2 : 4.5);
  mark.setAttribute("class", ["reference", "right", "wrong"][kind]);
  mark.dataset.place = place;
  marks.push(mark);
});
for (const kind of [0, 1, 2]) marks.forEach((mark, place) => { if (data.points[place][0] === kind) map.append(mark); });
function lay() {
  const places = data.layouts[layout.value];
  marks.forEach((mark, i) => mark.setAttribute("transform",
    `translate(${20 + places[2 * i] * (full - 40)},${side - 20 - places[2 * i + 1] * (side - 40)})` +
    `scale(${Math.sqrt(view[2] / full)})`));
}
function choose(wanted) {
  marks.forEach((mark, i) => {
    mark.classList.toggle("faint", wanted >= 0 && data.points[i][1] !== wanted);
    mark.classList.toggle("chosen", wanted >= 0 && data.points[i][1] === wanted);
  });
}
layout.addEventListener("change", lay);
label.addEventListener("change", () => choose(Number(label.value)));
map.addEventListener("pointermove", event => {
  const place = event.target.dataset.place;
  if (place === undefined) { tip.style.display = "none"; choose(Number(label.value)); return; }
  const [kind, of, taken, path] = data.points[place];
  choose(of);
  tip.replaceChildren();
  if (data.thumbs[place]) {
    const picture = new Image();
    picture.src = "data:image/jpeg;base64," + data.thumbs[place];
    tip.append(picture);
  }
  const wrong = taken < 0 ? "no known image may be compared with it" : "taken for " + data.labels[taken];
  const told = kind === 0 ? "known" : kind === 1 ? "right" : wrong;
  for (const text of [data.labels[of], told, path]) {
    const line = document.createElement("div");
    line.textContent = text;
    tip.append(line);
  }
  tip.style.display = "block";
  tip.style.left = Math.min(event.clientX + 14, innerWidth - 280) + "px";
  tip.style.top = Math.min(event.clientY + 14, innerHeight - 190) + "px";
});
map.addEventListener("wheel", event => {
  event.preventDefault();
  const to = map.createSVGPoint(), by = event.deltaY > 0 ? 1.25 : 0.8;
  [to.x, to.y] = [event.clientX, event.clientY];
  const at = to.matrixTransform(map.getScreenCTM().inverse());
  const wide = Math.min(full, view[2] * by), change = wide / view[2];
  const start = [at.x - (at.x - view[0]) * change, at.y - (at.y - view[1]) * change];
  view = wide === full ? [0, 0, full, side] : [...start, wide, (wide * side) / full];
  map.setAttribute("viewBox", view.join(" "));
  lay();
}, { passive: false });
map.addEventListener("pointerleave", () => { tip.style.display = "none"; choose(Number(label.value)); });
for (const table of document.querySelectorAll(".sort"))
  table.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
    const rows = [...table.tBodies[0].rows], down = head.dataset.down !== "yes";
    const value = row => row.cells[column].textContent;
    const number = rows.every(row => value(row) === "" || !isNaN(value(row)));
    rows.sort((a, b) => number ? value(a) - value(b) : value(a).localeCompare(value(b)));
    if (down) rows.reverse();
    head.dataset.down = down ? "yes" : "no";
    table.tBodies[0].append(...rows);
  }));
lay();
document.getElementById("drawn").textContent = marks.length + " points drawn";
"""


def page(report: Report) -> bytes:
    """The page, UTF-8.

    Raises:
        LookalikeError: matplotlib is not installed.
    """
    plots = draw(report)
    name = report.bundle.config.run
    sections = {
        "metrics": ("Figures", _metrics(report, plots)),
        "curves": ("Training", plots.get("curves", "<p>The bundle tells no curves.</p>")),
        "classes": ("Classes", _classes(report, plots)),
        "cameras": ("Cameras", _cameras(report)),
        "worst": ("Worst queries", _gallery(report, report.worst(_QUERIES), "lowest average precision first")),
        "best": (
            "Best queries",
            _gallery(report, report.best(_QUERIES), "surest first, one per label"),
        ),
        "similarities": ("Similarities and thresholds", _similarities(report, plots)),
        "map": ("Map of the embeddings", _map(report)),
        "card": ("Model card", _card(report)),
    }
    there = {key: part for key, part in sections.items() if part[1]}
    links = "".join(f'<a href="#s-{key}">{title}</a>' for key, (title, _) in there.items())
    body = "".join(
        f'<section id="s-{key}"><h2>{title}</h2>{content}</section>' for key, (title, content) in there.items()
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{text(name)} on {report.split}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><h1>{text(name)} on {report.split}</h1>"
        f'<p class="sentence">{text(sentence(report))}</p><p>{text(str(report.manifest.root))}, '
        f"{time.strftime('%Y-%m-%d')}</p><nav>{links}</nav>{body}"
        f'<div id="tip"></div><script type="application/json" id="points">{_points(report)}</script>'
        f"<script>{_SCRIPT}</script></body></html>\n"
    ).encode("utf-8", "replace")


def sentence(report: Report) -> str:
    """The result in words."""
    found = report.identification.result
    value = found.metrics["accuracy@1"]
    low, high = found.intervals.get("accuracy@1", (float("nan"),) * 2)
    between = f" (95 % interval {100 * low:.1f} to {100 * high:.1f})" if np.isfinite(low) else ""
    parts = [
        f"{100 * value:.1f} % of {found.counts['queries']} queries are named rightly by their nearest image{between}."
    ]
    mistakes = report.mistakes().head(3).to_dict("records")
    if mistakes:
        told = [f"{row['label']} for {row['predicted']} ({_times(row['count'])})" for row in mistakes]
        parts.append(f"Most often it takes {', '.join(told)}.")
    if report.split == "validation" and report.of_training:
        parts.append("The epoch was chosen on these images, so this is somewhat optimistic.")
    if report.split == "train":
        parts.append("The model learnt these very images by heart: this says nothing about new ones.")
    if report.twice:
        parts.append(f"{report.twice} queries are also among the references, byte for byte: it is too good by these.")
    return " ".join(parts)


def _metrics(report: Report, plots: dict[str, str]) -> str:
    found = report.identification
    rows = []
    for name, value in found.metrics.items():
        if name == "accuracy" and found.result is found.whole:
            continue  # it is accuracy@1
        low, high = found.intervals.get(name, (np.nan, np.nan))
        between = f"{low:.4f} to {high:.4f}" if np.isfinite(low) else ""
        rows.append([name, f"{value:.4f}", between])
    return (
        f"<p>{text(found.result.protocol)}.</p><p>{text(_classes_known(report))}</p>"
        f'<div class="row">{plots["metrics"]}{plots["cmc"]}</div>'
        f"{table(['metric', 'value', '95 % interval'], rows, {1, 2})}"
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _classes_known(report: Report) -> str:
    asked = set(report.protocol.queries["label"])
    known = asked & set(report.bundle.config.labels)
    return f"{len(asked)} classes are asked for; {len(known)} of them took part in the model's training."


def _classes(report: Report, plots: dict[str, str]) -> str:
    mistakes, per_class = report.mistakes(), report.per_class()
    pairs = [
        [row["label"], row["predicted"], str(row["count"]), f"{100 * row['share']:.0f} %"]
        for row in mistakes.head(_PAIRS).to_dict("records")
    ]
    lines = [
        [
            str(row["label"]),
            str(row["queries"]),
            str(row["references"]),
            f"{row['accuracy@1']:.4f}",
            f"{row['map']:.4f}" if np.isfinite(row["map"]) else "",
            str(row["taken for"]),
        ]
        for row in per_class.to_dict("records")
    ]
    heads = ["class", "queries", "references", "accuracy@1", "mAP", "most often taken for"]
    confused = table(["is", "taken for", "times", "of its queries"], pairs, {2, 3}) if pairs else ""
    several = f" Listed are the first {_PAIRS} of {len(mistakes)} pairs." if len(mistakes) > _PAIRS else ""
    if len({*mistakes["label"], *mistakes["predicted"]}) > MOST_LABELS:
        several += f" Drawn are the {MOST_LABELS} classes that are confused most."
    return (
        (
            f"<p>Which classes are taken for which; drawn are those that took part in a mistake.{several}</p>"
            if pairs
            else "<p>No class was taken for another.</p>"
        )
        + f'<div class="row">{plots.get("confusion", "")}{confused}</div>'
        + "<p>Every class, worst first; a click on a heading sorts.</p>"
        + table(heads, lines, {1, 2, 3, 4}, "sort")
    )


def _cameras(report: Report) -> str:
    pairs = report.identification.camera_pairs
    if pairs is None:
        return ""
    if pairs.empty:
        return "<p>There are too many pairs of cameras for a table.</p>"
    rows = [[_value(value) for value in row] for row in pairs.itertuples(index=False)]
    heads = [str(name).replace("_", " ") for name in pairs.columns]
    return "<p>Queries of one camera, references of another.</p>" + table(heads, rows, set(range(len(heads))), "sort")


def _similarities(report: Report, plots: dict[str, str]) -> str:
    found = report.similarities
    rows = []
    genuine, impostor = found.nearest_genuine[np.isfinite(found.nearest_genuine)], report.nearest_impostor
    per_query = report.identification.result.per_query
    right = (per_query["predicted"] == per_query["label"]).to_numpy()
    for one in report.bundle.config.open_set.thresholds:
        limit = one.similarity
        named = right & (per_query["similarity"].to_numpy() > limit)
        rows.append(
            [
                f"{100 * one.false_accept_rate:g} %",
                f"{limit:.4f}",
                f"{100 * (impostor > limit).mean():.1f} %" if len(impostor) else "",
                f"{100 * (genuine > limit).mean():.1f} %" if len(genuine) else "",
                f"{100 * named.mean():.1f} %",
            ]
        )
    heads = ["wanted false accept rate", "threshold", "other labels above", "own label above", "named, and rightly"]
    told = (
        "<p>The thresholds of the bundle on these queries: the nearest reference of another label (as if the query's "
        "own were not enrolled) should rarely be above, that of its own label nearly always."
    )
    if report.split == "validation" and report.of_training:
        told += " They were chosen on validation, so what they let through here is what was asked for, not a check."
    return (
        plots["similarities"] + plots["nearest"] + (f"{told}</p>" + table(heads, rows, {0, 1, 2, 3, 4}) if rows else "")
    )


def _gallery(report: Report, rows: list[int], order: str) -> str:
    if not rows:
        return "<p>There are none.</p>"
    result, asked, known = report.identification.result, report.protocol.queries, report.protocol.references
    lines = []
    for row in rows:
        query, facts = asked.iloc[row], result.per_query.iloc[row]
        first = f"first right at {facts['first_positive']}" if facts["positives"] else "no right image is known"
        cells = [_figure(report.thumbnail(asked, row, _CELL), query, first, "")]
        neighbours = zip(result.neighbours[row], result.neighbour_similarity[row], strict=True)
        for near, similarity in list(neighbours)[:_NEIGHBOURS]:
            if near >= 0:
                other = known.iloc[int(near)]
                mark = "right" if other["label"] == query["label"] else "wrong"
                cells.append(_figure(report.thumbnail(known, int(near), _CELL), other, f"{similarity:.3f}", mark))
        lines.append(f'<div class="query">{"".join(cells)}</div>')
    return f'<p>Left the query, then its nearest images; {order}.</p><div class="queries">{"".join(lines)}</div>'


def _figure(picture: bytes, row: pd.Series, note: str, mark: str) -> str:
    camera = "" if pd.isna(row["camera"]) else f", camera {row['camera']}"
    shown = (
        f'<img alt="{text(str(row["path"]))}" src="data:image/jpeg;base64,{base64.b64encode(picture).decode()}">'
        if picture
        else '<div class="none">no picture</div>'
    )
    name = str(row["path"]).rpartition("/")[2]
    return (
        f'<figure class="{mark}" title="{text(str(row["path"]))}">{shown}<figcaption><b>{text(str(row["label"]))}</b>'
        f"{text(camera)}<br>{text(note)}<br><span>{text(name)}</span></figcaption></figure>"
    )


def _map(report: Report) -> str:
    drawn = [int((part >= 0).sum()) for part in (report.map.query, report.map.reference)]
    queries, references = report.map.drawn_from
    sampled = f" Drawn: {drawn[0]} of {queries} queries and {drawn[1]} of {references} references."
    return (
        "<p>Near each other for the model, near each other here, as far as two dimensions can. Blue circles: queries "
        "named rightly; orange crosses: wrongly; grey: known images. Hover to see one, turn the wheel to come nearer."
        f"{sampled}</p>"
        '<div class="controls"><label>Layout <select id="layout"></select></label><label>Class <select id="label">'
        '<option value="-1">all</option></select></label><span id="drawn"></span></div>'
        '<svg id="map" viewBox="0 0 1040 640" role="img" aria-label="map of the embeddings"></svg>'
    )


def _points(report: Report) -> str:
    """The map's data as JSON: per point kind (0 reference, 1 right, 2 wrong), label, label it was taken for, path."""
    per_query, protocol = report.identification.result.per_query, report.protocol
    names = sorted({*protocol.references["label"], *protocol.queries["label"]})
    place = {name: i for i, name in enumerate(names)}
    points: list[list[Any]] = []
    thumbs = []
    for query, reference in zip(report.map.query.tolist(), report.map.reference.tolist(), strict=True):
        rows, row = (protocol.queries, query) if query >= 0 else (protocol.references, reference)
        label, path = str(rows["label"].iloc[row]), str(rows["path"].iloc[row])
        taken = str(per_query["predicted"].iloc[row]) if query >= 0 else label
        points.append([0 if query < 0 else 1 if taken == label else 2, place[label], place.get(taken, -1), path])
        thumbs.append(base64.b64encode(report.thumbnail(rows, row, _POINT)).decode())
    layouts = {name: np.round(flat, 4).ravel().tolist() for name, flat in report.map.layouts.items()}
    data = {"labels": names, "points": points, "layouts": layouts, "thumbs": thumbs}
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _card(report: Report) -> str:
    config = report.bundle.config
    model, training, pixels = config.model, config.training, config.pixels
    loss = ", ".join(f"{name} {value}" for name, value in config.loss.items() if name != "name")
    rows = [
        ["backbone", f"{model.backbone}; first weights: {model.weights_source}"],
        ["trained part", f"{', '.join(model.trainable)} ({training.trained_parameters or 0:,} parameters)"],
        ["embedding", f"{report.bundle.references.embeddings.shape[1]} dimensions, unit length, compared by cosine"],
        ["input", f"{pixels.height} x {pixels.width} pixels, {pixels.resize}, uint8 RGB"],
        ["loss", f"{config.loss['name']} ({loss})" if loss else config.loss["name"]],
        ["trained on", f"{training.images} images of {len(config.labels)} labels"],
        ["best epoch", f"{training.best_epoch} of {training.epochs}, seed {training.seed}"],
        ["known images in the bundle", str(len(report.bundle.references))],
        ["fingerprint", report.bundle.fingerprint],
        ["versions", ", ".join(f"{name} {version}" for name, version in config.versions.items())],
    ]
    return (
        table(["", ""], rows, set())
        + "<p>The model knows what its training images showed: other light, other cameras or other kinds of objects "
        "can change the result. Every image gets some nearest neighbour, even one that shows none of the labels.</p>"
    )


def _value(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4f}" if np.isfinite(value) else ""
    return str(value)
