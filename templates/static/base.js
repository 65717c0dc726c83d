// What every page has beyond its forms and links: keys, dialogs, filters as one types, copying, toasts. Each is a
// convenience over something that works without it; text goes through textContent only. Hooks:
//   [data-find]              the find box; with it a list of hosts while one types
//   table[data-rows]         rows that j and k walk; Enter follows the link of the row's head
//   a[data-act]              a form on a page of its own (#act), shown in a dialog here
//   form.bar input#q         filters the page's [data-part]s while one types
//   pre[data-copy]           gets a button
//   #picked[data-picks]      a form over the rows whose boxes (of that name) are ticked; its buttons name what to do
//   form[data-auto]          is sent when something else is chosen in it
//   [data-map]               the fleet map: map.js names its cells once somebody points at them

const $ = (selector, scope = document) => scope.querySelector(selector);
const all = (selector, scope = document) => [...scope.querySelectorAll(selector)];
const isTyping = () => document.activeElement?.matches('input:not([type=checkbox]):not([type=radio]), textarea, select');
const areKeysOn = () => !/(^|; )hb_keys=off/.test(document.cookie);

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// ---- the rest of the styles: /live begins without them

function dress() {
  const { more } = document.documentElement.dataset;
  if (!more || $(`link[href="${more}"]`)) return Promise.resolve();
  const link = make('link', { rel: 'stylesheet', href: more });
  return new Promise((done) => { link.onload = link.onerror = done; document.head.append(link); });
}

// ---- toasts: at most three, good news for five seconds

export function toast(text, isBad = false) {
  dress();
  let box = $('.toasts');
  if (!box) document.body.append(box = make('div', { class: 'toasts', role: 'status', 'aria-live': 'polite' }));
  const one = make('p', { class: 'toast' }, text);
  box.append(one);
  while (box.children.length > 3) box.firstElementChild.remove();
  if (isBad) one.addEventListener('click', () => one.remove());
  else setTimeout(() => one.remove(), 5000);
}

// ---- a page in the background

async function load(address) {
  const answer = await fetch(address, { cache: 'no-store', headers: { Accept: 'text/html' } });
  return { url: answer.url, page: new DOMParser().parseFromString(await answer.text(), 'text/html') };
}

// ---- dialogs

/** A form that is a page of its own, over this one. */
async function openForm(address) {
  const [{ page }] = await Promise.all([load(address), dress()]);
  const form = page.querySelector('#act');
  if (!form) return location.assign(address);
  all('dialog[open]').forEach((dialog) => dialog.close());
  $('#act')?.remove();
  show(document.adoptNode(form));
  return undefined;
}

function show(content) {
  const dialog = make('dialog', { 'aria-labelledby': content.getAttribute('aria-labelledby') ?? 'keys-title' }, content);
  document.body.append(dialog);
  all('pre[data-copy]', content).forEach(startCopy);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => {
    const isClose = event.target === dialog || event.target.closest('[data-close]');
    if (isClose) { event.preventDefault(); dialog.close(); }
  });
  dialog.showModal();
  $('input:not([type=hidden]):not([type=radio]):not([type=datetime-local]), button.main', dialog)?.focus();
  return dialog;
}

/** A row's details come from the page that has it opened. */
async function unfold(link) {
  const row = link.closest('tr');
  const { key } = row.dataset;
  const isOpen = link.getAttribute('aria-expanded') === 'true';
  const { page } = await load(link.getAttribute('href'));
  const fresh = page.querySelector(`tr[data-key="${CSS.escape(key)}"] a[data-open]`);
  if (!fresh) { location.assign(link.href); return; }
  history.replaceState(null, '', link.getAttribute('href'));
  all('tr.detail').forEach((detail) => detail.remove());
  all('a[data-open]').forEach((other) => {
    const same = page.querySelector(`tr[data-key="${CSS.escape(other.closest('tr').dataset.key)}"] a[data-open]`);
    if (same) ['href', 'aria-expanded'].forEach((name) => other.setAttribute(name, same.getAttribute(name)));
  });
  const detail = page.querySelector('tr.detail');
  if (detail && !isOpen) row.after(document.adoptNode(detail));
}

// ---- filters as one types: the server does the work, the page takes its parts

let typed = 0;

function filterBy(form) {
  clearTimeout(typed);
  typed = setTimeout(async () => {
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ''));
    const address = `${form.getAttribute('action')}${query.size ? `?${query}` : ''}`;
    const { page } = await load(address);
    const parts = all('[data-part]');
    const fresh = parts.map((part) => page.querySelector(`[data-part="${part.dataset.part}"]`));
    if (!parts.length || fresh.some((part) => !part)) { location.assign(address); return; }
    parts.forEach((part, i) => part.replaceChildren(...document.adoptNode(fresh[i]).childNodes));
    history.replaceState(null, '', address);
    document.dispatchEvent(new CustomEvent('hb:rows'));
  }, 120);
}

// ---- the find box: eight hosts while one types

function startFind(input) {
  const list = make('ul', { class: 'found', id: 'found', role: 'listbox', 'aria-label': 'Hosts', hidden: '' });
  input.form.append(list);
  for (const [key, value] of [['role', 'combobox'], ['aria-controls', 'found'], ['aria-expanded', 'false'],
    ['aria-autocomplete', 'list']]) input.setAttribute(key, value);
  let at = -1;
  let asked = 0;
  const options = () => [...list.children];
  const close = () => { list.hidden = true; at = -1; input.setAttribute('aria-expanded', 'false'); };
  const mark = () => {
    options().forEach((option, i) => option.setAttribute('aria-selected', i === at));
    if (at >= 0) input.setAttribute('aria-activedescendant', options()[at].id);
    else input.removeAttribute('aria-activedescendant');
  };
  input.addEventListener('focus', dress);
  input.addEventListener('input', async () => {
    const mine = asked += 1;
    if (!input.value.trim()) { close(); return; }
    const { page } = await load(`/find?q=${encodeURIComponent(input.value)}`);
    if (mine !== asked) return;
    const found = [...page.querySelectorAll('[data-found] a')].slice(0, 8);
    list.replaceChildren(...found.map((link, i) => {
      const option = make('li', { role: 'option', id: `found-${i}`, 'data-href': link.getAttribute('href') });
      option.append(...[...document.adoptNode(link).childNodes]);
      return option;
    }));
    list.hidden = found.length === 0;
    input.setAttribute('aria-expanded', found.length > 0);
    at = -1;
  });
  input.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && !list.hidden) {
      event.preventDefault();
      at = (at + step + options().length) % options().length;
      mark();
    } else if (event.key === 'Enter' && at >= 0) {
      event.preventDefault();
      location.assign(options()[at].dataset.href);
    } else if (event.key === 'Escape') { close(); }
  });
  list.addEventListener('mousedown', (event) => {
    const option = event.target.closest('[data-href]');
    if (option) location.assign(option.dataset.href);
  });
  input.addEventListener('blur', close);
}

// ---- keys (UI 4.6): off in Preferences, deaf while one types

const KEYS = [
  ['/', 'Find'], ['g l', 'Live'], ['g a', 'Alerts'], ['g e', 'Events'], ['g s', 'Settings'], ['j k', 'Next, previous row'],
  ['Enter', 'Open'], ['x', 'Select'], ['a', 'Acknowledge'], ['s', 'Silence'], ['m', 'Maintenance'],
  ['[ ]', 'Previous, next problem host'], ['1 – 5', 'Range of the charts'], ['t', 'Relative or absolute times'],
  ['p', 'Pause'], ['?', 'This list'], ['Esc', 'Close'],
];

async function help() {
  await dress();
  const list = KEYS.map(([keys, word]) => {
    const marks = keys.split(' ').map((key) => (key === '–' ? ' – ' : make('kbd', {}, key)));
    return make('div', {}, word, make('span', {}, ...marks));
  });
  const note = make('p', { class: 'note' }, 'Settings, Preferences switches the keys off.');
  const close = make('p', { class: 'end pad' }, make('button', { class: 'btn', 'data-close': '' }, 'Close'));
  const title = make('h2', { id: 'keys-title', class: 'pad' }, 'Keys');
  show(make('div', {}, title, make('div', { class: 'help-keys' }, ...list), note, close));
}

/** The boxes before rows, of alerts or of hosts. */
const BOXES = 'table input[name=id], table input[name=host]';
const rows = () => all('table[data-rows] tbody tr:has(th a)').filter((row) => row.offsetParent !== null);
const current = () => document.activeElement?.closest?.('table[data-rows] tbody tr');
const open = () => location.assign($('th a', current()).href);

function move(step) {
  const list = rows();
  const next = list[Math.max(0, Math.min(list.length - 1, list.indexOf(current()) + step))];
  if (!next) return;
  list.forEach((row) => row.setAttribute('tabindex', row === next ? 0 : -1));
  next.focus();
  next.scrollIntoView({ block: 'nearest' });
}

/** The form for the row at hand, for the rows that are chosen, or for the page's own host. */
function act(kind) {
  const picked = all(BOXES).filter((box) => box.checked);
  if (picked.length && (kind !== 'silence' || picked[0].name === 'host')) {
    const ids = picked.map((box) => `${box.name}=${encodeURIComponent(box.value)}`).join('&');
    return openForm(`${$('#picked').getAttribute('action').split('#')[0]}?act=${kind}&${ids}`);
  }
  const link = $(`a[data-act=${kind}]`, current() ?? document);
  return link && openForm(link.getAttribute('href'));
}

const follow = (selector) => $(selector)?.click();
const GO = { l: '/live', a: '/alerts', e: '/events', s: '/settings' };
const DO = {
  '/': () => ($('#q') ?? $('[data-find]'))?.focus(),
  '?': help,
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
  t: () => document.dispatchEvent(new CustomEvent('hb:times')),
  p: () => document.dispatchEvent(new CustomEvent('hb:pause')),
};
let isGoing = false;

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping() || $('dialog[open]') || !areKeysOn()) return;
  const { key } = event;
  if (isGoing && GO[key]) location.assign(GO[key]);
  const range = /^[1-5]$/.test(key) && all('[data-range]')[Number(key) - 1];
  if (range) range.click();
  else if (!isGoing && DO[key]) {
    if (key !== 'Enter') event.preventDefault();
    DO[key]();
  }
  isGoing = key === 'g' && !isGoing;
}

// ---- start

function picked() {
  const label = $('[data-picked]');
  const count = all(BOXES).filter((box) => box.checked).length;
  if (label) label.textContent = count ? `${count} selected:` : 'Choose rows to';
}

function startCopy(pre) {
  const button = make('button', { class: 'btn small copy', type: 'button' }, 'Copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(pre.textContent.trim());
    } catch {
      // Without TLS browsers have no clipboard: what is chosen can still be copied by hand.
      getSelection().selectAllChildren(pre);
      document.execCommand('copy');
    }
    button.textContent = 'Copied';
  });
  pre.before(button);
}

/** The zone of the browser, for those who asked for it and whom the server does not know yet. */
function startZone() {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  all('button[data-zone]').forEach((button) => { button.value = `browser:${own}`; button.hidden = false; });
}

/** The map's names are many: its module and they are fetched when somebody points at it, or comes to it by keys. */
function startMap() {
  const { cells } = document.documentElement.dataset;
  if (!cells || !$('[data-map]')) return;
  const load = () => { import(cells).then((module) => module.start()); };
  const names = ['pointerover', 'focusin'];
  const wake = ({ target }) => {
    if (!target.closest?.('.map-card')) return;
    names.forEach((name) => document.removeEventListener(name, wake));
    load();
  };
  names.forEach((name) => document.addEventListener(name, wake));
  all('.grp > svg').forEach((svg) => svg.setAttribute('tabindex', 0));
}

/** A page that nobody keeps fresh says so. */
function watchAge() {
  const mark = $('[data-age]');
  const check = () => { $('[data-old]', mark).hidden = Date.now() - Date.parse(mark.dataset.age) < 120_000; };
  if (mark) setInterval(check, 5000);
}

function start() {
  document.addEventListener('keydown', press);
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[data-act]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    openForm(link.getAttribute('href'));
  });
  document.addEventListener('submit', (event) => {
    if (event.target.id !== 'picked') return;
    event.preventDefault();
    if (all(BOXES).some((box) => box.checked)) act(event.submitter?.value ?? 'ack');
    else toast('Choose rows first: tick their boxes, or press x.');
  });
  document.addEventListener('change', ({ target }) => {
    if (target.matches(BOXES)) picked();
    target.closest('form[data-auto]')?.requestSubmit();
  });
  document.addEventListener('click', (event) => {
    for (const menu of all('details.menu[open]')) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') all('details.menu[open]').forEach((menu) => { menu.open = false; });
  });
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[data-open]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    unfold(link);
  });
  const bar = $('form.bar:has(#q)');
  if (bar && $('[data-part]')) {
    bar.addEventListener('input', () => filterBy(bar));
    bar.addEventListener('submit', (event) => { event.preventDefault(); filterBy(bar); });
  }
  if ($('[data-find]')) startFind($('[data-find]'));
  all('pre[data-copy]').forEach(startCopy);
  rows().forEach((row, i) => row.setAttribute('tabindex', i === 0 ? 0 : -1));
  startZone();
  watchAge();
  const part = $('.side [aria-current]');
  if (part) part.parentNode.scrollLeft = part.offsetLeft - part.parentNode.offsetLeft - 40;
  if ($('.panel')) $('.panel').focus();
  startMap();
}

start();
