// The flame graph on its canvas: zoom, search marks, the keyboard. What it shows is given to it.
(function (memdeep) {
  'use strict';

  const { flameLayout: layout, format } = memdeep;
  const ZOOM_MS = 170;
  const TALLEST_OF_WINDOW = 0.7;
  const CRUMBS = 3;
  const STRONG = 0.66;


  function create(root, frames, tooltip, on) {
    const one = (name) => root.querySelector('[data-' + name + ']');
    const part = {
      crumbs: one('crumbs'), reset: one('reset'), scroll: one('scroll'), space: one('space'),
      canvas: one('canvas'), status: one('status'), keys: one('keys'),
    };
    const canvas = memdeep.flameCanvas.create(part.canvas);
    let title = '';
    let isDifference = false;
    let zoomed = layout.ROOT;
    let drawing = 0;
    let animation = 0;
    let match = -1;

    const scene = {
      tree: null, x0: 0, x1: 1, rows: 1, scrollTop: 0, flipped: false,
      hovered: -1, focused: -1, matches: null,
      kindOf(node) {
        if (node === layout.ROOT) return 'root';
        return isDifference ? directionOf(node) : frames.origin(scene.tree.frame[node]);
      },
      headOf: (node) => (node === layout.ROOT ? title : frames.functionName(scene.tree.frame[node])),
      tailOf(node) {
        if (node === layout.ROOT) return scene.bytesOf(node);
        const place = frames.location(scene.tree.frame[node]);
        return isDifference ? scene.bytesOf(node) + '  ' + place : place;
      },
      bytesOf(node) {
        const { tree } = scene;
        return isDifference ? format.signedBytes(tree.net[node]) : format.bytes(tree.bytes[node]);
      },
    };

    // The sign is in the label too: colour alone does not reach everybody.
    function directionOf(node) {
      const ratio = scene.tree.net[node] / scene.tree.bytes[node];
      if (Math.abs(ratio) < 0.05) return 'even';
      return (ratio > 0 ? 'grew-' : 'shrank-') + (Math.abs(ratio) > STRONG ? 2 : 1);
    }

    function redraw() {
      if (drawing) return;
      drawing = requestAnimationFrame(() => {
        drawing = 0;
        canvas.draw(scene);
      });
    }

    // One row more than can be seen holds the marks of what is too narrow to see.
    function rowsWorthDrawing() {
      const narrowest = (memdeep.flameCanvas.SMALLEST / part.space.clientWidth) * scene.tree.width[zoomed];
      const { deepest, visible } = layout.depthsBelow(scene.tree, zoomed, narrowest);
      return Math.min(deepest, visible + 1) + 1;
    }

    function fitSize() {
      if (scene.tree === null || scene.tree.total === 0 || root.clientWidth === 0) return;
      scene.rows = rowsWorthDrawing();
      const whole = scene.rows * memdeep.flameCanvas.ROW;
      const shown = Math.min(whole, Math.max(240, Math.round(innerHeight * TALLEST_OF_WINDOW)));
      part.scroll.style.height = shown + 'px';
      part.space.style.height = whole + 'px';
      canvas.resize(part.space.clientWidth, shown);
      scene.scrollTop = part.scroll.scrollTop;
      redraw();
    }

    function describe(node) {
      const { tree } = scene;
      const share = format.percent(tree.total > 0 ? tree.bytes[node] / tree.total : 0);
      const place = node === layout.ROOT ? '' : frames.location(tree.frame[node]);
      return [scene.headOf(node), place, scene.bytesOf(node), share].filter(Boolean).join(' · ');
    }

    function framesOf(node) {
      return layout.pathTo(scene.tree, node).slice(1).map((place) => scene.tree.frame[place]);
    }

    function focus(node) {
      scene.focused = node;
      part.status.textContent = node < 0 ? '' : describe(node);
      if (node >= 0) scrollTo(node);
      redraw();
    }

    function scrollTo(node) {
      const top = canvas.boxOf(scene, node).top;
      const over = top + memdeep.flameCanvas.ROW - part.scroll.clientHeight;
      if (top < 0) part.scroll.scrollTop += top;
      else if (over > 0) part.scroll.scrollTop += over;
    }

    function glideTo(x0, x1) {
      cancelAnimationFrame(animation);
      const from = { x0: scene.x0, x1: scene.x1 };
      const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
      const began = performance.now();
      const step = (now) => {
        const t = still ? 1 : Math.min(1, Math.max(0, now - began) / ZOOM_MS);
        const eased = 1 - (1 - t) ** 3;
        scene.x0 = from.x0 + (x0 - from.x0) * eased;
        scene.x1 = from.x1 + (x1 - from.x1) * eased;
        canvas.draw(scene);
        if (t < 1) animation = requestAnimationFrame(step);
      };
      step(began);
    }

    function showZoom(node, glides) {
      zoomed = node;
      scene.hovered = -1;
      tooltip.hide();
      showCrumbs();
      fitSize();
      const [x0, x1] = [scene.tree.x[node], scene.tree.x[node] + scene.tree.width[node]];
      if (glides) glideTo(x0, x1);
      else Object.assign(scene, { x0, x1 });
    }

    function zoom(node) {
      if (node === zoomed) return;
      showZoom(node, true);
      on.zoom(framesOf(node));
    }

    function crumb(node) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = scene.headOf(node);
      button.title = describe(node);
      button.addEventListener('click', () => zoom(node));
      return button;
    }

    function showCrumbs() {
      const away = zoomed !== layout.ROOT;
      part.reset.hidden = part.crumbs.hidden = !away;
      part.keys.hidden = away;
      const path = layout.pathTo(scene.tree, zoomed);
      const cut = path.length > CRUMBS + 1;
      const items = (cut ? [path[0], ...path.slice(-CRUMBS)] : path).map(crumb);
      if (cut) items.splice(1, 0, Object.assign(document.createElement('span'), { textContent: '…' }));
      items.at(-1).setAttribute('aria-current', 'true');
      part.crumbs.replaceChildren(...items);
    }

    // Marks the frames for which `matches` says so; returns how many, and their bytes, each stack once.
    function mark(matches) {
      const found = matches === null ? null : layout.match(scene.tree, matches);
      scene.matches = found === null ? null : found.nodes;
      match = -1;
      redraw();
      return found;
    }

    function nextMatch(step) {
      if (scene.matches === null) return;
      const { size } = scene.tree;
      for (let tried = 1; tried <= size; tried += 1) {
        const node = (((match < 0 && step < 0 ? size : match) + step * tried) % size + size) % size;
        if (!scene.matches[node]) continue;
        match = node;
        showOnScreen(node);
        on.select(framesOf(node));
        return;
      }
    }

    // The place whose frames are `path`, or as far as it is there.
    function placeOf(path) {
      const { tree } = scene;
      let node = layout.ROOT;
      for (const frame of path) {
        const first = tree.firstChild[node];
        const kids = Array.from({ length: tree.childCount[node] }, (_, k) => first + k);
        const next = kids.find((kid) => tree.frame[kid] === frame);
        if (next === undefined) return node;
        node = next;
      }
      return node;
    }

    function show(tree, options) {
      ({ title, isDifference } = options);
      scene.tree = tree;
      scene.flipped = options.flip;
      scene.matches = null;
      part.canvas.setAttribute('aria-label', options.label);
      focus(-1);
      showZoom(placeOf(options.frames), false);
      part.scroll.scrollTop = scene.flipped ? part.scroll.scrollHeight : 0;
      redraw();
    }

    function sibling(node, step) {
      const next = node + step;
      const { tree } = scene;
      return next > 0 && next < tree.size && tree.depth[next] === tree.depth[node] ? next : node;
    }

    function walk(key, node) {
      const { tree } = scene;
      const down = scene.flipped ? 'ArrowUp' : 'ArrowDown';
      const up = scene.flipped ? 'ArrowDown' : 'ArrowUp';
      if (key === down) return tree.childCount[node] > 0 ? tree.firstChild[node] : node;
      if (key === up) return Math.max(layout.ROOT, tree.parent[node]);
      if (key === 'ArrowLeft') return sibling(node, -1);
      if (key === 'ArrowRight') return sibling(node, 1);
      return -1;
    }

    function showOnScreen(node) {
      const { tree } = scene;
      const outside = tree.x[node] + tree.width[node] <= scene.x0 || tree.x[node] >= scene.x1;
      if (outside || tree.depth[node] < tree.depth[zoomed]) zoom(node);
      focus(node);
    }

    function onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const at = scene.focused < 0 ? zoomed : scene.focused;
      const next = scene.focused < 0 && event.key.startsWith('Arrow') ? zoomed : walk(event.key, at);
      if (next >= 0) {
        showOnScreen(next);
        on.select(framesOf(next));
      } else if (event.key === 'Enter' || event.key === ' ') zoom(at);
      else if (event.key === 'Home') zoom(layout.ROOT);
      else if (event.key === 'Escape') back();
      else if (event.key === 'n' || event.key === 'N') nextMatch(event.key === 'n' ? 1 : -1);
      else return;
      event.preventDefault();
      event.stopPropagation();
    }

    function back() {
      if (zoomed !== layout.ROOT) on.back();
    }

    function onPointer(event) {
      const hit = canvas.hit(scene, event.offsetX, event.offsetY);
      const hovered = hit !== null && 'node' in hit ? hit.node : -1;
      if (hovered !== scene.hovered) {
        scene.hovered = hovered;
        redraw();
      }
      part.canvas.style.cursor = hovered >= 0 ? 'pointer' : 'default';
      if (hit === null) tooltip.hide();
      else tooltip.show(scene, hit, event.clientX, event.clientY);
    }

    function leave() {
      scene.hovered = -1;
      tooltip.hide();
      redraw();
    }

    function onClick(event) {
      const hit = canvas.hit(scene, event.offsetX, event.offsetY);
      if (hit === null || !('node' in hit)) return;
      zoom(hit.node);
      focus(hit.node);
      on.select(framesOf(hit.node));
    }

    // Sideways wheel or shift + wheel moves the view over the row; the page keeps the other axis.
    function onWheel(event) {
      const by = event.deltaX || (event.shiftKey ? event.deltaY : 0);
      const span = scene.x1 - scene.x0;
      if (by === 0 || span >= 1) return;
      const x0 = Math.min(1 - span, Math.max(0, scene.x0 + (by / part.space.clientWidth) * span));
      Object.assign(scene, { x0, x1: x0 + span });
      event.preventDefault();
      redraw();
    }

    part.reset.addEventListener('click', () => zoom(layout.ROOT));
    part.scroll.addEventListener('scroll', () => { scene.scrollTop = part.scroll.scrollTop; redraw(); });
    part.canvas.addEventListener('pointermove', onPointer);
    part.canvas.addEventListener('pointerleave', leave);
    part.canvas.addEventListener('click', onClick);
    part.canvas.addEventListener('keydown', onKey);
    part.canvas.addEventListener('wheel', onWheel, { passive: false });
    new ResizeObserver(fitSize).observe(root);

    return {
      show, mark, nextMatch, back,
      zoomTo(path) {
        const node = placeOf(path);
        if (node !== zoomed) showZoom(node, true);
      },
      // At once, not in the next frame: a page about to be printed has no next frame.
      refreshColours() {
        canvas.refreshColours();
        if (scene.tree !== null && scene.tree.total > 0) canvas.draw(scene);
      },
      // For measuring: one whole frame, now.
      drawAt(x0, x1) {
        Object.assign(scene, { x0, x1 });
        canvas.draw(scene);
      },
    };
  }

  memdeep.flameView = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
