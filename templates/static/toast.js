// Short news in a corner: at most three; good ones go by themselves, unless somebody points at them.

import { dress } from './dress.js';

const SHOWN_MS = 5000;
const MAX = 3;

const make = (name, attributes, text) => {
  const element = Object.assign(document.createElement(name), attributes);
  element.textContent = text;
  return element;
};

function box() {
  const found = document.querySelector('.toasts');
  if (found) return found;
  const made = make('div', { className: 'toasts', role: 'status' }, '');
  made.setAttribute('aria-live', 'polite');
  return document.body.appendChild(made);
}

/** With an address the text leads there; it stays then, as bad news do, until it is closed. */
export function toast(text, { href, isBad } = {}) {
  const one = make('p', { className: isBad ? 'toast bad' : 'toast' }, href ? '' : text);
  if (href) one.append(make('a', { href }, text));
  dress();
  box().append(one);
  while (box().children.length > MAX) box().firstElementChild.remove();
  expire(one, href || isBad);
}

/** Also of one that the server wrote. */
export function expire(one, stays = false) {
  const close = make('button', { type: 'button', className: 'close', title: 'Close' }, '×');
  close.setAttribute('aria-label', 'Close');
  close.addEventListener('click', () => one.remove());
  one.append(close);
  if (stays) return;
  let timer = setTimeout(() => one.remove(), SHOWN_MS);
  one.addEventListener('pointerenter', () => clearTimeout(timer));
  one.addEventListener('pointerleave', () => { timer = setTimeout(() => one.remove(), SHOWN_MS); });
  one.addEventListener('focusin', () => clearTimeout(timer));
}
