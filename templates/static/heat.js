// The fleet map under a pointer or by keys: which host a cell is, its state, since when and why; a click or Enter opens
// it. Above 2,000 hosts the page has bars; a button draws every host on a canvas for each group. Hooks:
//   [data-map]               its value is the query of /live/map
//   svg[data-rows]           a group: cells in columns of so many, in the order of /live/map
// Text goes through textContent only.

const PITCH = 8;
const MARGIN = 1;
const OLD_MS = 30_000;
let groups = null;
/** By state code: word, short name. */
let states = [];
let loadedAt = 0;
let tip = null;
let cursor = null;
let cards = 0;

const box = () => document.querySelector('[data-map]');
const drawings = () => [...document.querySelectorAll('.map [data-rows]')];

async function load() {
  const mine = cards += 1;
  const answer = await fetch(`/live/map?${box()?.dataset.map ?? ''}`, { cache: 'no-store' });
  const found = answer.ok ? await answer.json() : { groups: [], states: [] };
  if (mine !== cards) return;
  ({ groups, states } = found);
  loadedAt = Date.now();
}

const place = (drawing) => drawings().indexOf(drawing);

/** Width and height in the units that cells are drawn in. */
const units = (drawing) => drawing.viewBox?.baseVal ?? drawing;

/** The cell of a drawing at a point of the window. */
function at(drawing, event) {
  const { left, top, width, height } = drawing.getBoundingClientRect();
  const all = units(drawing);
  const x = Math.floor(((event.clientX - left) / width * all.width - MARGIN) / PITCH);
  const y = Math.floor(((event.clientY - top) / height * all.height - MARGIN) / PITCH);
  const rows = Number(drawing.dataset.rows);
  const cell = x * rows + y;
  return x >= 0 && y >= 0 && y < rows && groups?.[place(drawing)]?.[1][cell] ? cell : null;
}

const words = ([name, code, age, why]) => [name, `${states[code][0]} for ${age}`, why].filter(Boolean);

function show(drawing, cell) {
  const host = groups?.[place(drawing)]?.[1][cell];
  if (!host) { hide(); return; }
  tip ??= document.body.appendChild(Object.assign(document.createElement('p'), { className: 'tip' }));
  tip.setAttribute('role', 'status');
  const [name, state, why] = words(host);
  const b = document.createElement('b');
  b.textContent = name;
  tip.replaceChildren(b, ` ${state}`, ...(why ? [document.createElement('br'), why] : []));
  const { left, top, width, height } = drawing.getBoundingClientRect();
  const rows = Number(drawing.dataset.rows);
  const all = units(drawing);
  const x = left + (Math.floor(cell / rows) * PITCH + PITCH) * width / all.width;
  const y = top + ((cell % rows) * PITCH + PITCH) * height / all.height;
  tip.hidden = false;
  tip.style.left = `${Math.max(4, Math.min(x + 8, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 8, innerHeight - tip.offsetHeight - 8))}px`;
}

function hide() {
  if (tip) tip.hidden = true;
  cursor = null;
}

function open(drawing, cell) {
  const host = groups?.[place(drawing)]?.[1][cell];
  if (host) location.assign(`/plugins/${encodeURIComponent(host[0])}`);
}

function press(event) {
  const drawing = event.target.closest?.('.map [data-rows]');
  if (!drawing || !groups) return;
  const rows = Number(drawing.dataset.rows);
  const last = (groups[place(drawing)]?.[1].length ?? 0) - 1;
  const step = { ArrowLeft: -rows, ArrowRight: rows, ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (step) {
    event.preventDefault();
    cursor = cursor === null ? 0 : Math.max(0, Math.min(last, cursor + step));
    show(drawing, cursor);
  } else if (event.key === 'Enter' && cursor !== null) {
    open(drawing, cursor);
  } else if (event.key === 'Escape') {
    hide();
  }
}

async function drawAll() {
  const map = box();
  const [{ paint }] = await Promise.all([import('./canvas.js'), load()]);
  drawings().forEach((drawing, i) => paint(drawing, groups[i]?.[1] ?? [], states));
  map.dataset.canvas = '';
  map.classList.remove('bars');
}

function offer() {
  const map = box();
  if (!map?.classList.contains('bars') || map.querySelector('[data-all]')) return;
  const button = document.createElement('button');
  Object.assign(button, { className: 'btn', type: 'button', textContent: 'Show each host' });
  button.dataset.all = '';
  button.addEventListener('click', async () => { button.disabled = true; await drawAll(); button.remove(); });
  map.prepend(button);
}

const isReady = () => groups && !box()?.classList.contains('bars');

function prepare() {
  groups = null;
  offer();
  drawings().forEach((drawing) => drawing.setAttribute('tabindex', 0));
}

async function ready() {
  const isOld = !groups || Date.now() - loadedAt > OLD_MS;
  if (isOld && box() && !box().classList.contains('bars')) await load();
}

export function start() {
  prepare();
  ready();
  document.addEventListener('hb:fresh', async () => {
    // Canvases stay where they are; what they show is drawn anew.
    if (box()?.dataset.canvas === undefined) { prepare(); hide(); } else await drawAll();
  });
  document.addEventListener('pointermove', async (event) => {
    const drawing = event.target.closest?.('.map [data-rows]');
    if (!drawing) { if (cursor === null && tip && !tip.hidden) tip.hidden = true; return; }
    await ready();
    if (!isReady()) return;
    const cell = at(drawing, event);
    if (cell === null) tip && (tip.hidden = true);
    else show(drawing, cell);
  });
  document.addEventListener('click', (event) => {
    const drawing = event.target.closest?.('.map [data-rows]');
    const cell = drawing && isReady() ? at(drawing, event) : null;
    if (cell !== null) open(drawing, cell);
  });
  document.addEventListener('focusin', async ({ target }) => {
    const drawing = target.closest?.('.map [data-rows]');
    if (!drawing) { hide(); return; }
    await ready();
    cursor = 0;
    if (isReady()) show(drawing, cursor);
  });
  document.addEventListener('keydown', press);
}
