// The table goes on where somebody scrolls to its end: more rows from the server, up to its bound; what lies further is
// on the next pages. Hooks: #hosts[data-size], [data-pager]

import { draw } from './fresh.js';

const STEP = 50;
const MAX = 300;
const AHEAD_PX = 600;
let isBusy = false;

export async function more() {
  const [table, pager] = [document.getElementById('hosts'), document.querySelector('[data-pager]')];
  if (isBusy || !table || !pager || /[?&]page=/.test(location.search)) return;
  const size = Number(table.dataset.size);
  const isWhole = table.querySelectorAll('tbody tr').length < size;
  if (isWhole || size >= MAX || pager.getBoundingClientRect().top > innerHeight + AHEAD_PX) return;
  isBusy = true;
  table.dataset.size = size + STEP;
  await draw();
  isBusy = false;
  document.dispatchEvent(new CustomEvent('hb:rows'));
}
