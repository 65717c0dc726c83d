// What every page has beyond its forms and links: keys, and what comes with the first touch of it (dialogs, filters as
// one types, copying). Each is a convenience over something that works without it. Hooks:
//   [data-find]              the find box; find.js gives it a list of hosts while one types
//   table[data-rows]         rows that j and k walk; Enter follows the link of the row's head
//   a[data-act]              a form on a page of its own (#act), shown in a dialog here (dialog.js)
//   a[data-open]             a row's details, from the page that has it opened
//   form.bar input#q         filters the page's [data-part]s while one types (filter.js)
//   pre[data-copy], a[data-copied]   have a button, are copied instead of fetched (copy.js)
//   #picked[data-picks]      a form over the rows whose boxes (of that name) are ticked; its buttons name what to do
//   form[data-auto]          is sent when something else is chosen in it
//   [data-map]               the fleet map: heat.js names its cells once somebody points at them

const $ = (selector, scope = document) => scope.querySelector(selector);
const all = (selector, scope = document) => [...scope.querySelectorAll(selector)];
const dialog = () => import('./dialog.js');

// ---- keys (ui/UI.md 4.6): off or others in Preferences, deaf while one types

const [, kept] = /(?:^|; )hb_keys=([^;]*)/.exec(document.cookie) ?? [];
/** The reader's own key of a usual one. */
const own = new URLSearchParams(kept === 'on' ? '' : kept);

/** What a key usually stands for, of one that the reader may have moved. */
function meant(key) {
  const moved = [...own].find(([, is]) => is === key);
  return moved ? moved[0] : own.has(key) ? '' : key;
}

/** The boxes before rows, of alerts or of hosts. */
const BOXES = 'table input[name=id], table input[name=host]';
const ticked = () => all(BOXES).filter((box) => box.checked);
const rows = () => all('table[data-rows] tbody tr:has(th a)').filter((row) => row.offsetParent !== null);
const current = () => document.activeElement?.closest?.('table[data-rows] tbody tr');
const open = () => location.assign($('th a', current()).href);

/** One row can be reached by Tab, the others from there. */
function rove(to = current()) {
  const list = rows();
  const one = list.includes(to) ? to : list[0];
  list.forEach((row) => row.setAttribute('tabindex', row === one ? 0 : -1));
}

function move(step) {
  const list = rows();
  const next = list[Math.max(0, Math.min(list.length - 1, list.indexOf(current()) + step))];
  if (!next) return;
  rove(next);
  next.focus();
  next.scrollIntoView({ block: 'nearest' });
}

const act = async (kind) => (await dialog()).act(kind, ticked(), current());

function find() {
  const box = [$('[data-find]'), $('#q')].find((input) => input?.checkVisibility());
  if (box) box.focus();
  else location.assign('/find');
}

const follow = (selector) => $(selector)?.click();
const tell = (name) => document.dispatchEvent(new CustomEvent(name));
const GO = { l: '/live', a: '/alerts', e: '/events', s: '/settings' };
const DO = {
  '/': find,
  '?': async () => (await dialog()).help(own),
  j: () => move(1),
  k: () => move(-1),
  o: () => current() && open(),
  Enter: () => current() && document.activeElement === current() && open(),
  x: () => $('input[type=checkbox]', current() ?? document.createElement('i'))?.click(),
  a: () => act('ack'),
  s: () => act('silence'),
  m: () => act('maintenance'),
  '[': () => follow('[rel=prev]'),
  ']': () => follow('[rel=next]'),
  t: () => tell('hb:times'),
  p: () => tell('hb:pause'),
};
let isGoing = false;

function press(event) {
  if (event.key === 'Escape') all('details.menu[open]').forEach((menu) => { menu.open = false; });
  const isTyping = document.activeElement?.matches('input:not([type=checkbox]):not([type=radio]), textarea, select');
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping || $('dialog[open]') || kept === 'off') return;
  const key = meant(event.key);
  if (isGoing && GO[event.key]) location.assign(GO[event.key]);
  const range = /^[1-5]$/.test(key) && all('[data-range]')[Number(key) - 1];
  if (range) range.click();
  else if (!isGoing && DO[key]) {
    if (key !== 'Enter') event.preventDefault();
    DO[key]();
  }
  isGoing = key === 'g' && !isGoing;
}

// ---- what is pressed, chosen, typed into

async function click(event) {
  const { target } = event;
  for (const menu of all('details.menu[open]')) if (!menu.contains(target)) menu.open = false;
  const link = target.closest?.('a[data-act], a[data-open], a[data-copied]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if ('act' in link.dataset) (await dialog()).open(link.getAttribute('href'));
  else if ('open' in link.dataset) (await dialog()).unfold(link);
  else (await import('./copy.js')).fetched(link);
}

async function submit(event) {
  const { target, submitter } = event;
  if (submitter?.matches('dialog [data-preview]')) {
    event.preventDefault();
    (await dialog()).open(`/alerts?${new URLSearchParams(new FormData(target, submitter))}`);
  } else if (target.id === 'picked') {
    event.preventDefault();
    if (ticked().length) await act(submitter?.value ?? 'ack');
    else (await import('./toast.js')).toast('Choose rows first: tick their boxes, or press x.');
  } else if (isFilter(target)) {
    event.preventDefault();
    (await import('./filter.js')).filterBy(target);
  }
}

const isFilter = (form) => form?.matches('form.bar:has(#q)') && $('[data-part]');

function change({ target }) {
  const label = target.matches(BOXES) && $('[data-picked]');
  const count = ticked().length;
  if (label) label.textContent = count ? `${count} selected:` : 'Choose rows to';
  target.closest('form[data-auto]')?.requestSubmit();
}

/** The map's names are many: its module and they are fetched when somebody points at it, or comes to it by keys. */
function wake({ target }) {
  const [map, input] = ['.map-card:has([data-map])', '[data-find]'].map((name) => target.closest?.(name));
  if (map) import('./heat.js').then((heat) => heat.start());
  if (input) import('./find.js').then((finder) => finder.start(input));
}

// ---- start

function start() {
  const handles = { keydown: press, click, submit, change, pointerover: wake, focusin: wake };
  for (const [name, handle] of Object.entries(handles)) document.addEventListener(name, handle);
  document.addEventListener('input', async ({ target }) => {
    if (isFilter(target.form)) (await import('./filter.js')).filterBy(target.form);
  });
  addEventListener('scroll', async () => (await import('./scroll.js')).more(), { passive: true });
  document.addEventListener('hb:fresh', () => rove());
  document.addEventListener('hb:rows', () => rove());
  rove();
  all('.grp > svg').forEach((svg) => svg.setAttribute('tabindex', 0));
  // The zone of the browser, for those who asked for it and whom the server does not know yet.
  const zone = `browser:${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
  all('button[data-zone]').forEach((button) => { button.value = zone; button.hidden = false; });
  if ($('[data-copy], [data-copy-all]')) import('./copy.js').then((copy) => copy.start(document));
  if ($('.toast')) import('./toast.js').then((toasts) => all('.toast').forEach((one) => toasts.expire(one)));
  if ($('[data-age], .sign-in, .pref, .side')) import('./rest.js');
  $('.panel')?.focus();
  // On a phone the messages wait at the bottom edge.
  if (matchMedia('(max-width: 700px)').matches) $('.rail details')?.removeAttribute('open');
  document.documentElement.dataset.keys = kept === 'off' ? 'off' : 'on';
}

start();
