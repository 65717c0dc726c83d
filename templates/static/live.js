// Follows the server (heartbeat.live.v1, ui/UI.md section 7): the connection. What is held is reduce.js's, what is
// drawn table.js's, what is said of the connection told.js's; all else comes when it is needed.
//   <html data-live="ws://host:50005/" data-version="0.1.0">   where to connect; default: this origin
//   <main data-epoch data-ver>       where to resume from

import * as clock from './clock.js';
import { initial, reduce } from './reduce.js';
import * as page from './table.js';
import { isLost, link, tell } from './told.js';

const STALE_MS = 22_000;
const DIAL_MS = 10_000;
const UNVIEW_MS = 60_000;
const CLOSE_MS = 600_000;
const TRIES = 3;

const root = document.documentElement;
const own = `${location.origin.replace('http', 'ws')}/api/0/live/ws`;
const urls = [root.dataset.live || own, own];
const { epoch, ver } = page.main.dataset;
let state = initial(epoch, Number(ver));
let socket = null;
let isUp = false;
let isPolling = false;
let isStale = false;
/** Hidden for long: asks for no rows; hidden for longer: not connected. */
let isUnseen = false;
let isResting = false;
let failed = 0;
let heardAt = Date.now();
let dialledAt = 0;
let retryAt = 0;
let retryMs = null;
let resting = [];
let holdUntil = 0;
/** Paused: what comes is kept, and drawn at once when the reader goes on. */
let held = null;
/** It was told lost: what has changed meanwhile is counted. */
let isBack = false;
let feed = null;

/** Milliseconds before attempt `n` (0 is the first again): full jitter under 0.5 s · 2ⁿ, at most 30 s. */
const backoff = (n) => Math.random() * Math.min(30_000, 500 * 2 ** Math.min(n, 16));
const toast = async (...said) => (await import('./toast.js')).toast(...said);
const refresh = async () => (await import('./fresh.js')).refresh();

function connect() {
  drop();
  retryAt = Infinity;
  dialledAt = Date.now();
  let mine;
  try {
    // Where the port of its own cannot be reached, this page's may do.
    mine = new WebSocket(urls[failed % 2], 'heartbeat.live.v1');
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
  if (code === 4401) location.assign(`/login?out=1&next=${encodeURIComponent(location.pathname + location.search)}`);
  retryAt = Date.now() + (retryMs ?? backoff(failed));
  retryMs = null;
  failed += 1;
  show();
}

function pause() {
  const frames = held ?? [];
  held = held ? null : [];
  frames.forEach(take);
  show();
}

const say = (message) => isUp && socket.send(JSON.stringify(message));
const view = () => say({ t: 'view', ids: isUnseen ? [] : page.shown() });

function receive(text) {
  heard();
  let frame;
  try { frame = JSON.parse(text); } catch { frame = { t: 'hb', seq: NaN }; }
  if (frame.now) clock.setNow(frame.now);
  // Not by hello: a server that greets and hangs up is to be left in peace too.
  if (frame.t !== 'hello') failed = 0;
  if (frame.t === 'hello') greet(frame);
  else if (frame.t === 'bye') retryMs = frame.retry_ms * (0.5 + Math.random());
  else if (frame.t === 'ev') addEvents(frame.items);
  else if (frame.t === 'm') import('./host.js').then((host) => host.draw(frame));
  else if (held && frame.t !== 'hb') held.push(frame);
  else if (!held?.length && take(frame).resync) say({ t: 'resync', have: state.seq });
}

function take(frame) {
  const step = reduce(state, frame);
  state = step.state;
  if (isBack && step.step === 'ok') {
    const n = step.whole ? 0 : step.up?.length;
    toast(n ? `Reconnected, ${n} changes applied` : 'Reconnected');
    isBack = false;
  }
  if (step.up && page.apply(step)) view();
  return step;
}

async function addEvents(items) {
  feed = await import('./feed.js');
  feed.add(items);
}

function heard() {
  heardAt = Date.now();
  isStale = false;
}

const resume = () => (state.waiting ? null : { epoch: state.epoch, seq: state.seq });

function greet({ server, hold_down_until: hold }) {
  isUp = true;
  isPolling = false;
  isBack ||= isLost();
  holdUntil = hold;
  if (root.dataset.version !== server) toast('New version, reload', { href: location.href });
  root.dataset.version = server;
  say({ t: 'open', resume: resume(), topics: ['fleet', 'ev'], scope: page.scope, rate: 4 });
  view();
  if (page.host !== null) say({ t: 'host', id: page.host, plugins: ['*'] });
  show();
}

/** Once a second; browsers call it more seldom in a hidden tab. */
function tick() {
  const at = Date.now();
  if (socket && at - Math.max(heardAt, dialledAt) > (isUp ? STALE_MS : DIAL_MS)) {
    isStale = isUp;
    lose();
    if (isStale) retryAt = at;
  }
  if (at >= retryAt && !isResting) connect();
  if (failed >= TRIES && !isUp && !isResting) poll();
  show();
  if (document.hidden) return;
  clock.tickAll();
  feed?.draw();
  // The server's banner counts down to the end of the grace after its restart; without hosts it counts datagrams.
  if (isUp && (holdUntil || 'empty' in page.main.dataset)) refresh();
  if (holdUntil < clock.now() * 1000) holdUntil = 0;
}

/** Hidden, it needs less and less; looked at again, all. */
function rest() {
  resting.forEach(clearTimeout);
  if (!document.hidden) { wake(); return; }
  resting = [setTimeout(() => { isUnseen = true; view(); }, UNVIEW_MS),
    setTimeout(() => { isResting = true; drop(); }, CLOSE_MS)];
}

/** Online again, looked at again, clicked: try at once. */
function wake() {
  const wasUnviewed = isUnseen;
  isUnseen = isResting = false;
  if (!isUp) connect();
  else if (wasUnviewed) view();
  clock.tickAll();
}

/** In place of a WebSocket that some proxy does not let through. */
async function poll() {
  try {
    const found = await (await import('./poll.js')).ask(page.scope, resume());
    if (!found || isUp || isResting) return;
    heard();
    isPolling = true;
    clock.setNow(found.frame.now);
    if (take(found.frame).step === 'ok') addEvents(found.items);
  } catch ({ message }) {
    isPolling = false;
    if (message === '401') lose(4401);
  }
  show();
}

const show = () => tell({ isUp, isPolling, isStale, failed, heardAt, retryAt,
  waiting: held ? held.reduce((sum, { up }) => sum + (up?.length ?? 0), 0) : -1 });

link.addEventListener('click', () => (isUp ? pause() : wake()));
document.addEventListener('click', ({ target }) => target.closest?.('[data-retry]') && wake());
document.addEventListener('hb:pause', pause);
document.addEventListener('hb:rows', view);
document.addEventListener('hb:moved', refresh);
document.addEventListener('visibilitychange', rest);
addEventListener('online', wake);
setInterval(tick, 1000);
tick();
// Keys and dialogs are not part of the first view.
setTimeout(() => import('./base.js'), 0);
