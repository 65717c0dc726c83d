// The server's clock in the reader's zone: ages that tick. Hooks: time[datetime][data-rel="ago|for|boot"]

import { age, civil, duration, put } from './text.js';

export const zone = knownZone(document.documentElement.dataset.tz);
let offset = 0;
/** Key t: times as times of day, not as ages. */
let isAbsolute = false;

/** The zone that the server writes times in, where the browser knows it; else the browser's own. */
function knownZone(name) {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

/** Unix seconds of the server's clock: that of the browser may be wrong. */
export const now = () => (Date.now() + offset) / 1000;
export const setNow = (ms) => { offset = ms - Date.now(); };

export function tick(time) {
  const at = Date.parse(time.dateTime) / 1000;
  if (Number.isNaN(at)) return;
  const text = { for: () => duration(now() - at), boot: () => `rebooted ${age(at, now(), zone)}` }[time.dataset.rel];
  put(time, isAbsolute ? civil(at, zone).join(' ') : text?.() ?? age(at, now(), zone));
}

export const tickAll = () => document.querySelectorAll('time[data-rel]').forEach(tick);

document.addEventListener('hb:times', () => { isAbsolute = !isAbsolute; tickAll(); });
document.addEventListener('pointerover', async ({ target }) => {
  const at = target.matches?.('time[datetime]:not([title])') && Date.parse(target.dateTime) / 1000;
  if (at) target.title = (await import('./moment.js')).moment(at, zone);
});
