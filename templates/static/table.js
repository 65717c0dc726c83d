// The page that the server rendered, kept up to date: rows in their order, tiles. Hooks, each optional:
//   <main data-host="17">            a host's page;  data-empty: changes whole when the first host comes
//   [data-state="down|critical|…"] b a tile's number; the tile has data-zero while it is 0
//   #hosts[data-sort][data-size] tbody tr[data-id][data-place]      a smaller one stands above
// What only the server can draw, a row that is new here among it, is asked for by the event hb:moved.

import { draw } from './row.js';
import { STATES, count, put } from './text.js';

export const main = document.querySelector('main');
export const host = main.dataset.host ? Number(main.dataset.host) : null;
export const scope = /[?&]owner=all/.test(location.search) ? 'all' : 'mine';
const table = () => document.getElementById('hosts');
const rowsOf = () => [...document.querySelectorAll('#hosts tbody tr[data-id]')];
const isByState = table()?.dataset.sort === 'state';
/** All hosts, worst first, from the first on: what it shows can be judged here. */
const isWhole = isByState && !/[?&](q|state|group|page)=[^&]/.test(location.search);
let sum = {};

/** The rows on the screen: their fast columns are asked for. */
export const shown = () => (host === null ? rowsOf().map((tr) => Number(tr.dataset.id)) : [host]).slice(0, 200);

const moved = () => document.dispatchEvent(new CustomEvent('hb:moved'));

/** Shows what `reduce` said; `true` where the rows on the screen are others now. */
export function apply({ state, whole, up, del }) {
  if ('empty' in main.dataset && state.rows.size > 0) location.reload();
  drawSum(state.sum);
  if (host !== null) {
    if (up.includes(host)) draw(main, state.rows.get(host));
    return false;
  }
  const before = shown().join();
  // An id of another life of the server means another host.
  const isOther = state.epoch !== (main.dataset.epoch ?? state.epoch);
  main.dataset.epoch = state.epoch;
  if (isOther) moved();
  for (const tr of rowsOf()) {
    const id = Number(tr.dataset.id);
    if (isOther || (whole ? !state.rows.has(id) : del.includes(id))) tr.remove();
  }
  if (table()) for (const id of up) drawRow(id, state.rows.get(id));
  return shown().join() !== before;
}

/** The one order used everywhere, as the server counts it: worst first, an outage that somebody acknowledged (bit 4 of
    `flags`) below others, then the newest change. */
const placeIn = ({ state, flags, since }) => (state * 2 + (state ? 0 : flags >> 2 & 1)) * 1e10 - since;
const placeOf = (tr) => Number(tr.dataset.place);

/** Whether a row that is not here may belong here. */
function isMissed(row) {
  const rows = rowsOf();
  const isIn = () => rows.length < table().dataset.size || placeIn(row) < placeOf(rows.at(-1));
  return row.state !== undefined && (!isWhole || isIn());
}

function drawRow(id, row) {
  const body = table().tBodies[0];
  const tr = body.querySelector(`tr[data-id="${Number(id)}"]`);
  if (!tr) { if (isMissed(row)) moved(); return; }
  draw(tr, row);
  if (row.state === undefined) return;
  const before = placeOf(tr);
  tr.dataset.place = placeIn(row);
  if (placeOf(tr) === before) return;
  if (isByState) place(body, tr);
  if (!isWhole) moved();
}

function place(body, tr) {
  const others = rowsOf().filter((other) => other !== tr);
  const next = others.find((other) => placeOf(tr) < placeOf(other)) ?? null;
  if (tr.nextElementSibling === next) return;
  const focused = tr.contains(document.activeElement) ? document.activeElement : null;
  body.insertBefore(tr, next);
  focused?.focus();
}

function drawSum(counts) {
  let isOther = STATES.some(([, short]) => sum[short] !== undefined && counts[short] !== sum[short]);
  sum = counts;
  for (const [word, short] of STATES) {
    const number = main.querySelector(`[data-state="${word}"] b`);
    if (!number || sum[short] === undefined || number.textContent === count(sum[short])) continue;
    isOther = true;
    put(number, count(sum[short]));
    number.closest('[data-state]').toggleAttribute('data-zero', sum[short] === 0);
  }
  if (isOther) moved();
}
