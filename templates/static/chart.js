// A host's charts: a cursor over all of them, a range by dragging, fresh drawings while the page looks at now.

const box = document.getElementById('charts');
const charts = [...document.querySelectorAll('.chart')];
const SVG = 'http://www.w3.org/2000/svg';
// The geometry of plot.rs.
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 630, 10, 130];
const known = new Map();
let [from, to] = [Number(box?.dataset.from), Number(box?.dataset.to)];
let drag = null;

const draw = (name, attributes) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};
const share = (svg, event) => {
  const { left, width } = svg.getBoundingClientRect();
  return Math.min(1, Math.max(0, ((event.clientX - left) / width * 640 - LEFT) / (RIGHT - LEFT)));
};
const round = (value) => (Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
const time = (seconds) => new Intl.DateTimeFormat('en-GB', {
  timeZone: document.documentElement.dataset.tz, dateStyle: to - from > 86400 ? 'short' : undefined, timeStyle: 'short',
}).format(seconds * 1000);

function numbers(chart) {
  if (!known.has(chart)) {
    const query = new URLSearchParams({ metric: chart.dataset.metrics, from, to, points: 280 });
    const host = encodeURIComponent(box.dataset.name);
    known.set(chart, fetch(`/api/0/hosts/${host}/series?${query}`, { cache: 'no-store' })
      .then((answer) => (answer.ok ? answer.json() : null)).catch(() => null));
  }
  return known.get(chart);
}

function values(chart, data, at) {
  const names = [...chart.querySelectorAll('.lg span')].map((span) => span.textContent);
  const { t, series } = data;
  let i = t.findIndex((seconds) => seconds > at);
  i = i < 0 ? t.length - 1 : Math.max(0, i - 1);
  return chart.dataset.metrics.split(',').map((metric, n) => {
    const value = series[metric]?.avg[i];
    const text = value === null || value === undefined ? '–' : `${round(value)} ${series[metric].unit ?? ''}`;
    return `${names[n] ? `${names[n]} ` : ''}${text.trim()}`;
  });
}

function point(at, x) {
  for (const chart of charts) {
    const svg = chart.querySelector('.plot');
    const line = svg.querySelector('.cursor') ?? svg.appendChild(draw('path', { class: 'cursor' }));
    line.setAttribute('d', `M${(LEFT + x * (RIGHT - LEFT)).toFixed(1)} ${TOP}V${BOTTOM}`);
  }
}

async function read(chart, at, x, isSpoken) {
  const data = await numbers(chart);
  let out = chart.querySelector('.readout');
  if (!out) chart.append(out = Object.assign(document.createElement('p'), { className: 'readout' }));
  out.setAttribute('role', isSpoken ? 'status' : 'presentation');
  out.textContent = [time(at), ...(data?.t?.length ? values(chart, data, at) : [])].join('\n');
  const left = chart.clientWidth * (LEFT + x * (RIGHT - LEFT)) / 640;
  out.style.left = `${Math.min(chart.clientWidth - 150, left + 10)}px`;
}

function clear() {
  document.querySelectorAll('.cursor, .drag, .readout').forEach((element) => element.remove());
}

function look(chart, x, isSpoken = false) {
  const at = from + x * (to - from);
  point(at, x);
  document.querySelectorAll('.readout').forEach((out) => chart.contains(out) || out.remove());
  read(chart, at, x, isSpoken);
}

/** The range is in the address: it can be shared. */
function zoom(a, b) {
  const query = new URLSearchParams(location.search);
  query.delete('r');
  query.set('from', Math.floor(from + Math.min(a, b) * (to - from)));
  query.set('to', Math.ceil(from + Math.max(a, b) * (to - from)));
  location.search = query;
}

function start(chart) {
  const svg = chart.querySelector('.plot');
  let x = 1;
  svg.setAttribute('tabindex', 0);
  svg.addEventListener('pointermove', (event) => {
    x = share(svg, event);
    look(chart, x);
    if (drag === null) return;
    const band = svg.querySelector('.drag') ?? svg.appendChild(draw('rect', { class: 'drag', y: TOP, height: BOTTOM - TOP }));
    band.setAttribute('x', LEFT + Math.min(drag, x) * (RIGHT - LEFT));
    band.setAttribute('width', Math.abs(drag - x) * (RIGHT - LEFT));
  });
  svg.addEventListener('pointerdown', (event) => {
    if (event.pointerType === 'touch') return;
    drag = share(svg, event);
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener('pointerup', (event) => {
    const end = share(svg, event);
    if (drag !== null && Math.abs(drag - end) > 0.02) zoom(drag, end);
    drag = null;
    svg.querySelector('.drag')?.remove();
  });
  svg.addEventListener('dblclick', () => {
    const wider = (to - from) / 2;
    from -= wider;
    to += wider;
    zoom(0, 1);
  });
  svg.addEventListener('pointerleave', () => drag === null && clear());
  svg.addEventListener('blur', clear);
  svg.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: -0.01, ArrowRight: 0.01 }[event.key];
    if (!step) return;
    event.preventDefault();
    x = Math.min(1, Math.max(0, x + step * (event.shiftKey ? 10 : 1)));
    look(chart, x, true);
  });
}

async function refresh() {
  if (document.hidden || drag !== null || document.querySelector('.readout, dialog[open]')) return;
  try {
    const answer = await fetch(location.href, { cache: 'no-store' });
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const fresh = page.getElementById('charts');
    if (!answer.ok || !fresh) return;
    [from, to] = [Number(fresh.dataset.from), Number(fresh.dataset.to)];
    known.clear();
    for (const chart of charts) {
      const drawn = page.getElementById(chart.id);
      const svg = chart.querySelector('.plot');
      if (!drawn || svg === document.activeElement) continue;
      svg.replaceChildren(...document.adoptNode(drawn.querySelector('.plot')).childNodes);
      chart.querySelector('.now').replaceWith(document.adoptNode(drawn.querySelector('.now')));
    }
  } catch {
    // The next turn asks again.
  }
}

charts.forEach(start);
if (box && 'open' in box.dataset) setInterval(refresh, Math.max(15_000, (to - from) * 1000 / 280));
