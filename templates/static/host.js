// A host's page: the newest samples in their places. Hooks: [data-metric="plugin.path"][data-unit]

import { count, put } from './text.js';

/** Numbers and texts of a plugin's data by path, as thresholds name them. */
export function leaves(data, prefix, out = new Map()) {
  for (const [key, value] of Object.entries(data ?? {})) {
    if (value !== null && typeof value === 'object') leaves(value, `${prefix}.${key}`, out);
    else out.set(`${prefix}.${key}`, value);
  }
  return out;
}

/** At most three significant digits below 1000. */
function short(value) {
  if (typeof value !== 'number') return value ?? '–';
  if (Math.abs(value) >= 100) return count(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

export function draw({ host, plugin, v }) {
  if (String(host) !== document.querySelector('main').dataset.host) return;
  const values = leaves(v, plugin);
  for (const element of document.querySelectorAll('main [data-metric]')) {
    const { metric, unit } = element.dataset;
    const value = values.get(metric);
    if (value !== undefined) put(element, short(value) + (unit && value !== null ? ` ${unit}` : ''));
  }
}
