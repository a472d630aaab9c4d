#include "video/page.h"

namespace darknet {

// Names of classes come from files: they go in as text, never as markup.
const char* web_page() {
  return R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Darknet Focal</title>
<style>
  :root { color-scheme: dark; font: 16px/1.4 system-ui, "DejaVu Sans", sans-serif; }
  body { margin: 0; background: #111; color: #eee; display: flex; flex-wrap: wrap; }
  main { flex: 3 1 32rem; min-width: 0; }
  img { display: block; width: 100%; max-height: 100vh; object-fit: contain; background: #000; }
  aside { flex: 1 1 16rem; padding: 1rem; box-sizing: border-box; }
  h1 { font-size: 1.1rem; margin: 0 0 .5rem; }
  dl { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; margin: 0 0 1rem; }
  dt { color: #aaa; font-size: .8rem; }
  dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
  table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { text-align: right; padding: .3rem .2rem; border-bottom: 1px solid #333; }
  th { color: #aaa; font-weight: normal; font-size: .8rem; }
  th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; }
  .lost { color: #f0a030; min-height: 1.4em; margin: .5rem 0; }
</style>
</head>
<body>
<main><img id="image" src="stream.mjpg" alt="The video with the boxes of what was found"></main>
<aside>
  <h1>Darknet Focal</h1>
  <dl>
    <div><dt>frames/s</dt><dd id="fps">-</dd></div>
    <div><dt>latency</dt><dd id="latency">-</dd></div>
    <div><dt>dropped</dt><dd id="dropped">-</dd></div>
  </dl>
  <table>
    <thead><tr><th>class</th><th>now</th><th id="seen-head" hidden>so far</th></tr></thead>
    <tbody id="classes"></tbody>
  </table>
  <p class="lost" id="lost" role="status"></p>
</aside>
<script>
const at = id => document.getElementById(id);
let missed = 0, dark = false;
at('image').onload = () => { dark = false; };
at('image').onerror = () => {
  dark = true;
  setTimeout(() => { at('image').src = 'stream.mjpg?' + Date.now(); }, 5000);
};
function row(name, now, seen, tracking) {
  const tr = document.createElement('tr');
  for (const text of tracking ? [name, now, seen] : [name, now])
    tr.appendChild(document.createElement('td')).textContent = text;
  return tr;
}
function show(state) {
  at('fps').textContent = state.fps.toFixed(1);
  at('latency').textContent = Math.round(state.latency_ms) + ' ms';
  at('dropped').textContent = state.dropped;
  const tracking = Object.keys(state.seen).length > 0;
  at('seen-head').hidden = !tracking;
  const names = [...new Set([...Object.keys(state.counts), ...Object.keys(state.seen)])].sort();
  at('classes').replaceChildren(...names.map(
    n => row(n, state.counts[n] || 0, state.seen[n] || 0, tracking)));
}
async function ask() {
  try {
    const state = await (await fetch('state.json')).json();
    if (state.frame_id) show(state);
    if (missed > 2) at('image').src = 'stream.mjpg?' + Date.now();
    missed = 0;
  } catch { ++missed; }
  at('lost').textContent = missed > 2 ? 'The program has ended or cannot be reached.'
    : dark ? 'No image comes, perhaps because too many others watch.' : '';
  setTimeout(ask, missed > 2 ? 2000 : 250);
}
ask();
</script>
</body>
</html>
)html";
}

}  // namespace darknet
