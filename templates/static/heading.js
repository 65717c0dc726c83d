// A host's page beyond its charts: what live.js redraws of the state is told in the heading too.

const state = document.querySelector('.sub [data-col="state"]');
const mark = document.getElementById('mark');

/** The glyph beside the name follows the one in the sentence, and the sentence stays one. */
function follow() {
  const glyph = state.querySelector('.g')?.cloneNode(true);
  const word = state.querySelector('.lbl')?.textContent ?? '';
  if (glyph && mark) {
    glyph.setAttribute('role', 'img');
    glyph.setAttribute('aria-label', word);
    glyph.removeAttribute('aria-hidden');
    mark.replaceChildren(glyph);
  }
  const age = state.querySelector('small');
  if (age && !age.textContent.startsWith('for ')) age.prepend('for ');
}

if (state) new MutationObserver(follow).observe(state, { childList: true });
