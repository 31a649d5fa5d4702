"""Looks of the report: one style sheet and one script, both put into the page itself."""

from __future__ import annotations

# Nothing may be fetched: the page is read on machines without a network, and a page that
# calls out would tell others who reads it. The script below also names the buttons that a
# plot may have, because plotly's own choice can hold one that sends the plot to a server.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)

STYLE = """
:root { color-scheme: light dark;
  --paper: #fbfaf7; --card: #ffffff; --ink: #1f2a31; --soft: #5d6b74; --line: #e2e0d9;
  --accent: #2b6a8c; --warn: #8a4b12; --warn-paper: #fdf3e3; --bad: #a33a1e; --good: #3d6b3f; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14191d; --card: #1b2227; --ink: #e4e8ea; --soft: #9aa7af; --line: #2e383f;
  --accent: #7fb6d3; --warn: #f0c98d; --warn-paper: #33291a; --bad: #f09a80; --good: #9ccb9e; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2.2rem 1.2rem 4rem; }
h1, h2, h3 { font-weight: 600; line-height: 1.25; overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 3rem 0 .8rem; padding-top: 1rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.6rem 0 .5rem; }
p { margin: .4rem 0 .9rem; max-width: 44rem; }
.lead, figcaption, caption, .soft { color: var(--soft); }
.glance { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem;
  margin: 1.4rem 0 0; }
.glance div { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .65rem .9rem; }
.glance b { display: block; font-size: 1.35rem; font-weight: 600;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.glance span { color: var(--soft); font-size: .85rem; }
.note { background: var(--warn-paper); color: var(--warn); border-radius: 8px;
  padding: .6rem .9rem; margin: 1rem 0; max-width: none; }
dl { display: grid; grid-template-columns: fit-content(40%) 1fr; gap: .3rem 1.2rem;
  margin: .4rem 0 1rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .9rem 0 1.4rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .4rem; }
th, td { text-align: left; padding: .4rem .8rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }
.first { padding-left: 0; }
th { font-weight: 600; color: var(--soft); white-space: nowrap; }
tbody tr:last-child td { border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; white-space: nowrap; }
td.long { max-width: 20rem; overflow-wrap: anywhere; }
td.pass { color: var(--good); } td.refuse { color: var(--bad); } td.review { color: var(--warn); }
code { font: .88em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 1rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .8rem .8rem .7rem; min-width: 0; break-inside: avoid; }
figure.third { grid-column: span 2; } figure.half { grid-column: span 3; }
figure.most { grid-column: span 4; } figure.whole { grid-column: 1 / -1; }
figure h3 { margin: 0 0 .3rem .2rem; font-size: .95rem; }
figcaption { font-size: .85rem; margin: .2rem 0 0 .2rem; }
.plot { width: 100%; }
.plot text { fill: var(--ink) !important; }
.plot .hoverlayer text { fill: #ffffff !important; }
.plot .cell-text text, .plot .heatmap-label text { fill: #14191d !important; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 44rem) {
  main { padding: 1.2rem .9rem 3rem; } h1 { font-size: 1.5rem; }
  .figures { grid-template-columns: minmax(0, 1fr); } figure[class] { grid-column: auto; } }
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #ccc; }
  main { max-width: none; padding: 0; } h2 { break-after: avoid; }
  .scroll { overflow: visible; } tr { break-inside: avoid; } .modebar { display: none; } }
"""

SCRIPT = """
document.querySelectorAll('.plot').forEach(function (place) {
  var spec = JSON.parse(document.getElementById(place.dataset.spec).textContent);
  Plotly.newPlot(place, spec.data, spec.layout, { responsive: true, displaylogo: false,
    showSendToCloud: false, plotlyServerURL: '',
    modeBarButtons: [['toImage', 'zoom2d', 'pan2d', 'resetScale2d']],
    toImageButtonOptions: { format: 'svg' } });
});
"""
