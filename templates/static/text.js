// Texts as the pages show them (ui/UI.md 4.3, 4.4), and the elements made of them. What comes from outside goes
// through textContent or setAttribute only, and never misleads a reader.

/** By state code: word, short name (class, glyph, sum). */
export const STATES = [
  ['down', 'down'], ['critical', 'crit'], ['warning', 'warn'], ['late', 'late'],
  ['unreachable', 'unreach'], ['unknown', 'unk'], ['maintenance', 'maint'], ['up', 'up'],
];

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
export const written = (seconds, timeZone, options) => {
  const key = timeZone + Object.keys(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat('en-GB', { timeZone, ...options }));
  return formats.get(key).format(seconds * 1000).replaceAll(',', '').replace('Sept', 'Sep');
};
export const DAY = { day: 'numeric', month: 'short' };
export const TIME = { hour: '2-digit', minute: '2-digit', second: '2-digit' };

/** Day and time in a zone: `['20 Nov', '14:02:09']`. */
export const civil = (seconds, zone) => [written(seconds, zone, DAY), written(seconds, zone, TIME)];

/** `4 s ago`, `in 42 s`; after 48 h `20 Nov 14:02`. */
export function age(seconds, now, zone) {
  const past = now - seconds;
  if (past <= -1) return `in ${duration(-past)}`;
  if (past < 48 * 3600) return `${duration(past)} ago`;
  const [day, time] = civil(seconds, zone);
  return `${day} ${time.slice(0, 5)}`;
}

/** `0.8 ms`, `12 ms`, `1.2 s`; `lost` over a family that once worked, `–` for one that never did. */
export function rtt(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 0) return 'lost';
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** Thousands with a thin space. */
export const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, '\u2009');

/** `00:14`, `1:02:03`. */
export function clock(seconds) {
  const part = (unit) => String(Math.floor(seconds / unit) % 60).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:` : ''}${part(60)}:${part(1)}`;
}

// ---- elements

export const capital = (word) => word[0].toUpperCase() + word.slice(1);
export const iso = (seconds) => new Date(seconds * 1000).toISOString();
/** What misleads a reader (controls, overrides of direction) is shown as the server shows it. */
export const clean = (text) => String(text).replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, '␦');
export const put = (element, text) => { if (element.textContent !== clean(text)) element.textContent = clean(text); };

export const make = (name, attributes, ...children) => build(document.createElement(name), attributes, children);
export const draft = (name, attributes, ...children) =>
  build(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);

export function build(element, attributes = {}, children = []) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, clean(value));
  element.append(...children.map((child) => (child instanceof Node ? child : clean(child))));
  return element;
}

export function glyph(code, isAlone) {
  const [word, short] = STATES[code];
  const role = isAlone ? { role: 'img', 'aria-label': capital(word) } : { 'aria-hidden': 'true' };
  return draft('svg', { class: `g s-${short}`, ...role }, draft('use', { href: `#s-${short}` }));
}

export const icon = (name, attributes) =>
  draft('svg', { viewBox: '0 0 16 16', ...attributes }, draft('use', { href: `#i-${name}` }));
