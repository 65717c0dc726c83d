// Parts that only the server can draw, fetched anew after a change: at once, then every few seconds at most. Map,
// pager, pie, rows that are new here, trends of the tiles, the server's banner, title and icon, lists ([data-fresh]).

const GAP_MS = 3000;
/** Rows of a table that nobody has scrolled on. */
const ROWS = 50;
let timer = 0;
let isDue = false;

export function refresh() {
  if (timer) { isDue = true; return; }
  timer = setTimeout(() => {
    timer = 0;
    if (isDue) refresh();
  }, GAP_MS);
  isDue = false;
  draw();
}

export async function draw() {
  let page;
  try {
    const address = new URL(location.href);
    const size = document.getElementById('hosts')?.dataset.size;
    if (size > ROWS) address.searchParams.set('rows', size);
    const answer = await fetch(address, { cache: 'no-store' });
    if (!answer.ok) return;
    page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  } catch {
    // Away for a moment: the next change asks again.
    return;
  }
  const map = document.querySelector('[data-canvas]') ? [] : ['.map-card'];
  const banner = document.querySelector('[data-retry]') ? [] : ['#banner'];
  const parts = ['[data-pager]', '#nav-alerts', '[data-sentence]', '.foot', ...map, ...banner, ...lists()];
  for (const part of parts) replace(page, part);
  if (page.title) document.title = page.title;
  const icon = page.querySelector('link[rel~=icon]')?.getAttribute('href');
  const own = document.querySelector('link[rel~=icon]');
  if (icon && own.getAttribute('href') !== icon) own.setAttribute('href', icon);
  for (const note of page.querySelectorAll('.tile em')) {
    const tile = `.tile[data-state="${note.closest('.tile').dataset.state}"]`;
    document.querySelector(`${tile} em`)?.replaceWith(document.adoptNode(note));
  }
  rows(page);
  document.dispatchEvent(new CustomEvent('hb:fresh'));
}

function replace(page, part) {
  const [own, fresh] = [document.querySelector(part), page.querySelector(part)];
  if (own && fresh && own.outerHTML !== fresh.outerHTML) own.replaceWith(document.adoptNode(fresh));
}

/** Lists that the server draws anew; not while a row of theirs is chosen or has the focus. */
function lists() {
  const isBusy = (part) => part.querySelector('input:checked') || part.contains(document.activeElement);
  const parts = [...document.querySelectorAll('[data-fresh]')].filter((part) => !isBusy(part));
  return parts.map((part) => `[data-fresh="${part.dataset.fresh}"]`);
}

/** Those that are not here yet come to their places, those that are not there any more go; the others stay. */
function rows(page) {
  const [body, fresh] = [document, page].map((of) => of.querySelector('#hosts tbody'));
  if (!body || !fresh) return;
  const wanted = [...fresh.children];
  const ids = new Set(wanted.map((row) => row.dataset.id));
  const isOver = (row) => !ids.has(row.dataset.id) && !row.querySelector(':checked');
  for (const row of [...body.children]) if (isOver(row)) row.remove();
  let at = body.firstElementChild;
  for (const row of wanted) {
    const own = body.querySelector(`tr[data-id="${Number(row.dataset.id)}"]`);
    if (own && own === at) at = at.nextElementSibling;
    // What is moved loses the focus.
    else if (!own?.contains(document.activeElement)) body.insertBefore(own ?? document.adoptNode(row), at);
  }
}
