// What the page says of its own connection: link state and banner. It never lies: what is old is told to be.
//   #link (role=status)              data-link="live|connecting|stale|offline|polling|paused"; a button in it
//   #banner                          the server's own text comes back when the connection does

import { now, zone } from './clock.js';
import { civil, clock, glyph, make, put } from './text.js';

export const link = document.getElementById('link');
const label = make('button', { type: 'button' });
const ticking = make('span', { 'aria-hidden': 'true' });
const retry = make('button', { type: 'button', 'data-retry': '' }, 'Retry now');
/** In the place of the server's own, which comes back with the connection. What ticks is hidden from screen readers,
 *  who would hear it each second. */
const lost = make('p', { class: 'banner b-down', id: 'banner', role: 'alert' },
  glyph(0), make('span', {}, 'Connection lost ', ticking), retry);
let served = null;

/** `waiting` is the count of changes while the reader has paused, `retryAt` milliseconds of this machine's clock. */
export function tell({ isUp, isPolling, isStale, failed, waiting, heardAt, retryAt }) {
  const silent = (Date.now() - heardAt) / 1000;
  const [, since] = civil(now() - silent, zone);
  const [kind, text] = (waiting >= 0 && ['paused', waiting ? `Paused, ${waiting} changes waiting` : 'Paused'])
    || (isUp && ['live', 'Live'])
    || (isPolling && ['polling', 'Live (polling)'])
    || (failed > 1 && ['offline', `Offline since ${since.slice(0, 5)}`])
    || (isStale && ['stale', `Stale ${Math.round(silent)} s`])
    || ['connecting', 'Connecting…'];
  link.dataset.link = kind;
  put(label, text);
  label.title = isUp ? 'Pause' : 'Try now';
  const isWell = isUp || isPolling;
  if (isWell && isLost()) lost.replaceWith(served);
  if (!isWell && (isLost() || isStale || silent > 5)) warn(silent, since, retryAt);
}

export const isLost = () => lost.isConnected;

function warn(silent, since, retryAt) {
  if (!isLost()) {
    served = document.getElementById('banner');
    served.replaceWith(lost);
  }
  const left = Math.ceil((retryAt - Date.now()) / 1000);
  const next = Number.isFinite(left) ? `Retrying in ${Math.max(0, left)} s. ` : 'Connecting… ';
  put(ticking, `${clock(silent)} ago, showing data of ${since}. ${next}`);
}

link.querySelector('[data-text]').replaceWith(label);
