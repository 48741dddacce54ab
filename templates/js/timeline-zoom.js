// The part of the run that the timeline shows: by wheel, pinch and keys. The picture is moved as it
// is; what lies over it is placed anew.
(function (memdeep) {
  'use strict';

  const WHEEL_ZOOM = 0.0022;
  const KEY_ZOOM = 2;
  const NARROWEST = 1 / 2000; // of the run
  const MOST_TICKS = 10;
  const MINUTES = [60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];

  const { element } = memdeep.elements;

  // A part of the run of `span` seconds, within it. Pure.
  function within(from, span, end) {
    const size = Math.min(end, Math.max(end * NARROWEST, span));
    const start = Math.min(end - size, Math.max(0, from));
    return { from: start, to: start + size };
  }

  // The same, `factor` times as long, with `time` where it was. Pure.
  function scaled({ from, to }, factor, time, end) {
    const size = Math.min(end, Math.max(end * NARROWEST, (to - from) * factor));
    return within(time - size * ((time - from) / (to - from)), size, end);
  }

  // Round times, at most about ten. Pure.
  function ticksOf({ from, to }) {
    const span = to - from;
    const power = 10 ** Math.floor(Math.log10(span / MOST_TICKS));
    const steps = span > 300 ? MINUTES : [1, 2, 5, 10].map((step) => step * power);
    const step = steps.find((one) => span / one <= MOST_TICKS) ?? span / MOST_TICKS;
    const ticks = [];
    for (let number = Math.ceil(from / step); number * step <= to; number += 1) ticks.push(number * step);
    return ticks;
  }

  const label = (time) => (time >= 60 && Number.isInteger(time) ? memdeep.format.seconds(time) : Number(time.toPrecision(6)) + ' s');

  // `onChange` is called where another part is shown.
  function create(root, reader, end, onChange) {
    const svg = root.querySelector('svg');
    const axis = root.querySelector('.axis-x');
    const whole = { from: 0, to: end };
    const ticks = [...axis.children];
    const placed = [...root.querySelectorAll('.timeline-body [style*="--x"]')].map((one) => ({
      one, x: Number(one.style.getPropertyValue('--x')), width: Number(one.style.getPropertyValue('--width')),
    }));
    const fingers = new Map();
    let pinch = null; // { view, time between the fingers, their distance }
    let view = whole;
    let drawing = 0;

    const isZoomed = () => view.to - view.from < end;
    const shareOf = (time) => (time - view.from) / (view.to - view.from);
    const timeOf = (share) => view.from + share * (view.to - view.from);
    const shareAt = (x) => {
      const { left, width } = reader.getBoundingClientRect();
      return Math.min(1, Math.max(0, (x - left) / width));
    };

    function draw() {
      drawing = 0;
      const scale = end / (view.to - view.from);
      const x0 = (100 * view.from) / end;
      svg.setAttribute('viewBox', `${x0} 0 ${100 / scale} 100`);
      for (const { one, x, width } of placed) {
        const [left, right] = [(x - x0) * scale, (x + width - x0) * scale];
        const start = width > 0 ? Math.max(0, left) : left;
        one.style.setProperty('--x', start);
        if (width > 0) one.style.setProperty('--width', Math.min(100, right) - start);
        one.classList.toggle('is-away', right < 0 || left > 100);
      }
      axis.replaceChildren(...(isZoomed() ? ticksOf(view).map((time) => {
        const tick = element('span', '', label(time));
        tick.style.setProperty('--x', 100 * shareOf(time));
        return tick;
      }) : ticks));
      onChange();
    }

    function look(next) {
      if (next.from === view.from && next.to === view.to) return;
      view = next;
      drawing ||= requestAnimationFrame(draw);
    }

    const zoom = (factor, time) => look(scaled(view, factor, time, end));
    const reset = () => look(whole);

    // The page keeps the wheel for itself without Ctrl or ⌘.
    function onWheel(event) {
      const sideways = event.deltaX || (event.shiftKey ? event.deltaY : 0);
      if (event.ctrlKey || event.metaKey) zoom(Math.exp(event.deltaY * WHEEL_ZOOM), timeOf(shareAt(event.clientX)));
      else if (sideways !== 0 && isZoomed()) {
        const span = view.to - view.from;
        look(within(view.from + (sideways / reader.clientWidth) * span, span, end));
      } else return;
      event.preventDefault();
    }

    const apart = () => {
      const [a, b] = [...fingers.values()];
      return { middle: (a + b) / 2, distance: Math.max(1, Math.abs(a - b)) };
    };

    function onDown(event) {
      if (event.pointerType !== 'touch') return;
      fingers.set(event.pointerId, event.clientX);
      if (fingers.size !== 2) return;
      const { middle, distance } = apart();
      pinch = { view, time: timeOf(shareAt(middle)), distance };
    }

    function onMove(event) {
      if (!fingers.has(event.pointerId)) return;
      fingers.set(event.pointerId, event.clientX);
      if (pinch === null || fingers.size !== 2) return;
      const { middle, distance } = apart();
      const next = scaled(pinch.view, pinch.distance / distance, pinch.time, end);
      const span = next.to - next.from;
      look(within(pinch.time - shareAt(middle) * span, span, end));
    }

    function onUp(event) {
      fingers.delete(event.pointerId);
      if (fingers.size === 0) pinch = null;
    }

    reader.parentElement.parentElement.addEventListener('wheel', onWheel, { passive: false });
    reader.addEventListener('dblclick', reset);
    reader.addEventListener('pointerdown', onDown);
    reader.addEventListener('pointermove', onMove);
    for (const name of ['pointerup', 'pointercancel']) addEventListener(name, onUp);

    return {
      shareOf, timeOf, shareAt, isZoomed, reset,
      isPinching: () => pinch !== null,
      span: () => view.to - view.from,
      // A key: + nearer, - farther, 0 all of it; tells if it was one.
      key(key, time) {
        const at = Math.min(view.to, Math.max(view.from, time));
        if (key === '+' || key === '=') zoom(1 / KEY_ZOOM, at);
        else if (key === '-') zoom(KEY_ZOOM, at);
        else if (key === '0') reset();
        else return false;
        return true;
      },
      // Moves to a time that is out of sight.
      reveal(time) {
        if (time < view.from || time > view.to) look(within(time - (view.to - view.from) / 2, view.to - view.from, end));
      },
    };
  }

  memdeep.timelineZoom = { create, within, scaled, ticksOf };
})(globalThis.memdeep = globalThis.memdeep || {});
