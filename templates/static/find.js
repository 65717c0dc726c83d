// The find box: eight hosts, pages and commands while one types.

import { dress, load } from './dress.js';

const MAX = 8;

export function start(input) {
  if (input.hasAttribute('aria-controls')) return;
  const list = document.createElement('ul');
  const set = (element, attributes) => {
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  };
  set(list, { class: 'found', id: 'found', role: 'listbox', 'aria-label': 'Hosts, pages and commands', hidden: '' });
  input.form.append(list);
  set(input, { role: 'combobox', 'aria-controls': 'found', 'aria-expanded': 'false', 'aria-autocomplete': 'list' });
  dress();
  let at = -1;
  let asked = 0;
  const options = () => [...list.children];
  const close = () => { list.hidden = true; at = -1; input.setAttribute('aria-expanded', 'false'); };
  const mark = () => {
    options().forEach((option, i) => option.setAttribute('aria-selected', i === at));
    if (at >= 0) input.setAttribute('aria-activedescendant', options()[at].id);
    else input.removeAttribute('aria-activedescendant');
  };
  const seek = async () => {
    const mine = asked += 1;
    if (!input.value.trim()) { close(); return; }
    const page = await load(`/find?q=${encodeURIComponent(input.value)}`);
    if (mine !== asked) return;
    const found = [...page.querySelectorAll('[data-found] a')].slice(0, MAX);
    list.replaceChildren(...found.map((link, i) => {
      const option = document.createElement('li');
      set(option, { role: 'option', id: `found-${i}`, 'data-href': link.getAttribute('href') });
      option.append(...document.adoptNode(link).childNodes);
      return option;
    }));
    list.hidden = found.length === 0;
    input.setAttribute('aria-expanded', found.length > 0);
    at = -1;
  };
  input.addEventListener('input', seek);
  // What was typed while this came.
  if (input.value) seek();
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
