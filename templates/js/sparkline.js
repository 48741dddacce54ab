// Bytes alive over the run, as a small drawing with the scope shaded.
(function (memdeep) {
  'use strict';

  const SVG = 'http://www.w3.org/2000/svg';
  const [WIDTH, HEIGHT] = [100, 24];
  const MOST_POINTS = 300;

  function shape(name, attributes) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  // Places and heights between 0 and 1; of many neighbours the highest stays. Pure.
  function points(times, values, most = MOST_POINTS) {
    const end = times.at(-1) || 1;
    const high = Math.max(1, ...values);
    const size = Math.ceil(values.length / most);
    const found = [];
    for (let start = 0; start < values.length; start += size) {
      let place = start;
      for (let at = start; at < Math.min(start + size, values.length); at += 1) if (values[at] > values[place]) place = at;
      found.push([times[place] / end, values[place] / high]);
    }
    return found;
  }

  // The corners of a line that stays at each reading until the next one, up to the end; a slope
  // would tell of sizes nobody has read. Pure.
  function steps(found) {
    const corners = found.flatMap(([x, y], place) => (place === 0 ? [[x, y]] : [[x, found[place - 1][1]], [x, y]]));
    return corners.length === 0 ? [] : [...corners, [1, corners.at(-1)[1]]];
  }

  // `stretches` are checkpoints: [start, end, start, end ...]. Of many points at most `most` are drawn.
  function draw(times, values, stretches, label, most = MOST_POINTS) {
    const svg = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label });
    const at = (time) => (WIDTH * time) / (times.at(-1) || 1);
    let shade = ''; // one path: where repeats lie close together their shades do not add up
    for (let i = 0; i < stretches.length; i += 2) {
      const [x, end] = [at(times[stretches[i]]), at(times[stretches[i + 1]])];
      const width = Math.max(0.6, end - x);
      shade += `M${x} 0h${width}v${HEIGHT}h${-width}z`;
    }
    svg.append(shape('path', { d: shade }));
    const line = steps(points(times, values, most))
      .map(([x, y]) => (WIDTH * x).toFixed(2) + ',' + (HEIGHT - 0.5 - (HEIGHT - 1.5) * y).toFixed(2)).join(' ');
    svg.append(shape('polygon', { points: `0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}` }), shape('polyline', { points: line }));
    return svg;
  }

  memdeep.sparkline = { draw, points, steps };
})(globalThis.memdeep = globalThis.memdeep || {});
