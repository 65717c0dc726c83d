// Small things of single pages: a page that nobody keeps fresh says so, the sign-in form shows its password and counts
// down a pause, preferences ask the browser before they are kept.

const $ = (selector) => document.querySelector(selector);

function watchAge(mark) {
  setInterval(() => { $('[data-old]').hidden = Date.now() - Date.parse(mark.dataset.age) < 120_000; }, 5000);
}

function signIn(form) {
  const input = $('#password');
  const reveal = document.createElement('input');
  Object.assign(reveal, { type: 'button', className: 'reveal', value: 'Show' });
  reveal.setAttribute('aria-label', 'Show the password');
  reveal.addEventListener('click', () => {
    const isShown = input.type === 'text';
    input.type = isShown ? 'password' : 'text';
    reveal.value = isShown ? 'Show' : 'Hide';
    reveal.setAttribute('aria-label', `${reveal.value} the password`);
    input.focus();
  });
  input.after(reveal);
  form.addEventListener('submit', () => { input.type = 'password'; });
  // A cookie of our own that does not come back: sessions would not either.
  document.cookie = 'hb_probe=1; Path=/login; SameSite=Lax';
  if (!/(^|; )hb_probe=1/.test(document.cookie)) $('[data-blocked]').hidden = false;
  document.cookie = 'hb_probe=; Path=/login; Max-Age=0';
}

/** Until then the form would only be refused. */
function countDown(mark) {
  const button = $('.sign-in button');
  const until = Date.now() + Number(mark.dataset.wait) * 1000;
  const timer = setInterval(tick, 250);
  function tick() {
    const left = Math.ceil((until - Date.now()) / 1000);
    mark.textContent = left > 0 ? `Try again in ${left} s.` : 'You can try again now.';
    button.disabled = left > 0;
    if (left <= 0) clearInterval(timer);
  }
  tick();
}

/** The browser is asked by a click alone; where it refuses, nothing is kept. */
function askFirst(button) {
  button.addEventListener('click', async (event) => {
    if (window.Notification?.permission === 'granted') return;
    event.preventDefault();
    const answer = window.Notification ? await Notification.requestPermission() : 'denied';
    if (answer === 'granted') button.form.requestSubmit(button);
    else (await import('./toast.js')).toast('This browser does not allow notices of this page.', { isBad: true });
  });
}

if ($('[data-age]')) watchAge($('[data-age]'));
if ($('.sign-in')) signIn($('.sign-in'));
if ($('[data-wait]')) countDown($('[data-wait]'));
document.querySelectorAll('[data-permission]').forEach(askFirst);
const part = $('.side [aria-current]');
if (part) part.parentNode.scrollLeft = part.offsetLeft - part.parentNode.offsetLeft - 40;
