// The flame graph on its canvas: zoom with a way back, pointer, keys, matches. What it shows is given.
(function (memdeep) {
  'use strict';

  const { flameLayout: layout, flameKeys: keys } = memdeep;
  const { ROOT } = layout;
  const { ROW } = memdeep.flameCanvas;
  const ZOOM_MS = 170;
  const TALLEST_OF_WINDOW = 0.62;
  const LOWEST_HEIGHT = 12 * ROW;
  const READABLE = 48; // pixels that a frame one is led to should have
  const SMALLEST_VIEW = 16; // bytes

  const say = (key, values) => memdeep.words.say(key, values);

  // `on` = { zoom(frames), select(frames) }, told of what the reader does here.
  function create(root, data, tooltip, on) {
    const one = (name) => root.querySelector('[data-' + name + ']');
    const part = { scroll: one('scroll'), space: one('space'), canvas: one('canvas'), status: one('status') };
    const canvas = memdeep.flameCanvas.create(part.canvas);
    const scene = memdeep.flameScene.create(data);
    const crumbs = memdeep.flameCrumbs.create(root, scene, (node) => zoom(node));
    const hideable = memdeep.flameTree.rolesOf(data.core, { native: 'hide', threads: false, imports: false, invert: false });
    let zoomed = ROOT;
    let target = { x0: 0, x1: 1 }; // where the view is, or glides to
    let trail = []; // the paths of what was zoomed to before
    let ordered = []; // matches, largest first
    let match = -1;
    let drawing = 0;
    let animation = 0;

    const framesOf = (node) => layout.framesOf(scene.tree, node);
    const nodeOf = (frames) => layout.nodeOf(scene.tree, frames, (frame) => hideable[frame] !== 0);
    const isShown = () => scene.tree !== null && scene.tree.width[ROOT] > 0;
    const rangeOf = (node) => ({ x0: scene.tree.start[node], x1: layout.endOf(scene.tree, node) });
    const isAt = ({ x0, x1 }) => x0 === target.x0 && x1 === target.x1;
    const announce = (text) => { part.status.textContent = text; };

    function redraw() {
      if (drawing || !isShown()) return;
      drawing = requestAnimationFrame(() => {
        drawing = 0;
        canvas.draw(scene);
      });
    }

    function fitSize(range = scene) {
      const width = part.space.clientWidth;
      if (!isShown() || width === 0) return;
      const tallest = Math.max(LOWEST_HEIGHT, Math.round(innerHeight * TALLEST_OF_WINDOW));
      scene.rows = canvas.rowsBetween(scene.tree, range, width);
      const shown = Math.min(scene.rows * ROW, tallest);
      canvas.resize(width, shown);
      root.style.setProperty('--flame-height', shown + 'px');
      root.style.setProperty('--flame-rows', scene.rows * ROW + 'px');
      scene.scrollTop = part.scroll.scrollTop;
      canvas.draw(scene);
    }

    function look(x0, x1) {
      target = { x0, x1 };
      Object.assign(scene, target);
      crumbs.show(zoomed, x0 > 0 || x1 < scene.tree.width[ROOT]);
    }

    function glideTo({ x0, x1 }) {
      cancelAnimationFrame(animation);
      target = { x0, x1 };
      const from = { x0: scene.x0, x1: scene.x1 };
      const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
      const began = performance.now();
      const step = (now) => {
        const t = isStill ? 1 : Math.min(1, Math.max(0, now - began) / ZOOM_MS);
        const eased = 1 - (1 - t) ** 3;
        scene.x0 = from.x0 + (x0 - from.x0) * eased;
        scene.x1 = from.x1 + (x1 - from.x1) * eased;
        canvas.draw(scene);
        if (t < 1) animation = requestAnimationFrame(step);
        else look(x0, x1);
      };
      step(began);
    }

    function show(node, glides) {
      zoomed = node;
      scene.hovered = -1;
      tooltip.hide();
      const range = rangeOf(node);
      fitSize(range);
      if (glides) glideTo(range);
      else look(range.x0, range.x1);
      crumbs.show(node, node !== ROOT);
      redraw();
    }

    // Zooms and remembers where from; the page's history hears of it as well.
    function zoom(node) {
      if (node === zoomed && isAt(rangeOf(node))) return;
      if (node !== zoomed) trail.push(framesOf(zoomed));
      show(node, true);
      on.zoom(framesOf(node));
    }

    function back() {
      if (!isAt(rangeOf(zoomed))) {
        show(zoomed, true);
        return;
      }
      if (zoomed === ROOT) return;
      const before = trail.length > 0 ? nodeOf(trail.pop()) : ROOT;
      show(before === zoomed ? ROOT : before, true);
      on.zoom(framesOf(zoomed));
    }

    function reset() {
      zoom(ROOT);
      trail = [];
    }

    function scrollTo(node) {
      const top = canvas.topOf(scene, node);
      const over = top + ROW - part.scroll.clientHeight;
      if (top < 0) part.scroll.scrollTop += top;
      else if (over > 0) part.scroll.scrollTop += over;
      scene.scrollTop = part.scroll.scrollTop;
    }

    function focus(node) {
      scene.focused = node;
      if (node >= 0) scrollTo(node);
      redraw();
    }

    function select(node) {
      focus(node);
      announce(scene.describe(node));
      on.select(framesOf(node));
    }

    // Zooms only where the node could not be seen or read, and then no further than needed.
    function lead(node) {
      const { tree } = scene;
      const wide = (from, to) => (tree.width[node] / (to - from)) * part.space.clientWidth;
      const isOutside = layout.endOf(tree, node) <= scene.x0 || tree.start[node] >= scene.x1;
      if (isOutside || tree.depth[node] < tree.depth[zoomed] || wide(scene.x0, scene.x1) < READABLE) {
        const path = layout.pathTo(tree, node);
        zoom(path.find((at) => wide(tree.start[at], layout.endOf(tree, at)) >= READABLE) ?? node);
      }
      select(node);
    }

    function nextMatch(step) {
      if (ordered.length === 0) return;
      match = match < 0 && step < 0 ? ordered.length - 1 : (match + step + ordered.length) % ordered.length;
      lead(ordered[match]);
      announce(say('flame.match', { place: match + 1, n: ordered.length }) + ' · ' + scene.describe(ordered[match]));
    }

    // Marks the nodes whose frames match (none if null) and tells what they are in all.
    function mark(frameMatches) {
      const found = frameMatches === null ? null : layout.match(scene.tree, frameMatches);
      scene.matches = found?.nodes ?? null;
      ordered = found === null ? [] : keys.inOrderOfSize(scene.tree, found.nodes);
      match = -1;
      redraw();
      return found;
    }

    function onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const at = scene.focused < 0 ? zoomed : scene.focused;
      const isArrow = event.key.startsWith('Arrow');
      if (isArrow) lead(scene.focused < 0 ? zoomed : keys.walk(scene.tree, at, event.key, scene.flipped));
      else if (event.key === 'Enter' || event.key === ' ') zoom(at);
      else if (event.key === 'Home') reset();
      else if (event.key === 'Escape') back();
      else return;
      if (!isArrow) announce(say('flame.zoomed', { name: scene.describe(zoomed) }));
      event.preventDefault();
      event.stopPropagation();
    }

    // Moves or widens the view, within the whole.
    function pan(x0, span) {
      const whole = scene.tree.width[ROOT];
      const size = Math.min(whole, Math.max(SMALLEST_VIEW, span));
      const start = Math.min(whole - size, Math.max(0, x0));
      cancelAnimationFrame(animation);
      look(start, start + size);
      redraw();
    }

    part.scroll.addEventListener('scroll', () => { scene.scrollTop = part.scroll.scrollTop; redraw(); });
    part.canvas.addEventListener('keydown', onKey);
    memdeep.flamePointer.wire(part.canvas, canvas, scene, tooltip, {
      choose(node) {
        zoom(node);
        select(node);
      },
      spread: glideTo,
      pan,
      redraw,
    });
    new ResizeObserver(() => fitSize()).observe(part.space);

    return {
      mark, nextMatch, back, reset, redraw: fitSize,
      // `options` = { title, label, flip, frames (zoomed to), selected (frames, or null) }.
      show(tree, options) {
        scene.show(tree, options);
        part.canvas.setAttribute('aria-label', options.label);
        announce('');
        if (!isShown()) return;
        show(nodeOf(options.frames), false);
        part.scroll.scrollTop = scene.flipped ? part.scroll.scrollHeight : 0;
        focus(options.selected === null ? -1 : nodeOf(options.selected));
      },
      zoomTo(frames) {
        if (!isShown()) return;
        const node = nodeOf(frames);
        if (node === zoomed) return;
        trail.push(framesOf(zoomed));
        show(node, true);
      },
      // At once, not in the next frame: a page about to be printed has no next frame.
      refreshColours() {
        canvas.refreshColours();
        if (isShown()) canvas.draw(scene);
      },
      // For measuring: one whole frame, now, of a part of the whole (0 to 1).
      drawAt(from, to) {
        const whole = scene.tree.width[ROOT];
        Object.assign(scene, { x0: from * whole, x1: to * whole });
        canvas.draw(scene);
      },
    };
  }

  memdeep.flameView = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
