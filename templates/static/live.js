// The live protocol in the browser (heartbeat.live.v1): keeps a page that the server rendered up to date.
// Pure parts first (reducer, texts), exported for tests; then the page, then the connection. Text from outside
// goes through textContent only.
//
// What it finds in a page, each part optional except #link:
//   <html data-live="ws://host:50005/" data-version="0.1.0" data-tz="Europe/Zurich">  default: this origin
//   <main data-epoch data-ver>            where to resume from; data-empty: reload when the first host comes;
//   <main data-host="17">                 on a host's page: follow its samples
//   #link (role=status)                   link state; gets data-link="live|connecting|stale|offline|polling"
//   #banner (hidden)                      what is wrong with the connection; the server's own text comes back
//   [data-state="down|critical|…"] b      a tile's number; the tile gets data-zero while it is 0
//   #hosts[data-sort][data-size] tbody tr[data-id][data-state][data-since]   state code, Unix seconds
//     [data-col="state|host|why|alerts|r4|r6|seen|up|res"]   in a row, or anywhere in main[data-host]
//     in res: [data-gauge="cpu|mem|disk"], a <meter> or a <rect> in an svg (y, height), and [data-worst]
//   #feed li[data-id]                     newest first
//   time[datetime][data-rel="ago|for"]    relative, ticking
//   [data-metric="plugin.path"][data-unit]
//   link[rel=icon]

const SUBPROTOCOL = 'heartbeat.live.v1';
const STALE_MS = 22_000;
const FEED_MAX = 50;
const LOG_GAP_MS = 5_000;
const FAVICON_GAP_MS = 2_000;
const HIDDEN_UNVIEW_MS = 60_000;
const HIDDEN_CLOSE_MS = 600_000;
const UPGRADES_MAX = 3;

/** By state code: word, short name (class, glyph, sum). */
export const STATES = [
  ['down', 'down'], ['critical', 'crit'], ['warning', 'warn'], ['late', 'late'],
  ['unreachable', 'unreach'], ['unknown', 'unk'], ['maintenance', 'maint'], ['up', 'up'],
];
const UP = 7;

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

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Day and time in a zone: `{day: '20 Nov', time: '14:02', second: '14:02:09'}`. */
export function civil(seconds, timeZone) {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone, hourCycle: 'h23', day: 'numeric',
    month: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' });
  const part = {};
  for (const { type, value } of format.formatToParts(seconds * 1000)) part[type] = value;
  const time = `${part.hour}:${part.minute}`;
  return { day: `${part.day} ${MONTHS[part.month - 1]}`, time, second: `${time}:${part.second}` };
}

/** `4 s ago`, `in 42 s`; after 48 h `20 Nov 14:02`. */
export function age(seconds, now, timeZone) {
  const past = now - seconds;
  if (past <= -1) return `in ${duration(-past)}`;
  if (past < 48 * 3600) return `${duration(past)} ago`;
  const { day, time } = civil(seconds, timeZone);
  return `${day} ${time}`;
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

// ---- the page

const SVG = 'http://www.w3.org/2000/svg';

/** An element with children; strings become text. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function glyph(code, label) {
  const [, short] = STATES[code];
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', `g s-${short}`);
  if (label) {
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', capital(STATES[code][0]));
  } else {
    svg.setAttribute('aria-hidden', 'true');
  }
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#s-${short}`);
  svg.append(use);
  return svg;
}

const capital = (word) => word[0].toUpperCase() + word.slice(1);
const iso = (seconds) => new Date(seconds * 1000).toISOString();
const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };

class Page {
  constructor() {
    this.root = document.documentElement;
    this.main = document.querySelector('main') ?? document.body;
    this.host = this.main.dataset.host ? Number(this.main.dataset.host) : null;
    this.zone = this.root.dataset.tz || undefined;
    this.link = document.getElementById('link');
    this.banner = document.getElementById('banner');
    this.bannerAsServed = this.banner ? [[...this.banner.childNodes], this.banner.hidden] : null;
    this.table = document.getElementById('hosts');
    this.body = this.table?.tBodies[0];
    this.pattern = this.body?.querySelector('tr[data-id]')?.cloneNode(true);
    this.feed = document.getElementById('feed');
    this.events = [];
    this.newest = Math.max(0, ...[...(this.feed?.children ?? [])].map((li) => Number(li.dataset.id) || 0));
    this.loggedAt = -LOG_GAP_MS;
    this.title = document.title.replace(/^\(\d+ [^)]*\) /, '');
    this.iconAt = -FAVICON_GAP_MS;
    this.offset = 0;
  }

  /** Unix seconds of the server's clock. */
  now() { return (Date.now() + this.offset) / 1000; }

  /** The rows on the screen: their fast columns are asked for. */
  shown() {
    const ids = [...(this.body?.querySelectorAll('tr[data-id]') ?? [])].map((tr) => Number(tr.dataset.id));
    return (this.host === null ? ids : [this.host]).slice(0, 200);
  }

  setLink(kind, text) {
    if (!this.link) return;
    this.link.dataset.link = kind;
    put(this.link.querySelector('[data-text]') ?? this.link, text);
  }

  /** `null` brings back what the server wrote. */
  setBanner(parts) {
    if (!this.banner) return;
    const [served, hidden] = this.bannerAsServed;
    this.banner.replaceChildren(...(parts ?? served));
    this.banner.hidden = parts ? false : hidden;
  }

  /** Shows what `reduce` said: changed rows, the counts; `true` where the rows on the screen are others now. */
  apply({ state, whole, up = [], del = [] }) {
    if ('empty' in this.main.dataset && state.rows.size > 0) location.reload();
    this.drawSum(state.sum);
    if (this.host !== null) {
      const row = state.rows.get(this.host);
      if (row && up.includes(this.host)) this.draw(this.main, row);
      return false;
    }
    if (!this.body) return false;
    const before = this.shown().join();
    for (const id of del) this.row(id)?.remove();
    if (whole) this.body.querySelectorAll('tr[data-id]').forEach((tr) => {
      if (!state.rows.has(Number(tr.dataset.id))) tr.remove();
    });
    for (const id of up) this.drawRow(id, state.rows.get(id));
    return this.shown().join() !== before;
  }

  row(id) { return this.body.querySelector(`tr[data-id="${Number(id)}"]`); }

  drawRow(id, row) {
    let tr = this.row(id);
    const isNew = !tr;
    if (isNew) {
      if (!this.pattern || row.name === undefined || !this.takesNewRows(row)) return;
      tr = this.pattern.cloneNode(true);
      tr.dataset.id = id;
    }
    const [state, since] = [tr.dataset.state, tr.dataset.since];
    this.draw(tr, row);
    if (row.state !== undefined) Object.assign(tr.dataset, { state: row.state, since: row.since });
    if (isNew || tr.dataset.state !== state || tr.dataset.since !== since) this.place(tr, isNew);
    const rows = this.body.querySelectorAll('tr[data-id]');
    if (isNew && rows.length > this.size()) rows[rows.length - 1].remove();
  }

  size() { return Number(this.table.dataset.size) || 50; }

  /** Only the first page of all hosts, worst first, takes what it did not show. */
  takesNewRows(row) {
    if (location.search || !this.isByState()) return false;
    const rows = this.body.querySelectorAll('tr[data-id]');
    return rows.length < this.size() || isBefore(row, rank(rows[rows.length - 1]));
  }

  isByState() { return ['state', undefined, ''].includes(this.table.dataset.sort); }

  place(tr, isNew) {
    if (!this.isByState()) return isNew && this.body.append(tr);
    const mine = rank(tr);
    const rows = [...this.body.querySelectorAll('tr[data-id]')].filter((other) => other !== tr);
    const next = rows.find((other) => isBefore(mine, rank(other))) ?? null;
    if (!isNew && tr.nextElementSibling === next) return undefined;
    const focused = tr.contains(document.activeElement) ? document.activeElement : null;
    this.body.insertBefore(tr, next);
    return focused?.focus();
  }

  /** Redraws the cells under `scope` whose columns `row` has. */
  draw(scope, row) {
    const cell = (name, of, write) => {
      if (of.every((column) => row[column] === undefined)) return;
      for (const element of scope.querySelectorAll(`[data-col="${name}"]`)) write(element);
    };
    cell('state', ['state'], (el) => this.drawState(el, row));
    cell('host', ['name'], (el) => drawName(el, row));
    cell('why', ['why'], (el) => put(el, row.why));
    cell('alerts', ['ac', 'aw'], (el) => drawAlerts(el, row));
    cell('r4', ['r4'], (el) => put(el, rtt(row.r4)));
    cell('r6', ['r6'], (el) => put(el, rtt(row.r6)));
    cell('seen', ['seen'], (el) => this.drawTime(el, row.seen, 'ago'));
    cell('up', ['boot'], (el) => this.drawTime(el, row.boot, 'for'));
    cell('res', ['cpu', 'mem', 'disk'], (el) => drawGauges(el, row));
  }

  drawState(el, { state, since }) {
    const [word, short] = STATES[state];
    const time = make('time');
    const label = make('span', { class: 'lbl' }, capital(word));
    const small = make('small', { class: 'lbl' }, time);
    el.replaceChildren(make('span', { class: `st t-${short}` }, glyph(state), label, ' ', small));
    this.drawTime(time, since, 'for');
  }

  drawTime(el, seconds, rel) {
    let time = el.tagName === 'TIME' ? el : el.querySelector('time');
    if (seconds === null || seconds === undefined) return (time === el ? put : clear)(el, '–');
    if (!time) el.replaceChildren(time = make('time'));
    time.dateTime = iso(seconds);
    time.dataset.rel = rel;
    const { day, second } = civil(seconds, this.zone);
    time.title = `${day} ${second}`;
    return this.tick(time);
  }

  tick(time) {
    const seconds = Date.parse(time.dateTime) / 1000;
    if (Number.isNaN(seconds)) return;
    const now = this.now();
    put(time, time.dataset.rel === 'for' ? duration(now - seconds) : age(seconds, now, this.zone));
  }

  tickAll() { document.querySelectorAll('time[data-rel]').forEach((time) => this.tick(time)); }

  drawSum(sum) {
    for (const [word, short] of STATES) {
      const n = sum[short];
      if (n === undefined) continue;
      for (const number of this.main.querySelectorAll(`[data-state="${word}"] b`)) {
        put(number, count(n));
        number.closest('[data-state]').toggleAttribute('data-zero', n === 0);
      }
    }
    this.sum = sum;
    if (this.host === null && sum.down !== undefined) document.title = title(sum, this.title);
  }

  /** At most every two seconds: browsers fetch the icon anew. */
  drawIcon() {
    const icon = document.querySelector('link[rel~=icon]');
    if (!icon || this.sum?.down === undefined || Date.now() - this.iconAt < FAVICON_GAP_MS) return;
    const href = `/favicon.svg?d=${this.sum.down}&c=${this.sum.crit}&w=${this.sum.warn}`;
    if (icon.getAttribute('href') === href) return;
    icon.setAttribute('href', href);
    this.iconAt = Date.now();
  }

  addEvents(items) {
    if (!this.feed) return;
    const fresh = items.filter((item) => item.id > this.newest);
    if (!fresh.length) return;
    this.newest = Math.max(...fresh.map((item) => item.id));
    this.events = [...this.events, ...fresh].slice(-FEED_MAX);
    this.drawFeed();
  }

  /** One announcement in five seconds at most; and not under the reader's pointer. */
  drawFeed() {
    if (!this.events.length || Date.now() - this.loggedAt < LOG_GAP_MS || this.feed.matches(':hover')) return;
    for (const event of this.events) this.feed.prepend(this.makeEvent(event));
    while (this.feed.children.length > FEED_MAX) this.feed.lastElementChild.remove();
    this.events = [];
    this.loggedAt = Date.now();
  }

  makeEvent({ id, ts, from, to, name, user, text, raw }) {
    const time = make('time', { datetime: iso(ts) }, civil(ts, this.zone).second);
    const change = make('span', { class: 'tr' });
    if (STATES[from]) change.append(glyph(from, true), make('span', { class: 'ar' }, '→'));
    if (STATES[to]) change.append(glyph(to, true));
    const who = make('b', {}, name ?? user ?? 'hbd');
    const body = make('div', {}, change, who, make('p', {}, text));
    return make('li', { 'data-id': id, title: raw ?? text }, time, body);
  }

  drawSamples({ host, plugin, v }) {
    if (host !== this.host) return;
    const values = leaves(v, plugin);
    for (const el of this.main.querySelectorAll('[data-metric]')) {
      const value = values.get(el.dataset.metric);
      if (value === undefined) continue;
      const unit = el.dataset.unit ? ` ${el.dataset.unit}` : '';
      put(el, value === null ? '–' : count(value) + unit);
    }
  }
}

const rank = (tr) => ({ state: Number(tr.dataset.state ?? UP), since: Number(tr.dataset.since ?? 0) });
const clear = (el, text) => el.replaceChildren(text);

function drawName(el, { name, tags }) {
  let link = el.querySelector('a');
  if (!link) el.replaceChildren(link = make('a'));
  link.setAttribute('href', `/plugins/${encodeURIComponent(name)}`);
  put(link, name);
  el.querySelectorAll('.tag').forEach((tag) => tag.remove());
  for (const tag of tags ?? []) el.append(make('span', { class: 'tag' }, tag));
}

function drawAlerts(el, { ac, aw }) {
  const pill = (n, code) => make('span', { class: `pill p-${STATES[code][1]}` }, glyph(code, true), String(n));
  const pills = [[ac, 1], [aw, 2]].filter(([n]) => n > 0).map(([n, code]) => pill(n, code));
  el.replaceChildren(...(pills.length ? pills : ['–']));
}

function drawGauges(el, row) {
  const named = ['cpu', 'mem', 'disk'].filter((name) => typeof row[name] === 'number');
  for (const name of named) {
    for (const gauge of el.querySelectorAll(`[data-gauge="${name}"]`)) {
      if (gauge.tagName === 'METER') gauge.value = row[name];
      else {
        const full = gauge.ownerSVGElement?.viewBox.baseVal.height || 16;
        const height = (full * Math.min(100, row[name])) / 100;
        gauge.setAttribute('y', full - height);
        gauge.setAttribute('height', height);
      }
    }
  }
  const worst = named.sort((a, b) => row[b] - row[a])[0];
  const text = el.querySelector('[data-worst]');
  if (text && worst) put(text, `${worst} ${row[worst]}`);
}

// ---- the connection

class Connection {
  constructor(page) {
    this.page = page;
    const { epoch, ver } = page.main.dataset;
    this.state = epoch && ver ? initial(epoch, Number(ver)) : initial();
    this.socket = null;
    this.isUp = false;
    this.isPolling = false;
    this.isStale = false;
    this.failed = 0;
    this.heardAt = Date.now();
    this.retryAt = 0;
    this.hiddenAt = null;
    this.polledAt = 0;
  }

  url() {
    const own = new URL('/api/0/live/ws', location.href);
    own.protocol = own.protocol.replace('http', 'ws');
    return this.page.root.dataset.live || own.href;
  }

  connect() {
    this.drop();
    this.retryAt = Infinity;
    let socket;
    try {
      socket = new WebSocket(this.url(), SUBPROTOCOL);
    } catch {
      this.close(null, {});
      return;
    }
    this.socket = socket;
    this.dialledAt = Date.now();
    socket.onmessage = (message) => this.socket === socket && this.receive(message.data);
    socket.onclose = (close) => this.socket === socket && this.close(socket, close);
  }

  /** Forgets the socket; its late events find nobody. */
  drop() {
    const socket = this.socket;
    this.socket = null;
    this.isUp = false;
    socket?.close();
  }

  close(socket, { code }) {
    this.drop();
    if (code === 4401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    this.retryAt = Date.now() + (this.retryMs ?? backoff(this.failed));
    this.retryMs = null;
    this.failed += 1;
    this.show();
  }

  receive(text) {
    this.heard();
    let frame;
    try { frame = JSON.parse(text); } catch { frame = { t: 'd', prev: -1, seq: Infinity }; }
    if (typeof frame.now === 'number') this.page.offset = frame.now - Date.now();
    if (frame.t === 'hello') this.greet(frame);
    else if (frame.t === 'bye') this.retryMs = frame.retry_ms * (0.5 + Math.random());
    else if (frame.t === 'ev') this.page.addEvents(frame.items);
    else if (frame.t === 'm') this.page.drawSamples(frame);
    else if (this.take(frame).resync) this.say({ t: 'resync', have: this.state.seq });
  }

  take(frame) {
    const step = reduce(this.state, frame);
    this.state = step.state;
    if (step.step === 'ok' && step.up && this.page.apply(step)) this.view();
    return step;
  }

  heard() {
    this.heardAt = Date.now();
    this.isStale = false;
  }

  greet({ server, hold_down_until: hold }) {
    this.isUp = true;
    this.isPolling = false;
    this.failed = 0;
    this.hold = hold;
    this.newVersion = this.page.root.dataset.version && this.page.root.dataset.version !== server;
    const { epoch, seq, waiting } = this.state;
    const resume = waiting || seq === null ? null : { epoch, seq };
    this.say({ t: 'open', resume, topics: ['fleet', 'ev'], scope: 'mine', rate: 4 });
    this.view();
    if (this.page.host !== null) this.say({ t: 'host', id: this.page.host, plugins: ['*'] });
    this.show();
  }

  view(ids = document.hidden && this.unviewed ? [] : this.page.shown()) { this.say({ t: 'view', ids }); }

  say(message) {
    if (this.isUp && this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Once a second, also in a hidden tab (where browsers call more seldom). */
  tick() {
    const now = Date.now();
    this.rest(now);
    const silent = now - this.heardAt > STALE_MS;
    if (this.socket && silent && (this.isUp || now - this.dialledAt > STALE_MS)) {
      this.isStale = this.isUp;
      this.close(this.socket, {});
      if (this.isStale) this.retryAt = now;
    }
    if (now >= this.retryAt && !this.isResting) this.connect();
    if (this.failed >= UPGRADES_MAX && !this.isUp && !this.isResting) this.poll(now);
    this.show();
    if (document.hidden) return;
    this.page.tickAll();
    this.page.drawIcon();
    if (this.page.feed) this.page.drawFeed();
  }

  /** A hidden tab asks for less, then for nothing. */
  rest(now) {
    if (!document.hidden) this.hiddenAt = null;
    else this.hiddenAt ??= now;
    const hidden = this.hiddenAt === null ? 0 : now - this.hiddenAt;
    if (hidden > HIDDEN_UNVIEW_MS && !this.unviewed) {
      this.unviewed = true;
      this.view([]);
    }
    if (hidden > HIDDEN_CLOSE_MS && !this.isResting) {
      this.isResting = true;
      this.drop();
    }
  }

  /** Online again, looked at again, clicked: try at once. */
  wake() {
    if (document.hidden) return;
    const unviewed = this.unviewed;
    this.unviewed = this.isResting = false;
    this.hiddenAt = null;
    if (!this.isUp) this.connect();
    else if (unviewed) this.view();
    this.page.tickAll();
  }

  /** In place of a WebSocket that some proxy does not let through. */
  async poll(now) {
    if (now - this.polledAt < (document.hidden ? 60_000 : 3_000)) return;
    this.polledAt = now;
    const { epoch, seq, waiting } = this.state;
    const since = waiting || seq === null ? '' : `?since=${epoch}:${seq}`;
    try {
      const response = await fetch(`/api/0/live${since}`, { cache: 'no-store' });
      if (response.status === 401) this.close(null, { code: 4401 });
      if (!response.ok) throw new Error(response.statusText);
      const frame = await response.json();
      if (this.isUp || this.isResting) return;
      this.heard();
      this.isPolling = true;
      this.page.offset = frame.now - Date.now();
      if (this.take(frame).step === 'ok') await this.pollEvents();
    } catch {
      this.isPolling = false;
    }
    this.show();
  }

  async pollEvents() {
    if (!this.page.feed) return;
    const response = await fetch(`/api/0/events?limit=${FEED_MAX}`, { cache: 'no-store' });
    const { events } = await response.json();
    const code = (word) => STATES.findIndex(([state]) => state === word);
    this.page.addEvents(events.reverse().map((event) => ({ ...event, ts: event.timestamp,
      name: event.host, from: code(event.from), to: code(event.to) })));
  }

  show() {
    const seconds = (Date.now() - this.heardAt) / 1000;
    const since = (this.heardAt + this.page.offset) / 1000;
    if (this.isUp) this.page.setLink('live', 'Live');
    else if (this.isPolling) this.page.setLink('polling', 'Live (polling)');
    else if (this.isStale && this.failed < 2) this.page.setLink('stale', `Stale ${Math.round(seconds)} s`);
    else if (this.failed < 2) this.page.setLink('connecting', 'Connecting…');
    else this.page.setLink('offline', `Offline since ${civil(since, this.page.zone).time}`);
    this.showBanner(seconds, since);
  }

  showBanner(seconds, since) {
    const kind = this.banner(seconds);
    if (kind !== this.shownBanner) {
      this.shownBanner = kind;
      this.ticking = make('span', { 'aria-hidden': 'true' });
      const retry = make('button', { type: 'button' }, 'Retry now');
      retry.onclick = () => this.wake();
      const reload = make('a', { href: location.href }, 'Reload');
      this.page.setBanner({
        lost: ['Connection lost ', this.ticking, retry],
        hold: ['hbd restarted: no host is declared down for now.', this.ticking],
        version: ['A new version of hbd is running. ', reload],
      }[kind] ?? null);
    }
    if (kind === 'lost') {
      const left = Math.max(0, Math.ceil((this.retryAt - Date.now()) / 1000));
      const data = civil(since, this.page.zone).second;
      const next = Number.isFinite(left) ? `Retrying in ${left} s. ` : 'Connecting… ';
      put(this.ticking, `${clock(seconds)} ago, showing data of ${data}. ${next}`);
    } else if (kind === 'hold') {
      put(this.ticking, ` Another ${duration(this.hold / 1000 - this.page.now())}.`);
    }
  }

  /** The most serious thing there is to say. */
  banner(seconds) {
    if (!this.isUp && !this.isPolling) return this.isStale || seconds > 5 ? 'lost' : this.shownBanner;
    if (this.hold && this.hold / 1000 > this.page.now()) return 'hold';
    return this.newVersion ? 'version' : null;
  }
}

/** `00:14`, `1:02:03`. */
export function clock(seconds) {
  const s = Math.floor(seconds);
  const two = (n) => String(n).padStart(2, '0');
  const hours = Math.floor(s / 3600);
  return `${hours ? `${hours}:` : ''}${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

function start() {
  const connection = new Connection(new Page());
  connection.connect();
  connection.show();
  setInterval(() => connection.tick(), 1000);
  addEventListener('online', () => connection.wake());
  addEventListener('pageshow', (event) => event.persisted && connection.wake());
  document.addEventListener('visibilitychange', () => connection.wake());
  connection.page.link.addEventListener('click', () => !connection.isUp && connection.wake());
}

if (typeof document !== 'undefined' && document.getElementById('link')) start();
