// The cells of a host, in a row of the table or on its own page: draws what of its columns has come.
// Hooks: [data-col="state|host|why|alerts|r4|r6|seen|up|res"]

import { now, tick } from './clock.js';
import { STATES, capital, glyph, icon, iso, make, put, rtt } from './text.js';

const DEGRADED = 8;
/** Bits of `flags`, icon, word. */
const MODIFIERS = [[4, 'tick', 'acknowledged'], [2, 'hush', 'silenced'], [1, 'mute', 'not watched']];
const HOUR_S = 3600;

/** Redraws the cells under `scope` whose columns `row` has. */
export function draw(scope, row) {
  const cell = (name, column, write) => {
    if (row[column] === undefined) return;
    scope.querySelectorAll(`[data-col="${name}"]`).forEach((el) => write(el, row[column], row));
  };
  cell('state', 'state', drawState);
  cell('host', 'tags', drawTags);
  cell('why', 'why', drawWhy);
  cell('alerts', 'ac', drawAlerts);
  cell('r4', 'r4', drawRtt);
  cell('r6', 'r6', drawRtt);
  cell('seen', 'seen', drawSeen);
  cell('up', 'boot', drawBoot);
  cell('res', 'cpu', drawGauges);
}

/** Of the classes that begin with `prefix`, the element keeps none but this. */
function setClass(el, prefix, name) {
  el.classList.remove(...[...el.classList].filter((own) => own.startsWith(prefix)));
  if (name) el.classList.add(prefix + name);
}

function drawState(el, state, { since, flags }) {
  const [word, short] = STATES[state];
  const time = make('time');
  const parts = [make('span', { class: 'lbl' }, capital(word)), ' ', make('small', { class: 'lbl' }, time)];
  el.replaceChildren(make('span', { class: `st t-${short}` }, glyph(state), ...parts));
  drawTime(time, since, 'for');
  if (!el.matches('td')) return;
  const marks = MODIFIERS.filter(([bit]) => flags & bit);
  el.append(...marks.map(([, name, label]) => icon(name, { class: 'i mute', role: 'img', 'aria-label': label })));
}

function drawTime(el, seconds, rel, none) {
  let time = el.matches('time') ? el : el.querySelector('time');
  if (seconds === null) { put(el, none); return; }
  if (!time) el.replaceChildren(time = make('time'));
  time.dateTime = iso(seconds);
  time.dataset.rel = rel;
  time.removeAttribute('title');
  tick(time);
}

function drawTags(el, tags) {
  el.querySelectorAll('.tag').forEach((tag) => tag.remove());
  el.append(...tags.slice(0, 4).map((tag) => make('span', { class: 'tag' }, tag)));
}

function drawWhy(el, why, { state }) {
  put(el, why);
  if (el.matches('td')) { el.title = why; return; }
  el.hidden = why === '';
  setClass(el, 'w-', STATES[state][1]);
}

function drawAlerts(el, ac, { aw, name }) {
  const href = `/alerts?q=${encodeURIComponent(`host:${name}`)}`;
  const pills = [[ac, 1], [aw, 2]].filter(([n]) => n > 0)
    .map(([n, code]) => make('a', { class: `pill p-${STATES[code][1]}`, href }, glyph(code, true), n));
  el.replaceChildren(...(pills.length ? pills : ['–']));
}

function drawRtt(el, ms, { flags }) {
  const text = rtt(ms);
  const isAlone = flags & DEGRADED && ms > 0;
  put(el, text + (isAlone ? ' !' : ''));
  el.title = (isAlone && 'only this family works')
    || ({ lost: 'no heartbeat', '–': 'no round trip over this family' }[text] ?? '');
  setClass(el, 't-', (text === 'lost' && 'down') || (isAlone && 'warn'));
  el.classList.toggle('ink3', ms === null);
}

function drawSeen(el, seconds, { state }) {
  drawTime(el, seconds, 'ago', 'never');
  if (state !== undefined) setClass(el, 't-', [0, 3, 4].includes(state) && STATES[state][1]);
}

/** A machine that has just come up says so for an hour. */
function drawBoot(el, seconds, { state }) {
  if (state === 0) { put(el, '–'); return; }
  const isFresh = el.matches('td') && now() - seconds < HOUR_S;
  drawTime(el, seconds, isFresh ? 'boot' : 'for', '–');
  el.querySelector('time')?.classList.toggle('tag', isFresh);
}

/** Three bars, of what is known; in words the worst. */
function drawGauges(el, _, row) {
  const known = ['cpu', 'mem', 'disk'].map((name) => [name, row[name]]).filter(([, value]) => value !== null);
  for (const [name, value] of known) {
    const bar = el.querySelector(`[data-gauge=${name}]`);
    const height = Math.max(0.5, 0.16 * Math.min(100, value));
    bar?.setAttribute('height', height.toFixed(1));
    bar?.setAttribute('y', (16 - height).toFixed(1));
  }
  el.querySelector('svg')?.setAttribute('aria-label', known.map(([name, value]) => `${name} ${value} %`).join(', '));
  const [worst] = known.sort((a, b) => b[1] - a[1]);
  put(el.querySelector('[data-worst]') ?? el, worst?.join(' ') ?? '–');
}
