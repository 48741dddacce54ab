// The flame graph of one phase: its controls, what they change, and the keyboard.
(function (memdeep) {
  'use strict';

  const { flameLayout: layout, format, payload: reading } = memdeep;
  const ZOOM_MS = 170;
  const TALLEST_OF_WINDOW = 0.7;
  const CRUMBS = 3;
  const FOLDED_WORTH_SAYING = 0.0005;
  const WORDS = {
    empty: {
      retained: 'This phase kept no allocation past its end.',
      peak: 'Nothing was alive at the peak of this phase.',
      freed: 'This phase freed nothing that was alive before it.',
    },
    notTraced: 'Allocations were not traced in all of this phase: only its RSS is known.',
    unknown: '–',
    notInPage: 'The stacks at this smaller peak are in report.json only.',
    graph: (name, metric) => 'Flame graph of ' + name + ', ' + metric,
    metric: { retained: 'retained', peak: 'at peak', freed: 'freed' },
    matched: (count, bytes, share) =>
      format.counted(count, 'frame', 'frames') + ' · ' + bytes + ' · ' + share,
    noMatch: 'No match',
    folded: (share) => share + ' of the bytes are shown in their callers, to keep this page small.',
  };

  function parts(root) {
    const one = (name) => root.querySelector('[data-' + name + ']');
    return {
      tabs: [...root.querySelectorAll('button[data-metric]')],
      search: one('search'), native: one('native'), flip: one('flip'),
      crumbs: one('crumbs'), matched: one('matched'), reset: one('reset'),
      scroll: one('scroll'), space: one('space'), canvas: one('canvas'),
      empty: one('empty'), status: one('status'), keys: one('keys'), folded: one('folded'),
    };
  }

  function create(root, recorded, tooltip, onMetric) {
    const { data, frames } = recorded;
    const part = parts(root);
    const canvas = memdeep.flameCanvas.create(part.canvas);
    let phase = data.phases[0];
    let metric = 'retained';
    let zoomed = layout.ROOT;
    let drawing = 0;
    let animation = 0;

    const scene = {
      tree: null, x0: 0, x1: 1, rows: 1, scrollTop: 0, flipped: false,
      hovered: -1, focused: -1, matches: null,
      kindOf: (node) => (node === layout.ROOT ? 'root' : frames.origin(scene.tree.frame[node])),
      headOf: (node) => (node === layout.ROOT ? phase.name : frames.functionName(scene.tree.frame[node])),
      tailOf: (node) => (node === layout.ROOT ? format.bytes(scene.tree.total) : frames.location(scene.tree.frame[node])),
    };

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
      if (scene.tree === null || root.clientWidth === 0) return;
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
      return [scene.headOf(node), node === layout.ROOT ? '' : scene.tailOf(node), format.bytes(tree.bytes[node]), share]
        .filter(Boolean).join(' · ');
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

    function zoom(node) {
      zoomed = node;
      scene.hovered = -1;
      tooltip.hide();
      showCrumbs();
      fitSize();
      glideTo(scene.tree.x[node], scene.tree.x[node] + scene.tree.width[node]);
    }

    function crumb(node) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = scene.headOf(node);
      button.title = describe(node);
      button.addEventListener('click', () => zoom(node));
      return button;
    }

    function leftOut() {
      const mark = document.createElement('span');
      mark.textContent = '…';
      return mark;
    }

    function showCrumbs() {
      const away = zoomed !== layout.ROOT;
      part.reset.hidden = part.crumbs.hidden = !away;
      part.keys.hidden = away;
      const path = layout.pathTo(scene.tree, zoomed);
      const cut = path.length > CRUMBS + 1;
      const shown = cut ? [path[0], ...path.slice(-CRUMBS)] : path;
      const items = shown.map(crumb);
      if (cut) items.splice(1, 0, leftOut());
      items.at(-1).setAttribute('aria-current', 'true');
      part.crumbs.replaceChildren(...items);
    }

    function showMatches() {
      const words = part.search.value.trim();
      if (words === '' || scene.tree.total === 0) {
        scene.matches = null;
        part.matched.textContent = '';
      } else {
        const found = layout.match(scene.tree, reading.matchingFrames(frames, words));
        scene.matches = found.nodes;
        part.matched.textContent = found.count === 0
          ? WORDS.noMatch
          : WORDS.matched(found.count, format.bytes(found.bytes), format.percent(found.bytes / scene.tree.total));
      }
      redraw();
    }

    function showTabs(totals) {
      for (const tab of part.tabs) {
        tab.setAttribute('aria-pressed', String(tab.dataset.metric === metric));
        const total = tab.dataset.metric === 'peak' ? phase.peakBytes : totals[tab.dataset.metric];
        tab.querySelector('[data-total]').textContent = phase.traced ? format.bytes(total) : WORDS.unknown;
      }
    }

    function whyEmpty() {
      if (!phase.traced) return WORDS.notTraced;
      return metric === 'peak' && phase.peak === null ? WORDS.notInPage : WORDS.empty[metric];
    }

    function rebuild() {
      scene.tree = layout.build(data, phase, metric, { native: part.native.checked ? 'show' : 'hide' });
      const nothing = scene.tree.total === 0;
      part.scroll.hidden = nothing;
      part.empty.hidden = !nothing;
      part.empty.textContent = whyEmpty();
      part.canvas.setAttribute('aria-label', WORDS.graph(phase.name, WORDS.metric[metric]));
      zoomed = layout.ROOT;
      Object.assign(scene, { x0: 0, x1: 1, hovered: -1 });
      focus(-1);
      showCrumbs();
      showMatches();
      fitSize();
      part.scroll.scrollTop = scene.flipped ? part.scroll.scrollHeight : 0;
    }

    // Without a wish: what the phase kept, or its peak if it kept nothing. Returns the choice.
    function show(index, wished) {
      phase = data.phases[index];
      const totals = layout.metricTotals(data, phase);
      metric = wished || (totals.retained > 0 ? 'retained' : 'peak');
      showTabs(totals);
      rebuild();
      return metric;
    }

    function find(words) {
      part.search.value = words;
      showMatches();
      root.scrollIntoView({ block: 'nearest' });
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
      return key === 'Home' ? layout.ROOT : -1;
    }

    function showOnScreen(node) {
      const { tree } = scene;
      const outside = tree.x[node] + tree.width[node] <= scene.x0 || tree.x[node] >= scene.x1;
      if (outside || (tree.depth[node] < tree.depth[zoomed])) zoom(node);
      focus(node);
    }

    function onKey(event) {
      const at = scene.focused < 0 ? zoomed : scene.focused;
      const next = scene.focused < 0 && event.key.startsWith('Arrow') ? zoomed : walk(event.key, at);
      if (next >= 0) showOnScreen(next);
      else if (event.key === 'Enter' || event.key === ' ') zoom(at);
      else if (event.key === 'Escape') zoom(layout.ROOT);
      else return;
      event.preventDefault();
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
      focus(hit.node);
      zoom(hit.node);
    }

    part.tabs.forEach((tab) => tab.addEventListener('click', () => onMetric(tab.dataset.metric)));
    part.search.addEventListener('input', showMatches);
    part.native.addEventListener('change', rebuild);
    part.flip.addEventListener('change', () => { scene.flipped = part.flip.checked; rebuild(); });
    part.reset.addEventListener('click', () => zoom(layout.ROOT));
    part.scroll.addEventListener('scroll', () => { scene.scrollTop = part.scroll.scrollTop; redraw(); });
    part.canvas.addEventListener('pointermove', onPointer);
    part.canvas.addEventListener('pointerleave', leave);
    part.canvas.addEventListener('click', onClick);
    part.canvas.addEventListener('keydown', onKey);
    root.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && event.target !== part.search && event.target !== part.canvas) zoom(layout.ROOT);
    });
    new ResizeObserver(fitSize).observe(root);
    part.folded.hidden = data.folded < FOLDED_WORTH_SAYING;
    part.folded.textContent = WORDS.folded(format.percent(data.folded));
    const hasNative = data.frames.origin.includes(reading.NATIVE);
    root.querySelectorAll('[data-has-native]').forEach((element) => { element.hidden = !hasNative; });

    // At once, not in the next frame: a page about to be printed has no next frame.
    function refreshColours() {
      canvas.refreshColours();
      if (scene.tree !== null) canvas.draw(scene);
    }

    return { root, show, find, refreshColours };
  }

  memdeep.flameView = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
