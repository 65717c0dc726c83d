// The rest of the styles, and pages in the background: /live begins without them.

export function dress() {
  const { more } = document.documentElement.dataset;
  if (!more || document.querySelector(`link[href="${more}"]`)) return Promise.resolve();
  const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: more });
  return new Promise((done) => { link.onload = link.onerror = done; document.head.append(link); });
}

export async function load(address) {
  const answer = await fetch(address, { cache: 'no-store', headers: { Accept: 'text/html' } });
  return new DOMParser().parseFromString(await answer.text(), 'text/html');
}
