// The whole moment of a time, where somebody points: fifty rows of them would be written for nobody.

import { civil, DAY, TIME, written } from './text.js';

/** `Sun 22 Nov 2026 16:20:41 CET · 15:20:41 UTC` */
export function moment(seconds, zone) {
  const parts = { weekday: 'short', ...DAY, year: 'numeric', ...TIME, timeZoneName: 'short' };
  return `${written(seconds, zone, parts)} · ${civil(seconds, 'UTC')[1]} UTC`;
}
