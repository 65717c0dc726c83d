// The messages beside the table: what happens, newest first. For a screen reader one announcement in five seconds at
// most; nothing moves under a pointer. Hooks: #feed[data-kinds] li[data-id]; .none beside it goes with the first entry
// Who asked for it (Preferences) also gets the browser's own notice, and a tone, of hosts that are down or critical.

import { now, zone } from './clock.js';
import { civil, glyph, icon, iso, make } from './text.js';
import { moment } from './moment.js';

const MAX = 50;
const GAP_MS = 5000;
/** State codes: down, critical. */
const LOUD = [0, 1];
const feed = document.getElementById('feed');
/** By the server's clock; a page without a feed cannot say which of them it knows. */
const loadedAt = now() - performance.now() / 1000;
let newest = Math.max(0, ...[...(feed?.children ?? [])].map((li) => Number(li.dataset.id) || 0));
let waiting = [];
let drawnAt = 0;

/** Items of an `ev` frame, oldest first. */
export function add(items) {
  const fresh = items.filter(({ id, ts }) => id > newest && (feed || ts > loadedAt));
  if (!fresh.length) return;
  newest = Math.max(...fresh.map(({ id }) => id));
  if (document.querySelector('[data-fresh]')) document.dispatchEvent(new CustomEvent('hb:moved'));
  tellAloud(fresh);
  if (!feed) return;
  const { kinds } = feed.dataset;
  waiting = [...waiting, ...fresh.filter(({ kind }) => !kinds || kinds.split(' ').includes(kind))].slice(-MAX);
  draw();
}

export function draw() {
  if (!waiting.length || Date.now() - drawnAt < GAP_MS || feed.matches(':hover')) return;
  feed.closest('section, aside')?.querySelector('.none')?.remove();
  const day = (li) => civil(Date.parse(li.querySelector('time').dateTime) / 1000, zone)[0];
  for (const event of waiting) {
    const li = entry(event);
    const last = feed.querySelector('li[data-id]');
    const isNextDay = last && last === feed.firstElementChild && day(last) !== day(li);
    if (isNextDay) feed.prepend(make('li', { class: 'day' }, day(last)));
    feed.prepend(li);
  }
  while (feed.children.length > MAX) feed.lastElementChild.remove();
  waiting = [];
  drawnAt = Date.now();
}

function entry({ id, ts, from, to, level, host, name, user, text, raw }) {
  const change = make('span', { class: 'tr' });
  const louder = { critical: 1, warning: 2, unknown: 5 }[level];
  const isState = (code) => code !== null && code >= 0;
  if (isState(to) && isState(from)) change.append(glyph(from, true), make('span', { class: 'ar' }, '→'));
  if (isState(to)) change.append(glyph(to, true));
  else change.append(louder ? glyph(louder) : icon('note', { class: 'i', 'aria-hidden': 'true' }));
  const who = host === null ? user ?? 'hbd' : make('a', { href: `/plugins/${encodeURIComponent(name)}` }, name);
  const time = make('time', { datetime: iso(ts), title: moment(ts, zone) }, civil(ts, zone)[1]);
  const said = make('div', {}, change, make('b', {}, who), make('p', {}, text));
  return make('li', { 'data-id': id, title: raw ?? text }, time, said);
}

/** Only of what has just happened: a page that comes back tells no old news. */
function tellAloud(items) {
  if (!/(^|; )hb_notices=on/.test(document.cookie) || window.Notification?.permission !== 'granted') return;
  const loud = items.filter(({ to, ts }) => LOUD.includes(to) && now() - ts < 60);
  if (!loud.length) return;
  const [{ name, raw, text }] = loud;
  const more = loud.length > 1 ? ` and ${loud.length - 1} more` : '';
  const notice = new Notification(`${name}${more}`, { body: raw ?? text, tag: 'heartbeat' });
  notice.onclick = () => { focus(); notice.close(); };
  sound();
}

function sound() {
  if (!window.AudioContext) return;
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  const loudness = audio.createGain();
  loudness.gain.value = 0.1;
  tone.connect(loudness).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.25);
  tone.onended = () => audio.close();
}
