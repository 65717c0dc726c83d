// The reducer of the live protocol (heartbeat.live.v1, ui/UI.md section 7): what a page holds after a frame. Pure;
// replayed in a browser against recorded runs of the server's own reducer.

/** What a client holds; with an epoch and a seq it holds everything up to there (the page it came with). */
export const initial = (epoch = null, seq = null) =>
  ({ epoch, seq, waiting: false, rows: new Map(), sum: {} });

const lost = (state) => ({ state: { ...state, waiting: true }, resync: true, step: 'resync' });
const kept = (state, step) => ({ state, resync: false, step });

/**
 * The state after a frame; `resync` asks for a snapshot. `up` and `del` are the ids that changed and went.
 * Does not change its arguments.
 */
export function reduce(state, frame) {
  if (frame.t === 'snap') return reduceSnap(state, frame);
  if (frame.t === 'd') return reduceDelta(state, frame);
  // Asked again on each beat: the request or its snapshot may be what was lost.
  if (frame.t === 'hb' && (state.waiting || state.seq !== frame.seq)) return lost(state);
  return kept(state, 'ok');
}

function reduceSnap(state, { epoch, seq, cols, dict, rows: lines, sum }) {
  const at = cols.indexOf('id');
  if (at < 0 || lines.some((line) => line.length !== cols.length)) return lost(state);
  const rows = new Map();
  for (const line of lines) {
    const row = {};
    cols.forEach((name, i) => { if (i !== at) row[name] = expand(dict, name, line[i]); });
    rows.set(line[at], row);
  }
  const del = [...state.rows.keys()].filter((id) => !rows.has(id));
  const next = { epoch, seq, waiting: false, rows, sum: { ...sum } };
  return { ...kept(next, 'ok'), whole: true, up: [...rows.keys()], del };
}

function reduceDelta(state, { prev, seq, del = [], up = [], sum = {} }) {
  if (state.seq === null) return lost(state);
  if (state.waiting || seq <= state.seq) return kept(state, 'duplicate');
  if (prev !== state.seq) return lost(state);
  const rows = new Map(state.rows);
  // This order: an id may be dropped and come again within one delta.
  for (const id of del) rows.delete(id);
  for (const [id, columns] of up) rows.set(id, { ...rows.get(id), ...columns });
  const next = { ...state, seq, rows, sum: { ...state.sum, ...sum } };
  return { ...kept(next, 'ok'), up: up.map(([id]) => id), del };
}

function expand(dict, column, value) {
  if (column === 'group') return dict.group[value] ?? null;
  if (column === 'tags') return value.map((n) => dict.tags[n] ?? null);
  return value;
}
