// Draws the heap and what is resident over the whole run. The points are pure, the drawing is dumb.
(function (memdeep) {
  'use strict';

  const SVG = 'http://www.w3.org/2000/svg';
  const [WIDTH, HEIGHT] = [1000, 160];
  const LIMIT_SHARE = 0.5; // of a limit: above it, the limit is drawn too

  const known = (value) => value !== null && value !== undefined;

  // The highest value to draw; pure.
  function top(curves, limit) {
    const high = Math.max(1, ...curves.flatMap((curve) => curve.values.filter(known)));
    return known(limit) && high >= LIMIT_SHARE * limit ? Math.max(high, limit) : high;
  }

  // A path of steps; where nothing is known it is broken. Pure.
  function path(curve, end, high) {
    const x = (place) => Math.min(WIDTH, (WIDTH * place * curve.period_ms) / Math.max(1, end)).toFixed(1);
    const y = (value) => (HEIGHT - ((HEIGHT - 4) * value) / high).toFixed(1);
    let drawn = '';
    let isDown = false;
    curve.values.forEach((value, place) => {
      if (!known(value)) { isDown = false; return; }
      drawn += (isDown ? 'L' : 'M') + x(place) + ' ' + y(value) + 'L' + x(place + 1) + ' ' + y(value);
      isDown = true;
    });
    return drawn;
  }

  // The area beneath a path of steps; pure.
  function area(drawn) {
    return drawn.split('M').filter(Boolean).map((piece) => {
      const first = piece.split(' ')[0];
      const last = piece.split('L').at(-1).split(' ')[0];
      return 'M' + piece + 'L' + last + ' ' + HEIGHT + 'L' + first + ' ' + HEIGHT + 'z';
    }).join('');
  }

  function shape(className, d) {
    const made = document.createElementNS(SVG, 'path');
    made.setAttribute('class', className);
    made.setAttribute('d', d);
    return made;
  }

  // `end` is in milliseconds. Returns the highest value that is drawn.
  function draw(svg, live, end) {
    const limit = live.limit.limit_bytes;
    const high = top([live.heap_curve, live.resident_curve], limit);
    const heap = path(live.heap_curve, end, high);
    const shapes = [
      shape('curve-base', `M0 ${HEIGHT}H${WIDTH}`),
      shape('curve-heap-area', area(heap)),
      shape('curve-rss', path(live.resident_curve, end, high)),
      shape('curve-heap', heap),
    ];
    if (known(limit) && limit <= high) {
      const y = (HEIGHT - ((HEIGHT - 4) * limit) / high).toFixed(1);
      shapes.push(shape('curve-limit', `M0 ${y}H${WIDTH}`));
    }
    svg.replaceChildren(...shapes);
    return high;
  }

  memdeep.liveCurve = { draw, top, path, area };
})(globalThis.memdeep = globalThis.memdeep || {});
