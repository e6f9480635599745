"""An audit as one page that needs no network: findings with pictures, and a list of what a person accepts."""

import base64
import json
import time

import numpy as np
import pandas as pd

from lookalike.auditing.audit import Audit
from lookalike.auditing.findings_table import KINDS
from lookalike.reports.plots import text

_SHOWN = 60  # findings of one kind on the page; all are in the table
_STYLE = """
:root { --ink: #1b1b1f; --soft: #5b5f66; --line: #d9dce1; --paper: #fff; --card: #f6f7f9; --blue: #0072B2;
  --warn: #D55E00 }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf0; --soft: #a5a9b2; --line: #3a3d45; --paper: #16171b;
  --card: #202228; --blue: #56B4E9; --warn: #E69F00 } }
* { box-sizing: border-box }
body { margin: 0; font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; color: var(--ink); background: var(--paper) }
main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 96px }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 18px; margin: 34px 0 4px } p { margin: 4px 0; color: var(--soft) }
table { border-collapse: collapse; margin: 12px 0; display: block; overflow-x: auto }
th, td { text-align: left; padding: 4px 18px 4px 0;
  border-bottom: 1px solid var(--line) } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
nav { display: flex; flex-wrap: wrap; gap: 8px; margin: 18px 0 }
nav a { padding: 4px 12px; border: 1px solid var(--line);
  border-radius: 16px; color: inherit; text-decoration: none } nav b { color: var(--blue) }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 12px; margin-top: 12px }
.card { display: flex; gap: 10px; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 10px }
.card figure { margin: 0; width: 96px } .card img, .none { width: 96px; height: 96px; object-fit: fill;
  border-radius: 4px; background: var(--line) }
.none { display: grid; place-items: center; font-size: 11px; color: var(--soft) }
figcaption { font-size: 11px; color: var(--soft); overflow-wrap: anywhere } .what { flex: 1; min-width: 0 }
.what div { overflow-wrap: anywhere } .path { font-size: 12px; color: var(--soft) } .leak { color: var(--warn);
  font-weight: 600 } label { display: block; margin-top: 6px; font-size: 13px }
footer { position: fixed; bottom: 0; left: 0; right: 0; background: var(--paper); border-top: 1px solid var(--line);
  padding: 10px 20px; display: flex; gap: 16px; align-items: center; justify-content: center }
button { font: inherit; padding: 6px 16px; border-radius: 6px; border: 0; background: var(--blue); color: #fff }
button:disabled { background: var(--line); color: var(--soft) } code { font-size: 13px }
"""
_SCRIPT = """
const reasons = JSON.parse(document.getElementById("reasons").textContent);
const chosen = new Set();
const button = document.getElementById("save"), told = document.getElementById("told");
function show() {
  for (const box of document.querySelectorAll("input")) box.checked = chosen.has(box.value);
  button.disabled = chosen.size === 0;
  told.textContent = chosen.size + " images chosen";
}
for (const box of document.querySelectorAll("input"))
  box.addEventListener("change", () => { box.checked ? chosen.add(box.value) : chosen.delete(box.value); show(); });
for (const every of document.querySelectorAll(".every"))
  every.addEventListener("click", () => {
    for (const box of every.closest("section").querySelectorAll("input")) chosen.add(box.value);
    show();
  });
button.addEventListener("click", () => {
  const cell = text => '"' + text.replaceAll('"', '""') + '"';
  const lines = [...chosen].map(number => reasons[number].map(cell).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["path,reason\\n" + lines.join("\\n") + "\\n"], { type: "text/csv" }));
  link.download = "accepted.csv";
  link.click();
});
show();
"""


def page(audit: Audit) -> bytes:
    """The page, UTF-8; pictures are inside it."""
    name, counts = str(audit.manifest.root.resolve()), audit.findings["kind"].value_counts()
    facts = audit.facts.table
    links = [f'<a href="#{kind}">{text(KINDS[kind][0])} <b>{counts[kind]}</b></a>' for kind in KINDS if kind in counts]
    reasons: list[list[str]] = []
    sections = [
        _section(kind, audit.findings[audit.findings["kind"] == kind], facts, reasons)
        for kind in KINDS
        if kind in counts
    ]
    usable = int(audit.facts.usable.sum())
    left_out = f"{len(audit.manifest.left_out)} more are left out by exclude.csv. " if audit.manifest.left_out else ""
    data = json.dumps(reasons).replace("<", "\\u003c")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Audit of {text(name)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><main><h1>Audit</h1><p>{text(name)}, {time.strftime('%Y-%m-%d')}: "
        f"{len(audit.rows)} images, {usable} of them usable, {audit.rows['label'].nunique()} classes. "
        f"{left_out}No file was changed.</p>"
        f"{_leaks(audit.leaks)}<nav>{''.join(links) or 'Nothing was found.'}</nav>{''.join(sections)}</main>"
        '<footer><span id="told"></span><button type="button" id="save">Save accepted.csv</button>'
        "<span>then <code>lookalike audit ... apply=accepted.csv</code></span></footer>"
        f'<script type="application/json" id="reasons">{data}</script><script>{_SCRIPT}</script></body></html>\n'
    ).encode("utf-8", "replace")


def _leaks(leaks: pd.DataFrame) -> str:
    if leaks.empty:
        return ""
    rows = []
    for line in leaks.itertuples(index=False):
        cells = [f"<td>{line.split}</td>", *(f'<td class="n">{_figure(value)}</td>' for value in line[1:])]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    heads = ["queries", "accuracy@1", "with a copy", "without these", "with a copy or the same scene", "without these"]
    head = "".join(f'<th class="n">{title}</th>' for title in heads)
    return (
        "<h2>Leaks</h2><p>Queries whose own picture, or another picture of their scene, is among the references: "
        f"accuracy@1 with and without them.</p><table><tr><th>split</th>{head}</tr>{''.join(rows)}</table>"
    )


def _figure(value: float) -> str:
    if isinstance(value, int | np.integer):
        return f"{value}"
    return f"{value:.4f}" if np.isfinite(value) else "none left"


def _section(kind: str, found: pd.DataFrame, facts: pd.DataFrame, reasons: list[list[str]]) -> str:
    cards = []
    for row in found.head(_SHOWN).to_dict("records"):
        pictures = "".join(_picture(facts, one) for one in (row["row"], row["other_row"]) if one >= 0)
        choice = ""
        if row["row"] >= 0 and kind != "confused":
            reasons.append([str(row["path"]), f"{kind}: {row['reason']}"])
            name = f"{row['split']}/{str(row['path']).rpartition('/')[2]}"
            choice = f'<label><input type="checkbox" value="{len(reasons) - 1}"> leave {text(name)} out</label>'
        leak = ' class="leak"' if str(row["reason"]).startswith("leak") else ""
        title = f"{row['split']} {row['label']}".strip() or str(row["path"])
        cards.append(
            f'<div class="card">{pictures}<div class="what"><div><b>{text(title)}</b></div>'
            f'<div{leak}>{text(str(row["reason"]))}</div><div class="path">{text(str(row["suggestion"]))}</div>'
            f"{choice}</div></div>"
        )
    more = f" The first {_SHOWN} are shown, all are in audit.parquet." if len(found) > _SHOWN else ""
    title, advice = KINDS[kind]
    every = (
        '<p><button type="button" class="every">Choose all shown here</button></p>'
        if "<input" in "".join(cards)
        else ""
    )
    return (
        f'<section id="{kind}"><h2>{text(title)} ({len(found)})</h2><p>{text(advice[0].upper() + advice[1:])}.{more}'
        f'</p>{every}<div class="grid">{"".join(cards)}</div></section>'
    )


def _picture(facts: pd.DataFrame, row: int) -> str:
    path, thumb = str(facts["path"][row]), facts["thumb"][row]
    caption = f"<figcaption>{text(path.partition('/')[0])}<br>{text(path.rpartition('/')[2])}</figcaption>"
    if not thumb:
        return f'<figure><div class="none">no picture</div>{caption}</figure>'
    wide, high = int(facts["width"][row]), int(facts["height"][row])
    scale = 96 / max(wide, high, 1)
    size = f"width:{max(8, round(wide * scale))}px;height:{max(8, round(high * scale))}px"
    data = base64.b64encode(thumb).decode()
    return f'<figure><img style="{size}" alt="{text(path)}" src="data:image/jpeg;base64,{data}">{caption}</figure>'
