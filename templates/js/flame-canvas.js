// Draws a laid-out tree and tells what is under a point. Decides nothing.
(function (memdeep) {
  'use strict';

  const layout = memdeep.flameLayout;
  const ROW = 21;
  const GAP = 1;
  const PADDING = 5;
  const SMALLEST = 0.5;
  const DIMMED = { fill: 0.35, ink: 0.7 };
  const LABEL_FROM = 26;
  const SMALLER_LABEL_FROM = 84;
  const FONT = '12px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace';
  const COLOURS = [
    'user', 'library', 'stdlib', 'native', 'memdeep', 'root', 'match', 'small', 'line',
    'user-ink', 'library-ink', 'stdlib-ink', 'native-ink', 'memdeep-ink', 'root-ink', 'match-ink',
    'thread', 'thread-ink', 'grew-2', 'grew-1', 'even', 'shrank-1', 'shrank-2',
    'grew-2-ink', 'grew-1-ink', 'even-ink', 'shrank-1-ink', 'shrank-2-ink',
  ];

  // Custom properties keep light-dark() unresolved; only a real colour property resolves it.
  function readColours(canvas) {
    const probe = document.createElement('span');
    canvas.parentElement.append(probe);
    const colours = {};
    for (const name of COLOURS) {
      probe.style.color = 'var(--flame-' + name + ')';
      colours[name] = getComputedStyle(probe).color;
    }
    probe.remove();
    return colours;
  }

  // Widths are summed per character, so that a label is cut without measuring each attempt.
  function textMeasure(context) {
    const widths = new Map();
    const widthOf = (character) => {
      let width = widths.get(character);
      if (width === undefined) {
        width = context.measureText(character).width;
        widths.set(character, width);
      }
      return width;
    };
    return function fit(text, room) {
      const ellipsis = widthOf('…');
      let width = 0;
      let end = 0;
      let fitting = 0;
      for (const character of text) {
        width += widthOf(character);
        end += character.length;
        if (width + ellipsis <= room) fitting = end;
        if (width > room) return { text: fitting ? text.slice(0, fitting) + '…' : '', width: room };
      }
      return { text, width };
    };
  }

  function create(canvas) {
    const context = canvas.getContext('2d');
    let fit = null;
    let colours = readColours(canvas);
    let size = { width: 0, height: 0 };
    let smallRuns = [];

    function resize(width, height) {
      const ratio = globalThis.devicePixelRatio || 1;
      size = { width, height };
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = width + 'px';
      canvas.style.height = height + 'px';
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.font = FONT;
      context.textBaseline = 'middle';
      fit = textMeasure(context);
    }

    function topOf(scene, depth) {
      const row = scene.flipped ? scene.rows - 1 - depth : depth;
      return row * ROW - scene.scrollTop;
    }

    function depthAt(scene, y) {
      const row = Math.floor((y + scene.scrollTop) / ROW);
      return scene.flipped ? scene.rows - 1 - row : row;
    }

    function boxOf(scene, node) {
      const scale = size.width / (scene.x1 - scene.x0);
      const left = Math.max(0, (scene.tree.x[node] - scene.x0) * scale);
      const right = Math.min(size.width, (scene.tree.x[node] + scene.tree.width[node] - scene.x0) * scale);
      return { left, width: right - left, top: topOf(scene, scene.tree.depth[node]) };
    }

    function drawLabel(box, head, tail, ink) {
      if (box.width < LABEL_FROM) return;
      const room = box.width - 2 * PADDING;
      const middle = box.top + ROW / 2;
      const first = fit(head, room);
      context.fillStyle = ink;
      context.fillText(first.text, box.left + PADDING, middle);
      const second = fit('  ' + tail, room - first.width);
      if (first.text !== head || second.text === '') return;
      const alpha = context.globalAlpha;
      context.globalAlpha = alpha * 0.78;
      context.fillText(second.text, box.left + PADDING + first.width, middle);
      context.globalAlpha = alpha;
    }

    function drawNode(scene, node, box) {
      const matched = scene.matches !== null && scene.matches[node] === 1;
      const dimmed = scene.matches !== null && !matched;
      const kind = matched ? 'match' : scene.kindOf(node);
      context.globalAlpha = dimmed ? DIMMED.fill : 1;
      context.fillStyle = colours[kind];
      context.fillRect(box.left, box.top, Math.max(SMALLEST, box.width - GAP), ROW - GAP);
      const ink = dimmed ? colours.line : colours[kind + '-ink'];
      context.globalAlpha = dimmed ? DIMMED.ink : 1;
      drawLabel(box, scene.headOf(node), scene.tailOf(node), ink);
      context.globalAlpha = 1;
    }

    function drawSmallRun(run) {
      context.globalAlpha = 1;
      context.fillStyle = colours.small;
      context.fillRect(run.left, run.top + ROW / 4, Math.max(1, run.right - run.left - GAP), ROW / 2);
      if (run.right - run.left < SMALLER_LABEL_FROM) return;
      const box = { left: run.left, width: run.right - run.left, top: run.top };
      drawLabel(box, memdeep.words.say('flame.smaller', { n: run.count }), '', colours['stdlib-ink']);
    }

    // Frames too narrow to see are drawn together as one muted mark. They are skipped by a search,
    // not one by one: there may be a hundred thousand of them.
    function drawRow(scene, depth) {
      const { tree } = scene;
      const end = tree.rowStart[depth + 1];
      const narrow = (SMALLEST / size.width) * (scene.x1 - scene.x0);
      let run = null;
      let node = layout.firstEndingAfter(tree, depth, scene.x0);
      while (node < end && tree.x[node] < scene.x1) {
        const box = boxOf(scene, node);
        if (box.width >= SMALLEST) {
          drawNode(scene, node, box);
          node += 1;
          continue;
        }
        const next = Math.max(node + 1, layout.firstEndingAfter(tree, depth, tree.x[node] + narrow));
        const right = Math.max(box.left + box.width, boxOf(scene, next - 1).left);
        if (run !== null && box.left - run.right < SMALLEST) {
          run.right = right;
          run.count += next - node;
        } else {
          run = { left: box.left, right, top: box.top, depth, first: node, count: next - node };
          smallRuns.push(run);
        }
        node = next;
      }
    }

    function outline(scene, node, width) {
      const box = boxOf(scene, node);
      if (box.width <= 0) return;
      context.strokeStyle = colours.line;
      context.lineWidth = width;
      const inset = width / 2;
      context.strokeRect(box.left + inset, box.top + inset, Math.max(1, box.width - GAP - width), ROW - GAP - width);
    }

    function draw(scene) {
      context.clearRect(0, 0, size.width, size.height);
      smallRuns = [];
      for (let depth = 0; depth < layout.rowCount(scene.tree); depth += 1) {
        const top = topOf(scene, depth);
        if (top + ROW > 0 && top < size.height) drawRow(scene, depth);
      }
      smallRuns.forEach(drawSmallRun);
      if (scene.hovered >= 0) outline(scene, scene.hovered, 1);
      if (scene.focused >= 0) outline(scene, scene.focused, 2);
    }

    // { node } for a frame, { smaller } for a mark of frames too narrow to draw, or null.
    function hit(scene, x, y) {
      const depth = depthAt(scene, y);
      const at = scene.x0 + (x / size.width) * (scene.x1 - scene.x0);
      const node = layout.nodeAt(scene.tree, depth, at);
      if (node >= 0 && boxOf(scene, node).width >= SMALLEST) return { node };
      const smaller = smallRuns.find((run) => run.depth === depth && x >= run.left - 1 && x <= run.right + 1);
      return smaller ? { smaller } : null;
    }

    return {
      resize, draw, hit, boxOf,
      refreshColours: () => { colours = readColours(canvas); },
    };
  }

  memdeep.flameCanvas = { create, ROW, SMALLEST };
})(globalThis.memdeep = globalThis.memdeep || {});
