// Forms that are pages of their own, over this one; a row's details; the list of keys.

import { start as startCopy } from './copy.js';
import { dress, load } from './dress.js';

const $ = (selector, scope = document) => scope.querySelector(selector);
const all = (selector, scope = document) => [...scope.querySelectorAll(selector)];

/** A form that is a page of its own. */
export async function open(address) {
  const [page] = await Promise.all([load(address), dress()]);
  const form = page.querySelector('#act');
  if (!form) return location.assign(address);
  all('dialog[open]').forEach((dialog) => dialog.close());
  $('#act')?.remove();
  return show(document.adoptNode(form));
}

/** The form for the rows that are ticked, for the row at hand, or for the page's own host. */
export function act(kind, picked, row) {
  const ids = picked.map((box) => `${box.name}=${encodeURIComponent(box.value)}`).join('&');
  const link = $(`a[data-act=${kind}]`, row ?? document)?.getAttribute('href');
  // A row of hosts has its forms in its menu.
  const name = row && $('[name=host]', row)?.value;
  const own = name && `/live?act=${kind}&host=${encodeURIComponent(name)}`;
  const many = picked.length && `${$('#picked').getAttribute('action').split('#')[0]}?act=${kind}&${ids}`;
  const address = many || link || own;
  return address && open(address);
}

function show(content) {
  const dialog = document.createElement('dialog');
  dialog.setAttribute('aria-labelledby', content.getAttribute('aria-labelledby') ?? 'keys-title');
  dialog.append(content);
  document.body.append(dialog);
  startCopy(content);
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
export async function unfold(link) {
  const row = link.closest('tr');
  const isOpen = link.getAttribute('aria-expanded') === 'true';
  const page = await load(link.getAttribute('href'));
  const same = (other) => {
    const { key } = other.closest('tr').dataset;
    return page.querySelector(`tr[data-key="${CSS.escape(key)}"] a[data-open]`);
  };
  if (!same(link)) { location.assign(link.href); return; }
  history.replaceState(null, '', link.getAttribute('href'));
  all('tr.detail').forEach((detail) => detail.remove());
  all('a[data-open]').forEach((other) => {
    const fresh = same(other);
    if (fresh) ['href', 'aria-expanded'].forEach((name) => other.setAttribute(name, fresh.getAttribute(name)));
  });
  const detail = page.querySelector('tr.detail');
  if (detail && !isOpen) row.after(document.adoptNode(detail));
}

const KEYS = [
  ['/', 'Find'], ['g l', 'Live'], ['g a', 'Alerts'], ['g e', 'Events'], ['g s', 'Settings'], ['j k', 'Next, previous row'],
  ['Enter o', 'Open'], ['x', 'Select'], ['a', 'Acknowledge'], ['s', 'Silence'], ['m', 'Maintenance'],
  ['[ ]', 'Previous, next problem host'], ['1 – 5', 'Range of the charts'], ['t', 'Relative or absolute times'],
  ['p', 'Pause'], ['?', 'This list'], ['Esc', 'Close'],
];

/** `own` are the reader's keys by the usual ones. */
export async function help(own) {
  await dress();
  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const list = KEYS.map(([keys, word]) => {
    // Of a pair the first is the reader's; pages have letters of their own.
    const isLetter = (i) => keys.startsWith('g ') && i > 0;
    const marks = keys.split(' ').map((key, i) => (isLetter(i) ? key : own.get(key) || key));
    const shown = marks.map((key) => (key === '–' ? ' – ' : make('kbd', {}, key)));
    return make('div', {}, word, make('span', {}, ...shown));
  });
  const link = make('a', { href: '/settings?part=preferences' }, 'Preferences');
  const note = make('p', { class: 'note' }, link, ' switch the keys off, or choose others.');
  const close = make('p', { class: 'end pad' }, make('button', { class: 'btn', 'data-close': '' }, 'Close'));
  const title = make('h2', { id: 'keys-title', class: 'pad' }, 'Keys');
  show(make('div', {}, title, make('div', { class: 'help-keys' }, ...list), note, close));
}
