// Read-out over the drawn timeline: what RSS and heap were at the pointer, and which phase.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const SVG = 'http://www.w3.org/2000/svg';
  const NEAR_MARK = 4;
  const LABEL_INSET = 5;
  const WORDS = { at: (seconds) => 'at ' + seconds };

  function svg(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  // The plot and the curve begin and end together, which ties x to time without a further field.
  function timeScale(line, curve) {
    if (line === null || curve.t.length < 2 || line.points.numberOfItems < 2) return null;
    const x0 = line.points.getItem(0).x;
    const x1 = line.points.getItem(line.points.numberOfItems - 1).x;
    const t0 = curve.t[0];
    const t1 = curve.t.at(-1);
    return x1 > x0 ? (x) => t0 + ((x - x0) / (x1 - x0)) * (t1 - t0) : null;
  }

  // The last reading at or before a time; null outside the curve.
  function readingAt({ t, b }, time) {
    if (t.length === 0 || time < t[0] || time > t.at(-1)) return null;
    let low = 0;
    let high = t.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (t[middle] <= time) low = middle;
      else high = middle - 1;
    }
    return b[low];
  }

  function nearestMark(marks, x) {
    let best = null;
    for (const mark of marks) {
      const away = Math.abs(Number(mark.getAttribute('x1')) - x);
      if (away <= NEAR_MARK && (best === null || away < best.away)) best = { mark, away };
    }
    return best === null ? null : best.mark.dataset.mark;
  }

  // A label cut in the middle of a word reads as another word; an ellipsis says it is cut.
  function shorten(label, room) {
    const length = label.getComputedTextLength();
    if (length <= room) return;
    const characters = [...label.textContent];
    const kept = Math.floor(characters.length * (room / length)) - 1;
    label.textContent = kept > 1 ? characters.slice(0, kept).join('') + '…' : '';
  }

  function create(root, curves) {
    const plot = root.querySelector('.timeline-plot');
    const area = Object.fromEntries(Object.entries(plot.dataset).map(([key, value]) => [key, Number(value)]));
    const rssLine = plot.querySelector('.rss-line');
    const heapLine = plot.querySelector('.heap-line');
    const toTime = timeScale(rssLine, curves.rss) || timeScale(heapLine, curves.heap);
    const marks = [...plot.querySelectorAll('[data-mark]')];
    const bands = [...plot.querySelectorAll('.band')];
    const shade = plot.querySelector('[data-shade]');
    const cursor = svg('line', { y1: area.plotY, y2: area.plotY + area.plotHeight, visibility: 'hidden' });
    plot.querySelector('[data-cursor]').append(cursor);

    function read(name, text) {
      const output = root.querySelector('[data-read="' + name + '"]');
      if (output !== null) output.textContent = text;
    }

    function xOf(event) {
      return new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse()).x;
    }

    function clear() {
      ['rss', 'heap', 'checkpoint', 'time'].forEach((name) => read(name, ''));
      cursor.setAttribute('visibility', 'hidden');
    }

    function onPointer(event) {
      const x = xOf(event);
      if (x < area.plotX || x > area.plotX + area.plotWidth) {
        clear();
        return;
      }
      const time = toTime === null ? null : toTime(x);
      cursor.setAttribute('x1', x);
      cursor.setAttribute('x2', x);
      cursor.setAttribute('visibility', 'visible');
      read('checkpoint', nearestMark(marks, x) || '');
      if (time === null) return;
      for (const name of ['rss', 'heap']) {
        const bytes = readingAt(curves[name], time);
        read(name, bytes === null ? '' : format.bytes(bytes));
      }
      read('time', WORDS.at(format.seconds(time)));
    }

    function select(index) {
      shade.replaceChildren();
      for (const band of bands) {
        const chosen = band.dataset.phase === String(index);
        band.classList.toggle('selected', chosen);
        if (!chosen) continue;
        shade.append(svg('rect', {
          x: band.dataset.x, width: band.dataset.width, y: area.plotY, height: area.plotHeight,
        }));
      }
    }

    for (const label of plot.querySelectorAll('.band text')) {
      shorten(label, Number(label.closest('.band').dataset.width) - 3 * LABEL_INSET);
    }
    plot.addEventListener('pointermove', onPointer);
    plot.addEventListener('pointerleave', clear);
    return { select };
  }

  memdeep.timeline = { create, readingAt };
})(globalThis.memdeep = globalThis.memdeep || {});
