// The drawn timeline made usable: values at the pointer, phases by click, any stretch by dragging.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const SVG = 'http://www.w3.org/2000/svg';
  const LABEL_INSET = 5;
  const DRAG_FROM = 5; // units of the drawing; less is a click
  const say = (key, values) => memdeep.words.say(key, values);

  function svg(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  // The last reading at or before a time; -1 before the first.
  function placeAt(times, time) {
    let low = -1;
    let high = times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= time) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  function nearest(times, time) {
    const place = Math.max(0, placeAt(times, time));
    const next = Math.min(times.length - 1, place + 1);
    return Math.abs(times[next] - time) < Math.abs(times[place] - time) ? next : place;
  }

  // A label cut in the middle of a word reads as another word; an ellipsis says it is cut.
  function shorten(label, room) {
    const length = label.getComputedTextLength();
    if (length <= room) return;
    const characters = [...label.textContent];
    const kept = Math.floor(characters.length * (room / length)) - 1;
    label.textContent = kept > 1 ? characters.slice(0, kept).join('') + '…' : '';
  }

  function create(root, core, store, chooseScope) {
    const plot = root.querySelector('.timeline-plot');
    const area = Object.fromEntries(Object.entries(plot.dataset).map(([key, value]) => [key, Number(value)]));
    const { checkpoints, curves } = core;
    const times = checkpoints.time;
    const bands = [...plot.querySelectorAll('.band')];
    const shade = plot.querySelector('[data-shade]');
    const cursor = svg('line', { y1: area.plotY, y2: area.plotY + area.plotHeight, visibility: 'hidden' });
    plot.querySelector('[data-cursor]').append(cursor);
    let drag = null;
    let stepped = 0; // the checkpoint the arrow keys stand on
    let anchor = null;

    const timeOf = (x) => ((x - area.plotX) / area.plotWidth) * area.endS;
    const xOf = (time) => area.plotX + Math.min(1, time / area.endS) * area.plotWidth;

    function read(name, text) {
      const output = root.querySelector('[data-read="' + name + '"]');
      if (output !== null) output.textContent = text;
    }

    function pointerX(event) {
      const x = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse()).x;
      return Math.min(area.plotX + area.plotWidth, Math.max(area.plotX, x));
    }

    function clear() {
      ['rss', 'anon', 'file', 'heap', 'checkpoint', 'time'].forEach((name) => read(name, ''));
      cursor.setAttribute('visibility', 'hidden');
    }

    function showReadings(time) {
      const rss = placeAt(curves.rss.t, time);
      const heap = placeAt(curves.heap.t, time);
      const file = rss < 0 ? null : curves.rss.f[rss];
      read('rss', rss < 0 ? '' : format.bytes(curves.rss.b[rss]));
      read('file', file === null ? '' : format.bytes(file));
      read('anon', file === null ? '' : format.bytes(curves.rss.b[rss] - file));
      read('heap', heap < 0 ? '' : format.bytes(curves.heap.b[heap]));
      read('time', format.seconds(time));
      cursor.setAttribute('x1', xOf(time));
      cursor.setAttribute('x2', xOf(time));
      cursor.setAttribute('visibility', 'visible');
    }

    function delta(from, to) {
      const change = (column) => (column[from] === null || column[to] === null ? null : column[to] - column[from]);
      return say('timeline.stretch', {
        from: checkpoints.label[from],
        to: checkpoints.label[to],
        rss: format.signedBytes(change(checkpoints.rss)),
        heap: format.signedBytes(change(checkpoints.heap)),
      });
    }

    function onMove(event) {
      const x = pointerX(event);
      showReadings(timeOf(x));
      if (drag === null) {
        read('checkpoint', checkpoints.label[nearest(times, timeOf(x))]);
        return;
      }
      drag.moved ||= Math.abs(x - drag.x) > DRAG_FROM;
      if (!drag.moved) return;
      const pair = [nearest(times, timeOf(drag.x)), nearest(times, timeOf(x))].sort((a, b) => a - b);
      drag.pair = pair;
      drawShade([pair]);
      read('checkpoint', pair[0] === pair[1] ? checkpoints.label[pair[0]] : delta(...pair));
    }

    function onDown(event) {
      if (event.button !== 0 || event.pointerType === 'touch') return;
      drag = { x: pointerX(event), moved: false, pair: null, band: event.target.closest('.band') };
      plot.setPointerCapture(event.pointerId);
    }

    function onUp(event) {
      if (drag === null) return;
      const { moved, pair, band } = drag;
      drag = null;
      if (moved && pair !== null && pair[0] < pair[1]) chooseScope({ kind: 'between', from: pair[0], to: pair[1] });
      else if (!moved && band !== null) choosePhase(band);
      else if (!moved) chooseAround(timeOf(pointerX(event)));
      else select(store.get());
    }

    function choosePhase(band) {
      chooseScope({ kind: 'phase', phase: Number(band.dataset.phase) });
    }

    // The innermost phase around a moment.
    function chooseAround(time) {
      let best = -1;
      core.phases.stretches.forEach((stretches, phase) => {
        for (let i = 0; i < stretches.length; i += 2) {
          const inside = times[stretches[i]] <= time && time <= times[stretches[i + 1]];
          if (inside && (best < 0 || core.phases.depth[phase] >= core.phases.depth[best])) best = phase;
        }
      });
      if (best >= 0) chooseScope({ kind: 'phase', phase: best });
    }

    function drawShade(pairs) {
      // One path: where repeats lie close together their shades do not add up.
      const outlines = pairs.map(([from, to]) => {
        const width = Math.max(1, xOf(times[to]) - xOf(times[from]));
        return `M${xOf(times[from])} ${area.plotY}h${width}v${area.plotHeight}h${-width}z`;
      });
      shade.replaceChildren(svg('path', { d: outlines.join('') }));
    }

    function select({ scope }) {
      const isPhase = scope.kind === 'phase';
      const stretches = memdeep.scope.stretchesOf(core, scope);
      const pairs = [];
      for (let i = 0; i < stretches.length; i += 2) pairs.push([stretches[i], stretches[i + 1]]);
      drawShade(pairs);
      for (const band of bands) {
        band.classList.toggle('selected', isPhase && band.dataset.phase === String(scope.phase));
      }
    }

    // Arrow keys step from checkpoint to checkpoint; with Shift they stretch the choice from there.
    function onKey(event) {
      const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
      if (event.key in steps) {
        if (event.shiftKey) anchor ??= stepped;
        else anchor = null;
        stepped = Math.min(times.length - 1, Math.max(0, stepped + steps[event.key]));
        showReadings(times[stepped]);
        const pair = anchor === null ? null : [anchor, stepped].sort((a, b) => a - b);
        read('checkpoint', pair === null || pair[0] === pair[1] ? checkpoints.label[stepped] : delta(...pair));
        if (pair !== null) drawShade([pair]);
      } else if (event.key === 'Enter') {
        const pair = anchor === null ? null : [anchor, stepped].sort((a, b) => a - b);
        if (pair !== null && pair[0] < pair[1]) chooseScope({ kind: 'between', from: pair[0], to: pair[1] });
        else chooseAround(times[stepped]);
      } else if (event.key === 'Escape') {
        anchor = null;
        clear();
        select(store.get());
      } else return;
      event.preventDefault();
    }

    function jumpToPeak() {
      const { t, b } = curves.heap.t.length > 0 ? curves.heap : curves.rss;
      const highest = b.indexOf(Math.max(...b));
      if (highest < 0) return;
      stepped = nearest(times, t[highest]);
      showReadings(t[highest]);
      read('checkpoint', say('timeline.peak'));
      chooseAround(t[highest]);
    }

    for (const label of plot.querySelectorAll('.band text')) {
      shorten(label, Number(label.closest('.band').dataset.width) - 3 * LABEL_INSET);
    }
    plot.addEventListener('pointermove', onMove);
    plot.addEventListener('pointerdown', onDown);
    plot.addEventListener('pointerup', onUp);
    plot.addEventListener('pointerleave', () => { if (drag === null) clear(); });
    plot.addEventListener('click', (event) => {
      const band = event.target.closest('.band');
      if (band === null) return;
      event.preventDefault();
      if (event.detail === 0 || event.pointerType === 'touch') choosePhase(band); // by key or finger
    });
    root.querySelector('[data-steps]').addEventListener('keydown', onKey);
    root.querySelector('[data-peak]').addEventListener('click', jumpToPeak);
    store.subscribe((state, changed) => { if (changed.has('scope')) select(state); });
    select(store.get());
  }

  memdeep.timeline = { create, placeAt, nearest };
})(globalThis.memdeep = globalThis.memdeep || {});
