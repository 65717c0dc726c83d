// Every host of a large fleet's map, on a canvas for each group in the place of its bar.

const PITCH = 8;
const MARGIN = 1;

/** Every host of a group on a canvas, in the place of its bar. */
export function paint(drawing, members, states) {
  const rows = Number(drawing.dataset.rows);
  const columns = Math.ceil(members.length / rows);
  const canvas = document.createElement('canvas');
  canvas.width = columns * PITCH + MARGIN;
  canvas.height = rows * PITCH + MARGIN;
  canvas.dataset.rows = rows;
  canvas.tabIndex = 0;
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', drawing.getAttribute('aria-label'));
  const probe = document.body.appendChild(document.createElement('i'));
  const colour = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
  const fills = states.map(([, short]) => colour(short === 'up' ? 'map-up' : short));
  const bands = [0, 1, 2, 3, 4].map((band) => colour(`band-${band}`));
  const [ground, none] = [colour('glyph'), colour('unk')];
  probe.remove();
  const isValue = !(document.querySelector('[data-map]').dataset.map ?? '').includes('colour=state');
  const pen = canvas.getContext('2d');
  members.forEach(([, code, , , band], i) => {
    const [x, y] = [Math.floor(i / rows) * PITCH + MARGIN, (i % rows) * PITCH + MARGIN];
    pen.fillStyle = isValue ? bands[band] ?? none : fills[code];
    shape(pen, isValue ? 7 : code, x, y, ground);
  });
  drawing.replaceWith(canvas);
}

/** The shapes of the server's cells: a state is never its colour alone. */
function shape(pen, code, x, y, ground) {
  if (code === 7) { pen.fillRect(x, y, 7, 7); return; }
  const points = { 1: [[3.5, -1], [8, 3.5], [3.5, 8], [-1, 3.5]], 2: [[3.5, -.5], [7.5, 7.5], [-.5, 7.5]] }[code];
  pen.beginPath();
  if (points) points.forEach(([px, py]) => pen.lineTo(x + px, y + py));
  else if (code === 0) pen.rect(x - .5, y - .5, 8, 8);
  else pen.arc(x + 3.5, y + 3.5, 3, 0, 7);
  pen.fill();
  if (code !== 0 && code !== 4) return;
  pen.strokeStyle = ground;
  pen.lineWidth = 1.5;
  pen.stroke(new Path2D(`M${x + 1.5} ${y + 1.5}l4 4m0-4l-4 4`));
}
