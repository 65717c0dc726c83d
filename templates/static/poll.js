// In place of a WebSocket that some proxy does not let through: the same frames by HTTP.

import { STATES } from './text.js';

const WITHIN_MS = 10_000;
const EVERY_MS = 3_000;
const HIDDEN_EVERY_MS = 60_000;
const EVENTS_MAX = 50;
let askedAt = 0;

/** A frame that leads from `resume` to now, and the newest events; nothing while it is too early to ask again. */
export async function ask(scope, resume) {
  if (Date.now() - askedAt < (document.hidden ? HIDDEN_EVERY_MS : EVERY_MS)) return undefined;
  askedAt = Date.now();
  const frame = await get(`/api/0/live?scope=${scope}${resume ? `&since=${resume.epoch}:${resume.seq}` : ''}`);
  const { events } = await get(`/api/0/events?limit=${EVENTS_MAX}`);
  return { frame, items: events.reverse().map(asItem) };
}

async function get(path) {
  const answer = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(WITHIN_MS) });
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

/** An entry of `GET events` as an item of an `ev` frame. */
function asItem(event) {
  const code = (word) => STATES.findIndex(([state]) => state === word);
  return { ...event, ts: event.timestamp, name: event.host, from: code(event.from), to: code(event.to) };
}
