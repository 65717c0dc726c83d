// The live protocol in the browser (heartbeat.live.v1, ui/UI.md section 7): keeps a page that the server rendered
// up to date. Pure parts first (reducer, texts), exported for tests; then the page; then the connection.
// Text from outside goes through textContent only. Hooks in the page, each optional except #link:
//   <html data-live="ws://host:50005/" data-version="0.1.0" data-tz="Europe/Zurich">   default: this origin
//   <main data-epoch data-ver>       where to resume from; data-empty: reload when the first host comes
//   <main data-host="17">            a host's page: follow its samples
//   #link (role=status)              data-link="live|connecting|stale|offline|polling"; text in it, or its [data-text]
//   #banner                          the server's own text comes back when the connection does
//   [data-state="down|critical|…"] b a tile's number; the tile has data-zero while it is 0
//                                    its em is redrawn for up and emptied for others; [data-total] is all hosts
//   #hosts[data-sort][data-size] tbody tr[data-id][data-state][data-since]     state code, Unix seconds
//   [data-col="state|host|why|alerts|r4|r6|seen|up|res"]  in a row, or anywhere in main[data-host]
//   .c-rtt                           in a row: the server's sparkline; a row that is new here has none yet
//   #feed li[data-id]                newest first; .none beside it goes with the first entry
//   time[datetime][data-rel="ago|for"]   ticks
//   [data-metric="plugin.path"][data-unit]
//   link[rel=icon]

const SUBPROTOCOL = 'heartbeat.live.v1';
const STALE_MS = 22_000;
const DIAL_MS = 10_000;
const FEED_MAX = 50;
const LOG_GAP_MS = 5_000;
const FAVICON_GAP_MS = 2_000;
const MAP_GAP_MS = 3000;
const HIDDEN_UNVIEW_MS = 60_000;
const HIDDEN_CLOSE_MS = 600_000;
const UPGRADES_MAX = 3;

/** By state code: word, short name (class, glyph, sum). */
export const STATES = [
  ['down', 'down'], ['critical', 'crit'], ['warning', 'warn'], ['late', 'late'],
  ['unreachable', 'unreach'], ['unknown', 'unk'], ['maintenance', 'maint'], ['up', 'up'],
];
const UP = 7;
const UNWATCHED = 1;

// ---- the reducer

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

// ---- texts (UI 4.3, 4.4)

/** Two units at most: `18 s`, `2 h 14 m`, `41 d 3 h`, `> 1 y`. */
export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s >= 365 * 86400) return '> 1 y';
  const units = [[Math.floor(s / 86400), 'd'], [Math.floor(s / 3600) % 24, 'h'],
    [Math.floor(s / 60) % 60, 'm'], [s % 60, 's']];
  const first = Math.max(units.findIndex(([n]) => n > 0), 0);
  if (s === 0) return '0 s';
  // Seconds beside minutes only while they matter.
  const two = units.slice(first, first + 2).filter(([n], i) => n > 0 && (i === 0 || s < 600 || first < 2));
  return two.map(([n, unit]) => `${n} ${unit}`).join(' ');
}

/** Formats are made once: making one takes longer than drawing a row. */
const formats = new Map();
const written = (date, locale, timeZone, options) => {
  const key = locale + timeZone + Object.keys(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale, { timeZone, ...options }));
  return formats.get(key).format(date);
};

/** Day and time in a zone: `['20 Nov', '14:02:09']`. */
export function civil(seconds, timeZone) {
  const part = (locale, options) => written(seconds * 1000, locale, timeZone, options);
  const day = `${part('en-US', { day: 'numeric' })} ${part('en-US', { month: 'short' })}`;
  return [day, part('en-GB', { timeStyle: 'medium' })];
}

/** `4 s ago`, `in 42 s`; after 48 h `20 Nov 14:02`. */
export function age(seconds, now, timeZone) {
  const past = now - seconds;
  if (past <= -1) return `in ${duration(-past)}`;
  if (past < 48 * 3600) return `${duration(past)} ago`;
  const [day, time] = civil(seconds, timeZone);
  return `${day} ${time.slice(0, 5)}`;
}

/** `0.8 ms`, `12 ms`, `1.2 s`; `lost` over a family that once worked, `–` for one that never did. */
export function rtt(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 0) return 'lost';
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** At most three significant digits below 1000; thousands with a thin space. */
export function count(n) {
  if (typeof n !== 'number') return String(n);
  const short = Math.abs(n) >= 100 ? Math.round(n) : Number(n.toPrecision(3));
  const [whole, decimals] = String(short).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, '\u2009');
  return decimals ? `${grouped}.${decimals}` : grouped;
}

/** Names what is wrong before the page's own title. */
export function title(sum, base) {
  const parts = [['down', 'down'], ['crit', 'critical']].filter(([key]) => sum[key] > 0);
  return (parts.length ? `(${parts.map(([key, word]) => `${sum[key]} ${word}`).join(', ')}) ` : '') + base;
}

/** Milliseconds before attempt `n` (0 is the first again): full jitter under 0.5 s · 2ⁿ, at most 30 s. */
export const backoff = (n, random = Math.random) => random() * Math.min(30_000, 500 * 2 ** Math.min(n, 16));

/** Where a row belongs in the one order used everywhere: worst first, then the newest change. */
export const isBefore = (a, b) => a.state < b.state || (a.state === b.state && a.since > b.since);

/** Numbers and texts of a plugin's data by path, as thresholds name them. */
export function leaves(data, prefix, out = new Map()) {
  for (const [key, value] of Object.entries(data ?? {})) {
    if (value !== null && typeof value === 'object') leaves(value, `${prefix}.${key}`, out);
    else out.set(`${prefix}.${key}`, value);
  }
  return out;
}

/** `00:14`, `1:02:03`. */
export function clock(seconds) {
  const part = (unit) => String(Math.floor(seconds / unit) % 60).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:` : ''}${part(60)}:${part(1)}`;
}

// ---- the page

const SVG = 'http://www.w3.org/2000/svg';
const capital = (word) => word[0].toUpperCase() + word.slice(1);
const iso = (seconds) => new Date(seconds * 1000).toISOString();
/** What misleads a reader (controls, overrides of direction) is shown as the server shows it. */
const clean = (text) => String(text).replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, '␦');
const put = (element, text) => { if (element.textContent !== clean(text)) element.textContent = clean(text); };

const make = (name, attributes, ...children) => build(document.createElement(name), attributes, children);
const draft = (name, attributes, ...children) => build(document.createElementNS(SVG, name), attributes, children);

function build(element, attributes = {}, children = []) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, clean(value));
  element.append(...children.map((child) => (child instanceof Node ? child : clean(child))));
  return element;
}

function glyph(code, isAlone) {
  const [word, short] = STATES[code];
  const role = isAlone ? { role: 'img', 'aria-label': capital(word) } : { 'aria-hidden': 'true' };
  return draft('svg', { class: `g s-${short}`, ...role }, draft('use', { href: `#s-${short}` }));
}

const icon = (name, attributes) =>
  draft('svg', { viewBox: '0 0 16 16', ...attributes }, draft('use', { href: `#i-${name}` }));

/** The zone that the server writes times in, where the browser knows it; else the browser's own. */
function knownZone(name) {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

function startPage() {
  const root = document.documentElement;
  const main = document.querySelector('main') ?? document.body;
  const host = main.dataset.host ? Number(main.dataset.host) : null;
  const zone = knownZone(root.dataset.tz);
  const table = document.getElementById('hosts');
  const body = table?.tBodies[0];
  const rowsOf = () => [...(body?.querySelectorAll('tr[data-id]') ?? [])];
  const pattern = rowsOf()[0]?.cloneNode(true);
  const size = Number(table?.dataset.size) || 50;
  const isByState = (table?.dataset.sort || 'state') === 'state';
  const feed = document.getElementById('feed');
  const link = document.getElementById('link');
  const banner = document.getElementById('banner');
  const served = banner && { nodes: [...banner.childNodes], kind: banner.className, hidden: banner.hidden };
  const baseTitle = document.title.replace(/^\(\d+ [^)]*\) /, '');
  let offset = 0;
  let sum = {};
  let mapTimer = 0;
  let iconAt = 0;
  let events = [];
  /** Key t: times as times of day, not as ages. */
  let isAbsolute = false;
  let newest = Math.max(0, ...[...(feed?.children ?? [])].map((li) => Number(li.dataset.id) || 0));
  let logAt = 0;

  /** Unix seconds of the server's clock. */
  const now = () => (Date.now() + offset) / 1000;

  /** The rows on the screen: their fast columns are asked for. */
  const shown = () => (host === null ? rowsOf().map((tr) => Number(tr.dataset.id)) : [host]).slice(0, 200);

  function setLink(kind, text) {
    link.dataset.link = kind;
    put(link.querySelector('[data-text]') ?? link, text);
  }

  function setBanner(parts, key) {
    if (!banner) return;
    banner.replaceChildren(...(parts ?? served.nodes));
    banner.className = parts ? `banner b-${key}` : served.kind;
    banner.hidden = parts ? false : served.hidden;
  }

  /** Shows what `reduce` said; `true` where the rows on the screen are others now. */
  function apply({ state, whole, up, del }) {
    if ('empty' in main.dataset && state.rows.size > 0) location.reload();
    drawSum(state.sum);
    if (host !== null) {
      if (up.includes(host)) draw(main, state.rows.get(host));
      return false;
    }
    const before = shown().join();
    for (const tr of rowsOf()) {
      const id = Number(tr.dataset.id);
      if (whole ? !state.rows.has(id) : del.includes(id)) tr.remove();
    }
    if (body) for (const id of up) drawRow(id, state.rows.get(id));
    return shown().join() !== before;
  }

  const rank = (tr) => ({ state: Number(tr.dataset.state ?? UP), since: Number(tr.dataset.since ?? 0) });

  /** Only the first page of all hosts, worst first, takes what it did not show. */
  function takesNew(row) {
    if (!pattern || row.name === undefined || /[?&](q|state|group|page)=/.test(location.search) || !isByState) return false;
    const rows = rowsOf();
    return rows.length < size || isBefore(row, rank(rows.at(-1)));
  }

  function drawRow(id, row) {
    const old = body.querySelector(`tr[data-id="${Number(id)}"]`);
    if (!old && !takesNew(row)) return;
    const tr = old ?? blankRow();
    tr.dataset.id = id;
    draw(tr, row);
    if (row.state === undefined) return;
    const { state, since } = rank(tr);
    Object.assign(tr.dataset, { state: row.state, since: row.since });
    if (!old || (isByState && (row.state !== state || row.since !== since))) place(tr);
    if (!old && rowsOf().length > size) rowsOf().at(-1).remove();
  }

  function blankRow() {
    const tr = pattern.cloneNode(true);
    tr.querySelectorAll('[title]').forEach((el) => el.removeAttribute('title'));
    tr.querySelectorAll('.c-rtt, .c-x').forEach((td) => td.replaceChildren('–'));
    tr.querySelectorAll('[name=host]').forEach((box) => { box.checked = false; });
    return tr;
  }

  function place(tr) {
    const others = rowsOf().filter((other) => other !== tr);
    const next = others.find((other) => isBefore(rank(tr), rank(other))) ?? null;
    if (tr.isConnected && tr.nextElementSibling === next) return;
    const focused = tr.contains(document.activeElement) ? document.activeElement : null;
    body.insertBefore(tr, next);
    focused?.focus();
  }

  /** Redraws the cells under `scope` whose columns `row` has. */
  function draw(scope, row) {
    const cell = (name, column, write) => {
      if (row[column] === undefined) return;
      scope.querySelectorAll(`[data-col="${name}"]`).forEach((el) => write(el, row[column]));
    };
    cell('state', 'state', (el, state) => drawState(el, state, row.since));
    cell('host', 'name', (el) => drawName(el, row));
    cell('why', 'why', (el) => drawWhy(el, row));
    cell('alerts', 'ac', (el) => drawAlerts(el, row));
    cell('r4', 'r4', drawRtt);
    cell('r6', 'r6', drawRtt);
    cell('seen', 'seen', (el, seconds) => {
      drawTime(el, seconds, 'ago', 'never');
      if (row.state !== undefined) setClass(el, 't-', [0, 3, 4].includes(row.state) && STATES[row.state][1]);
    });
    cell('up', 'boot', (el, seconds) => drawTime(el, seconds, 'for', '–'));
    cell('res', 'cpu', (el) => drawGauges(el, row));
  }

  function drawState(el, state, since) {
    const [word, short] = STATES[state];
    const time = make('time');
    const parts = [make('span', { class: 'lbl' }, capital(word)), ' ', make('small', { class: 'lbl' }, time)];
    el.replaceChildren(make('span', { class: `st t-${short}` }, glyph(state), ...parts));
    drawTime(time, since, 'for');
  }

  function drawTime(el, seconds, rel, none) {
    let time = el.matches('time') ? el : el.querySelector('time');
    if (seconds === null) {
      put(el, none);
      return;
    }
    if (!time) el.replaceChildren(time = make('time'));
    time.dateTime = iso(seconds);
    time.dataset.rel = rel;
    time.removeAttribute('title');
    tick(time);
  }

  function tick(time) {
    const seconds = Date.parse(time.dateTime) / 1000;
    if (Number.isNaN(seconds)) return;
    if (isAbsolute) { put(time, civil(seconds, zone).join(' ')); return; }
    put(time, time.dataset.rel === 'for' ? duration(now() - seconds) : age(seconds, now(), zone));
  }

  /** The map and the pager are the server's work: after a change of numbers they are fetched anew, not more often
   *  than every few seconds. */
  function refreshMap() {
    if (mapTimer) return;
    mapTimer = setTimeout(async () => {
      mapTimer = 0;
      try {
        const answer = await fetch(location.href, { cache: 'no-store' });
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        const map = document.querySelector('[data-canvas]') ? [] : ['.map-card'];
        for (const part of [...map, '[data-pager]', '#nav-alerts', '[data-sentence]', ...freshParts()]) {
          const fresh = answer.ok && page.querySelector(part);
          if (fresh) document.querySelector(part)?.replaceWith(document.adoptNode(fresh));
        }
        document.dispatchEvent(new CustomEvent('hb:fresh'));
      } catch {
        // Away for a moment: the next change asks again.
      }
    }, MAP_GAP_MS);
  }

  /** Lists that the server draws anew; not while a row of theirs is chosen or has the focus. */
  function freshParts() {
    const isBusy = (part) => part.querySelector('input:checked') || part.contains(document.activeElement);
    const parts = [...document.querySelectorAll('[data-fresh]')].filter((part) => !isBusy(part));
    return parts.map((part) => `[data-fresh="${part.dataset.fresh}"]`);
  }

  function drawSum(counts) {
    if (sum.up !== undefined && STATES.some(([, short]) => counts[short] !== sum[short])) refreshMap();
    sum = counts;
    for (const [word, short] of STATES) {
      if (sum[short] === undefined) continue;
      for (const number of main.querySelectorAll(`[data-state="${word}"] b`)) {
        const tile = number.closest('[data-state]');
        if (number.textContent !== count(sum[short])) drawNote(tile.querySelector('em'), word);
        put(number, count(sum[short]));
        tile.toggleAttribute('data-zero', sum[short] === 0);
      }
    }
    if (sum.up !== undefined) main.querySelectorAll('[data-total]').forEach((el) => put(el, count(total())));
    if (host === null && sum.down !== undefined) document.title = title(sum, baseTitle);
  }

  const total = () => STATES.reduce((all, [, short]) => all + (sum[short] ?? 0), 0);

  /** The trend that the server wrote beside a number is not that of another number. */
  function drawNote(note, word) {
    if (note) put(note, word === 'up' && total() ? `${count((100 * sum.up) / total())} %` : '');
  }

  /** At most every two seconds: browsers fetch the icon anew. */
  function drawIcon() {
    const icon = document.querySelector('link[rel~=icon]');
    const href = `/favicon.svg?d=${sum.down}&c=${sum.crit}&w=${sum.warn}`;
    if (!icon || sum.down === undefined || Date.now() - iconAt < FAVICON_GAP_MS) return;
    if (icon.getAttribute('href') === href) return;
    icon.setAttribute('href', href);
    iconAt = Date.now();
  }

  function addEvents(items) {
    if (items.some((item) => item.id > newest) && document.querySelector('[data-fresh]')) refreshMap();
    if (!feed) { newest = Math.max(newest, ...items.map((item) => item.id)); return; }
    const { kinds } = feed.dataset;
    const isShown = ({ id, kind }) => id > newest && (!kinds || kinds.split(' ').includes(kind));
    events = [...events, ...items.filter(isShown)].slice(-FEED_MAX);
    newest = Math.max(newest, ...items.map((item) => item.id));
    drawFeed();
  }

  /** One announcement in five seconds at most; and not under the reader's pointer. */
  function drawFeed() {
    if (!events.length || Date.now() - logAt < LOG_GAP_MS || feed.matches(':hover')) return;
    feed.closest('section, aside')?.querySelector('.none')?.remove();
    const day = (li) => civil(Date.parse(li.querySelector('time').dateTime) / 1000, zone)[0];
    for (const event of events) {
      const li = makeEvent(event);
      const last = feed.querySelector('li[data-id]');
      if (last && day(last) !== day(li) && last === feed.firstElementChild) feed.prepend(make('li', { class: 'day' }, day(last)));
      feed.prepend(li);
    }
    while (feed.children.length > FEED_MAX) feed.lastElementChild.remove();
    events = [];
    logAt = Date.now();
  }

  function makeEvent({ id, ts, from, to, level, host: of, name, user, text, raw }) {
    const change = make('span', { class: 'tr' });
    const louder = { critical: 1, warning: 2, unknown: 5 }[level];
    if (STATES[to] && STATES[from]) change.append(glyph(from, true), make('span', { class: 'ar' }, '→'));
    if (STATES[to]) change.append(glyph(to, true));
    else change.append(louder ? glyph(louder) : icon('note', { class: 'i', 'aria-hidden': 'true' }));
    const who = of === null ? user ?? 'hbd' : make('a', { href: `/plugins/${encodeURIComponent(name)}` }, name);
    const time = make('time', { datetime: iso(ts), title: civil(ts, zone).join(' ') }, civil(ts, zone)[1]);
    const said = make('div', {}, change, make('b', {}, who), make('p', {}, text));
    return make('li', { 'data-id': id, title: raw ?? text }, time, said);
  }

  function drawSamples({ host: id, plugin, v }) {
    if (id !== host) return;
    const values = leaves(v, plugin);
    for (const el of main.querySelectorAll('[data-metric]')) {
      const value = values.get(el.dataset.metric);
      const unit = el.dataset.unit ? ` ${el.dataset.unit}` : '';
      if (value !== undefined) put(el, value === null ? '–' : count(value) + unit);
    }
  }

  function tickAll() {
    document.querySelectorAll('time[data-rel]').forEach(tick);
    drawIcon();
    if (feed) drawFeed();
  }

  /** The whole moment, where somebody points: fifty rows of them would be written for nobody. */
  document.addEventListener('pointerover', ({ target }) => {
    const seconds = target.matches?.('time[datetime]:not([title])') && Date.parse(target.dateTime) / 1000;
    if (seconds) target.title = civil(seconds, zone).join(' ');
  });
  document.addEventListener('hb:times', () => { isAbsolute = !isAbsolute; tickAll(); });
  const setNow = (ms) => { offset = ms - Date.now(); };
  const { epoch, ver } = main.dataset;
  const state = epoch && ver ? initial(epoch, Number(ver)) : initial();
  const scope = new URLSearchParams(location.search).get('owner') === 'all' ? 'all' : 'mine';
  return { state, root, link, host, zone, scope, hasFeed: Boolean(feed), now, setNow, shown, setLink, setBanner,
    apply, addEvents, drawSamples, tickAll };
}

/** Of the classes that begin with `prefix`, the element keeps none but this. */
function setClass(el, prefix, name) {
  el.classList.remove(...[...el.classList].filter((own) => own.startsWith(prefix)));
  if (name) el.classList.add(prefix + name);
}

function drawName(el, { name, tags, flags }) {
  const link = el.querySelector('a') ?? el.appendChild(make('a'));
  const id = encodeURIComponent(name);
  link.setAttribute('href', `/plugins/${id}`);
  put(link, name);
  const box = el.parentNode.querySelector('[name=host]');
  if (box) build(box, { value: name, 'aria-label': name });
  const menu = el.parentNode.querySelector('[data-act=menu]');
  if (menu) menu.setAttribute('href', `/live?act=menu&host=${id}#act`);
  el.querySelectorAll('.tag, .mute').forEach((tag) => tag.remove());
  if (flags & UNWATCHED) el.append(icon('mute', { class: 'i mute', role: 'img', 'aria-label': 'not watched' }));
  el.append(...tags.map((tag) => make('span', { class: 'tag' }, tag)));
}

function drawWhy(el, { why, state }) {
  put(el, why);
  if (el.matches('td')) el.title = why;
  else el.hidden = why === '';
  if (!el.matches('td')) setClass(el, 'w-', STATES[state][1]);
}

function drawRtt(el, ms) {
  put(el, rtt(ms));
  const title = { lost: 'no heartbeat', '–': 'no round trip over this family' }[rtt(ms)] ?? '';
  if (el.title !== title) el.title = title;
  el.classList.toggle('t-down', rtt(ms) === 'lost');
  el.classList.toggle('ink3', ms === null);
}

function drawAlerts(el, { ac, aw }) {
  const pill = (n, code) => make('span', { class: `pill p-${STATES[code][1]}` }, glyph(code, true), String(n));
  const pills = [[ac, 1], [aw, 2]].filter(([n]) => n > 0);
  el.replaceChildren(...(pills.length ? pills.map(([n, code]) => pill(n, code)) : ['–']));
}

function drawGauges(el, row) {
  const known = ['cpu', 'mem', 'disk'].map((name, i) => [name, row[name], i * 8]).filter(([, value]) => value !== null);
  if (!known.length) return put(el, '–');
  const bar = ([name, value, x]) => {
    const height = Math.max(0.5, 0.18 * Math.min(100, value));
    return draft('rect', { 'data-gauge': name, x, y: (18 - height).toFixed(1), width: 6, height: height.toFixed(1) });
  };
  const label = known.map(([name, value]) => `${name} ${value} %`).join(', ');
  if (el.querySelector('svg')?.getAttribute('aria-label') === label) return undefined;
  const ground = draft('path', { class: 'bg', d: 'M0 0h6v18H0zM8 0h6v18H8zM16 0h6v18h-6z' });
  const svg = draft('svg', { viewBox: '0 0 22 18', role: 'img', 'aria-label': label }, ground, ...known.map(bar));
  const [worst, value] = known.sort((a, b) => b[1] - a[1])[0];
  return el.replaceChildren(make('span', { class: 'res' }, svg, make('span', {}, `${worst} ${value}`)));
}

// ---- the connection

function startConnection(page) {
  const own = new URL('/api/0/live/ws', location.href);
  own.protocol = own.protocol.replace('http', 'ws');
  const urls = [page.root.dataset.live || own.href, own.href];
  let { state } = page;
  let socket = null;
  let isUp = false;
  let isPolling = false;
  let isStale = false;
  /** Hidden for long: asks for no rows; hidden for longer: not connected. */
  let isUnviewed = false;
  let isResting = false;
  let failed = 0;
  let heardAt = Date.now();
  let dialledAt = 0;
  let retryAt = 0;
  let retryMs = null;
  let hiddenAt = null;
  let polledAt = 0;
  let holdUntil = 0;
  let isOtherVersion = false;
  let told = null;
  let ticking = null;

  function connect() {
    drop();
    retryAt = Infinity;
    dialledAt = Date.now();
    let mine;
    try {
      // Where the port of its own cannot be reached, this page's may do.
      mine = new WebSocket(urls[failed % 2], SUBPROTOCOL);
    } catch {
      lose();
      return;
    }
    socket = mine;
    mine.onmessage = ({ data }) => mine === socket && receive(data);
    mine.onclose = ({ code }) => mine === socket && lose(code);
  }

  /** Forgets the socket; its late events find nobody. */
  function drop() {
    const old = socket;
    socket = null;
    isUp = false;
    old?.close();
  }

  function lose(code) {
    drop();
    if (code === 4401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    retryAt = Date.now() + (retryMs ?? backoff(failed));
    retryMs = null;
    failed += 1;
    show();
  }

  /** Paused: what comes is kept, and drawn at once when the reader goes on. */
  let held = null;
  function pause() {
    if (held === null) { held = []; show(); return; }
    const frames = held;
    held = null;
    frames.forEach((frame) => take(frame));
    show();
  }

  const say = (message) => isUp && socket.send(JSON.stringify(message));
  const view = () => say({ t: 'view', ids: isUnviewed ? [] : page.shown() });

  function receive(text) {
    heard();
    let frame;
    try { frame = JSON.parse(text); } catch { frame = { t: 'hb', seq: NaN }; }
    if (frame.now) page.setNow(frame.now);
    // Not by hello: a server that greets and hangs up is to be left in peace too.
    if (frame.t !== 'hello') failed = 0;
    if (frame.t === 'hello') greet(frame);
    else if (frame.t === 'bye') retryMs = frame.retry_ms * (0.5 + Math.random());
    else if (held && ['d', 'snap'].includes(frame.t)) held.push(frame);
    else if (frame.t === 'ev') page.addEvents(frame.items);
    else if (frame.t === 'm') page.drawSamples(frame);
    else if (frame.t === 'hb' && held?.length) heard();
    else if (take(frame).resync) say({ t: 'resync', have: state.seq });
  }

  function take(frame) {
    const step = reduce(state, frame);
    state = step.state;
    if (step.up && page.apply(step)) view();
    return step;
  }

  function heard() {
    heardAt = Date.now();
    isStale = false;
  }

  const resume = () => (state.waiting || state.seq === null ? null : { epoch: state.epoch, seq: state.seq });

  function greet({ server, hold_down_until: hold }) {
    isUp = true;
    isPolling = false;
    holdUntil = (hold ?? 0) / 1000;
    isOtherVersion = (page.root.dataset.version ?? server) !== server;
    say({ t: 'open', resume: resume(), topics: ['fleet', 'ev'], scope: page.scope, rate: 4 });
    view();
    if (page.host !== null) say({ t: 'host', id: page.host, plugins: ['*'] });
    show();
  }

  /** Once a second; browsers call it more seldom in a hidden tab. */
  function tick() {
    const at = Date.now();
    rest(at);
    if (socket && at - Math.max(heardAt, dialledAt) > (isUp ? STALE_MS : DIAL_MS)) {
      isStale = isUp;
      lose();
      if (isStale) retryAt = at;
    }
    if (at >= retryAt && !isResting) connect();
    if (failed >= UPGRADES_MAX && !isUp && !isResting) poll(at);
    show();
    if (!document.hidden) page.tickAll();
  }

  function rest(at) {
    if (!document.hidden) hiddenAt = null;
    else hiddenAt ??= at;
    const hidden = at - (hiddenAt ?? at);
    if (hidden > HIDDEN_UNVIEW_MS && !isUnviewed) {
      isUnviewed = true;
      view();
    }
    if (hidden > HIDDEN_CLOSE_MS && !isResting) {
      isResting = true;
      drop();
    }
  }

  /** Online again, looked at again, clicked: try at once. */
  function wake() {
    if (document.hidden) return;
    const wasUnviewed = isUnviewed;
    isUnviewed = isResting = false;
    if (!isUp) connect();
    else if (wasUnviewed) view();
    page.tickAll();
  }

  /** In place of a WebSocket that some proxy does not let through. */
  async function poll(at) {
    if (at - polledAt < (document.hidden ? 60_000 : 3_000)) return;
    polledAt = at;
    const since = resume() ? `&since=${state.epoch}:${state.seq}` : '';
    try {
      const frame = await getJson(`/api/0/live?scope=${page.scope}${since}`);
      if (isUp || isResting) return;
      heard();
      isPolling = true;
      page.setNow(frame.now);
      if (take(frame).step === 'ok' && page.hasFeed) {
        const { events } = await getJson(`/api/0/events?limit=${FEED_MAX}`);
        page.addEvents(events.reverse().map(asItem));
      }
    } catch {
      isPolling = false;
    }
    show();
  }

  async function getJson(path) {
    const response = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(DIAL_MS) });
    if (response.status === 401) lose(4401);
    if (!response.ok) throw new Error(response.statusText);
    return response.json();
  }

  function show() {
    const seconds = (Date.now() - heardAt) / 1000;
    const [, since] = civil(page.now() - seconds, page.zone);
    const waiting = held?.reduce((sum, frame) => sum + (frame.up?.length ?? 0), 0);
    if (held) page.setLink('paused', waiting ? `Paused, ${waiting} changes waiting` : 'Paused');
    else if (isUp) page.setLink('live', 'Live');
    else if (isPolling) page.setLink('polling', 'Live (polling)');
    else if (failed > 1) page.setLink('offline', `Offline since ${since.slice(0, 5)}`);
    else if (isStale) page.setLink('stale', `Stale ${Math.round(seconds)} s`);
    else page.setLink('connecting', 'Connecting…');
    showBanner(seconds, since);
  }

  /** The most serious thing there is to say. */
  function showBanner(seconds, since) {
    const isLost = !isUp && !isPolling && (isStale || seconds > 5 || told === 'lost');
    const isHeld = holdUntil > page.now();
    const kind = (isLost && 'lost') || (isHeld && 'hold') || (isOtherVersion && 'version') || null;
    if (kind !== told) page.setBanner(makeBanner(kind), { lost: 'down', hold: 'warn', version: 'maint' }[kind]);
    told = kind;
    const left = Math.ceil((retryAt - Date.now()) / 1000);
    const next = Number.isFinite(left) ? `Retrying in ${Math.max(0, left)} s. ` : 'Connecting… ';
    if (kind === 'lost') put(ticking, `${clock(seconds)} ago, showing data of ${since}. ${next}`);
    if (kind === 'hold') put(ticking, `${duration(holdUntil - page.now())}.`);
  }

  /** What ticks is hidden from screen readers, who would hear it each second. */
  function makeBanner(kind) {
    ticking = make('span', { 'aria-hidden': 'true' });
    const retry = make('button', { type: 'button' }, 'Retry now');
    retry.onclick = wake;
    const reload = make('a', { href: location.href }, 'Reload');
    return {
      lost: ['Connection lost ', ticking, retry],
      hold: ['hbd restarted: no host is declared down for another ', ticking],
      version: ['New version of hbd. ', reload],
    }[kind];
  }

  page.link.addEventListener('click', () => (isUp ? pause() : wake()));
  document.addEventListener('hb:pause', pause);
  document.addEventListener('hb:rows', view);
  document.addEventListener('visibilitychange', wake);
  addEventListener('online', wake);
  setInterval(tick, 1000);
  tick();
}

/** An entry of `GET events` as an item of an `ev` frame. */
function asItem(event) {
  const code = (word) => STATES.findIndex(([state]) => state === word);
  return { ...event, ts: event.timestamp, name: event.host, from: code(event.from), to: code(event.to) };
}

if (typeof document !== 'undefined' && document.getElementById('link')) {
  startConnection(startPage());
  // Keys and dialogs are not part of the first view.
  const { base } = document.documentElement.dataset;
  if (base) setTimeout(() => import(base), 0);
}
