"""The frame of the pages: their template and style sheet."""

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root {
  color-scheme: light dark;
  --ink: #1f2328; --soft: #59626c; --faint: #d3d8de; --paper: #fdfdfc;
  --panel: #f3f5f6;
  --run-0: #0072b2; --run-1: #d55e00; --run-2: #009070;
  --run-3: #aa4499; --run-4: #8f6f00; --run-5: #5f6670;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e8ea; --soft: #a3abb4; --faint: #3a4149; --paper: #15181c;
    --panel: #1e2328;
    --run-0: #5cb8ee; --run-1: #ff9152; --run-2: #3fd0a4;
    --run-3: #e796d4; --run-4: #e3c03a; --run-5: #b4bac1;
  }
}
@media print { :root { color-scheme: light; } }
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.2rem 4rem; max-width: 70rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 1rem; font-weight: 600; color: var(--soft); margin: 0; }
h2 { font-size: 1.15rem; margin: 0 0 .7rem; }
section { margin-top: 2.6rem; }
.headline { font-size: 1.4rem; line-height: 1.35; max-width: 48rem; }
.headline p { margin: .4rem 0; }
.headline p + p { font-size: 1.1rem; }
.caption { color: var(--soft); font-size: .87rem; max-width: 48rem; }
.cards, .figures {
  display: grid; gap: 1rem 1.6rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr));
}
.cards { margin-top: 1.4rem; }
.cards article {
  background: var(--panel); border-top: 4px solid var(--run);
  border-radius: 4px; padding: .8rem 1rem; max-width: 26rem;
  break-inside: avoid; print-color-adjust: exact;
}
.cards h2 { color: var(--run); font-size: 1rem; margin: 0; }
.score { font-size: 2rem; font-weight: 650; line-height: 1.2; margin: .2rem 0; }
.score small {
  display: block; font-size: .85rem; font-weight: 400; color: var(--soft);
}
dl {
  display: grid; grid-template-columns: auto 1fr; gap: .3rem .8rem;
  margin: .6rem 0; font-size: .9rem;
}
dt { color: var(--soft); }
dd {
  margin: 0; display: flex; flex-wrap: wrap; column-gap: .6rem;
  justify-content: space-between;
}
.bar { flex-basis: 100%; height: 4px; background: var(--faint); }
.bar i { display: block; height: 100%; background: var(--run); }
.schedule {
  margin: .4rem 0 0; color: var(--soft);
  font: .82rem/1.4 ui-monospace, monospace;
}
.figures {
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
}
.figures.clips {
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr));
}
.figures.samples {
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr));
}
.figures.wide {
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 40rem), 1fr));
}
figure { margin: 0; max-width: 44rem; break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; overflow: visible; }
figure svg text {
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif
    !important;
}
[id*="halo"] text {
  paint-order: stroke; stroke: var(--paper); stroke-width: 3px;
  font-weight: 600 !important;
}
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .28rem .7rem; text-align: right; vertical-align: top; }
thead th:nth-child(-n+2), tbody th, .name { text-align: left; }
tr > th:first-child { padding-left: 0; }
thead th {
  font-weight: 600; color: var(--soft); vertical-align: bottom;
  line-height: 1.25; max-width: 8rem;
}
tbody { border-top: 1px solid var(--faint); }
tbody th { font-weight: 600; }
td { font-variant-numeric: tabular-nums; white-space: nowrap; }
.total td { font-weight: 600; }
details { margin: .4rem 0; }
summary { cursor: pointer; }
pre {
  background: var(--panel); padding: .7rem 1rem; border-radius: 4px;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.config th, .config td {
  text-align: left; white-space: pre-wrap; overflow-wrap: anywhere;
}
.config th { white-space: nowrap; color: var(--soft); }
code { overflow-wrap: anywhere; }
@media print {
  :root { font-size: 12px; --paper: #fff; }
  body { max-width: none; padding: 0; }
  .cards { grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
  .figures { grid-template-columns: 1fr 1fr; }
  .figures.clips { grid-template-columns: 1fr 1fr 1fr; }
  .scroll { overflow: visible; }
  .scroll th, .scroll td { padding: .2rem .35rem; }
  h2 { break-after: avoid; }
  .scroll tbody { break-inside: avoid; }
  details::details-content { content-visibility: visible; }
}
</style>
</head>
<body>
<header>
<h1>$title</h1>
<div class="headline">$headline</div>
$caution
</header>
<main>
$body
</main>
</body>
</html>
""")
