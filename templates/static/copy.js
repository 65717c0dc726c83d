// Copying: a button on each pre[data-copy] and [data-copy-all]; a link (data-copied) whose file goes to the clipboard.

import { dress } from './dress.js';
import { toast } from './toast.js';

export function start(scope) {
  for (const pre of scope.querySelectorAll('pre[data-copy], [data-copy-all]')) {
    const button = document.createElement('button');
    Object.assign(button, { className: 'btn small copy', type: 'button', textContent: 'Copy' });
    button.addEventListener('click', async () => {
      await write(pre.innerText.trim(), pre);
      button.textContent = 'Copied';
    });
    pre.before(button);
  }
}

async function write(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS browsers have no clipboard: what is chosen can still be copied.
    getSelection().selectAllChildren(shown);
    document.execCommand('copy');
  }
}

export async function fetched(link) {
  await dress();
  const answer = await fetch(link.href, { cache: 'no-store' });
  const text = await answer.text();
  const hidden = Object.assign(document.createElement('pre'), { textContent: text, className: 'vh' });
  document.body.append(hidden);
  await write(text, hidden);
  hidden.remove();
  getSelection().removeAllRanges();
  if (answer.ok) toast(`Copied as ${link.textContent}`);
  else toast('It could not be copied: the server did not give it.', { isBad: true });
}
