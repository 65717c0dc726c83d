// Filters as one types: the server does the work, the page takes its parts ([data-part]), the address says it all.

import { load } from './dress.js';

const PAUSE_MS = 120;
let timer = 0;

export function filterBy(form) {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ''));
    const address = `${form.getAttribute('action')}${query.size ? `?${query}` : ''}`;
    const page = await load(address);
    const parts = [...document.querySelectorAll('[data-part]')];
    const fresh = parts.map((part) => page.querySelector(`[data-part="${part.dataset.part}"]`));
    if (!parts.length || fresh.some((part) => !part)) { location.assign(address); return; }
    parts.forEach((part, i) => part.replaceChildren(...document.adoptNode(fresh[i]).childNodes));
    history.replaceState(null, '', address);
    document.dispatchEvent(new CustomEvent('hb:rows'));
  }, PAUSE_MS);
}
