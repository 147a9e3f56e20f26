"""The style sheet of a report."""

CSS = """
:root { color-scheme: light dark;
  --ink: #0f172a; --dim: #5b6b80; --line: #e2e8f0; --page: #f8fafc; --panel: #fff; --sunk: #f1f5f9;
  --accent: #0f766e; --hot: #c2410c; --warn-bg: #fffbeb; --warn: #92400e; --warn-line: #fde68a; }
@media (prefers-color-scheme: dark) { :root {
  --ink: #e8eef6; --dim: #93a4b8; --line: #223047; --page: #0a1220; --panel: #0f172a;
  --sunk: #16213a;
  --accent: #2dd4bf; --hot: #fb923c; --warn-bg: #241a08; --warn: #fcd34d; --warn-line: #5c400c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 980px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -.02em; margin: 0 0 6px; }
h2 { font-size: 1.2rem; letter-spacing: -.01em; margin: 0 0 4px; }
h3 { font-size: .95rem; margin: 26px 0 4px; }
p { margin: 6px 0; max-width: 76ch; }
.lead, .why, figcaption, .fine { color: var(--dim); }
.fine, figcaption { font-size: .86rem; }
section { background: var(--panel); border: 1px solid var(--line); border-radius: 14px;
  padding: 24px 26px; margin-top: 20px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 14px;
  margin-top: 24px; }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: 14px;
  padding: 16px 16px; }
.card b { display: block; font-size: 1.6rem; line-height: 1.15; letter-spacing: -.02em;
  color: var(--accent); font-variant-numeric: tabular-nums; }
.card span { display: block; margin-top: 6px; line-height: 1.4; font-size: .92rem; }
.card small { display: block; margin-top: 6px; color: var(--dim); font-size: .82rem; }
.note { background: var(--warn-bg); color: var(--warn); border: 1px solid var(--warn-line);
  border-radius: 10px; padding: 9px 14px; margin: 14px 0 0;
  font-size: .9rem; list-style-position: inside; }
.scroll { overflow-x: auto; margin: 14px 0 4px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: .9rem; }
table.narrow { max-width: 680px; }
th, td { text-align: right; padding: 7px 10px; border-bottom: 1px solid var(--line);
  white-space: nowrap; vertical-align: top; }
th { font-weight: 600; color: var(--dim); font-size: .8rem; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td:first-child { white-space: normal; min-width: 9em; }
th:last-child, td:last-child { padding-right: 0; }
tr:last-child td { border-bottom: 0; }
tr.own td { font-weight: 600; }
td small { display: block; color: var(--dim); font-weight: 400; font-size: .78rem; }
td.none { color: var(--dim); text-align: left; white-space: normal; }
figure { margin: 18px 0 6px; }
figure img { display: block; width: 100%; height: auto; }
figcaption { margin-top: 8px; max-width: 76ch; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 18px; margin: 14px 0 0;
  font-size: .9rem; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  background: var(--sunk); padding: 1px 5px; border-radius: 5px; }
@media (max-width: 640px) { main { padding: 24px 14px; } section { padding: 18px 16px; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; } }
@media print { body { background: #fff; } section, .card { break-inside: avoid; } }
"""
