// Draws what can be seen of a laid-out tree and tells what is under a point. Decides nothing.
(function (memdeep) {
  'use strict';

  const layout = memdeep.flameLayout;
  const ROW = 21;
  const GAP = 1;
  const PADDING = 5;
  const NARROWEST = 2; // narrower frames of one caller are drawn as one mark
  const DIMMED = { fill: 0.32, ink: 0.72 };
  const LABEL_FROM = 30;
  const FONT = '12px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace';
  const KINDS = [
    'user', 'library', 'stdlib', 'native', 'memdeep', 'thread', 'root', 'match',
    'grew-2', 'grew-1', 'even', 'shrank-1', 'shrank-2',
  ];
  const MATCH = KINDS.indexOf('match');

  // Custom properties keep light-dark() unresolved; only a real colour property resolves it.
  function readColours(canvas) {
    const probe = document.createElement('span');
    canvas.parentElement.append(probe);
    const colour = (name) => {
      probe.style.color = 'var(--flame-' + name + ')';
      return getComputedStyle(probe).color;
    };
    const colours = {
      fills: KINDS.map(colour),
      inks: KINDS.map((kind) => colour(kind + '-ink')),
      small: colour('small'), smallInk: colour('small-ink'), line: colour('line'),
    };
    probe.remove();
    return colours;
  }

  // The font is monospace, so one width tells how much of a text fits; only other scripts' characters
  // are measured one by one. Each answer is kept: in an animation most labels are asked for again.
  function textFitter(context) {
    const narrow = context.measureText('m').width;
    const widths = new Map();
    const isPlain = new Map();

    function widthOf(character) {
      if (character.length === 1 && character < '\u0300') return narrow;
      if (!widths.has(character)) widths.set(character, context.measureText(character).width);
      return widths.get(character);
    }

    function plain(text) {
      if (!isPlain.has(text)) isPlain.set(text, /^[\x20-\u02ff]*$/.test(text));
      return isPlain.get(text);
    }

    function fullWidth(text) {
      if (plain(text)) return text.length * narrow;
      let width = 0;
      for (const character of text) width += widthOf(character);
      return width;
    }

    function cut(text, room) {
      if (plain(text)) {
        const fitting = Math.floor(room / narrow) - 1;
        return fitting < 1 ? '' : text.slice(0, fitting) + '…';
      }
      let width = narrow;
      let end = 0;
      for (const character of text) {
        width += widthOf(character);
        if (width > room) break;
        end += character.length;
      }
      return end === 0 ? '' : text.slice(0, end) + '…';
    }

    return { fullWidth, cut };
  }

  function create(canvas) {
    const context = canvas.getContext('2d');
    const sweep = layout.createSweep();
    let text = null;
    let colours = readColours(canvas);
    let size = { width: 0, height: 0, ratio: 1 };
    let scene = null; // the one being drawn
    let scale = 1; // pixels a byte

    // The size in CSS pixels; the style sheet makes the element that large.
    function resize(width, height) {
      const ratio = globalThis.devicePixelRatio || 1;
      if (size.width === width && size.height === height && size.ratio === ratio) return;
      size = { width, height, ratio };
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.font = FONT;
      context.textBaseline = 'middle';
      text = textFitter(context);
    }

    const rowOf = (depth) => (scene.flipped ? scene.rows - 1 - depth : depth);
    const topOf = (depth) => rowOf(depth) * ROW - scene.scrollTop;
    const leftOf = (start) => Math.max(0, (start - scene.x0) * scale);
    const rightOf = (end) => Math.min(size.width, (end - scene.x0) * scale);
    const isOnScreen = (top) => top + ROW > 0 && top < size.height;

    function look(at) {
      scene = at;
      scale = size.width / (scene.x1 - scene.x0);
    }

    function label(head, tail, left, room, middle, ink, alpha) {
      const width = text.fullWidth(head);
      context.globalAlpha = alpha;
      context.fillStyle = ink;
      if (width > room) {
        context.fillText(text.cut(head, room), left, middle);
        return;
      }
      context.fillText(head, left, middle);
      const rest = room - width - 2 * PADDING;
      if (tail === '' || rest < LABEL_FROM) return;
      context.globalAlpha = alpha * 0.8;
      const shown = text.fullWidth(tail) > rest ? text.cut(tail, rest) : tail;
      context.fillText(shown, left + width + 2 * PADDING, middle);
    }

    function drawNode(node) {
      const { tree, matches } = scene;
      const top = topOf(tree.depth[node]);
      if (!isOnScreen(top)) return;
      const left = leftOf(tree.start[node]);
      const width = rightOf(tree.start[node] + tree.width[node]) - left;
      const isMatch = matches !== null && matches[node] === 1;
      const isDimmed = matches !== null && !isMatch;
      const kind = isMatch ? MATCH : scene.kinds[node];
      context.globalAlpha = isDimmed ? DIMMED.fill : 1;
      context.fillStyle = colours.fills[kind];
      context.fillRect(left, top, Math.max(1, width - GAP), ROW - GAP);
      if (width < LABEL_FROM) return;
      const ink = isDimmed ? colours.line : colours.inks[kind];
      label(scene.headOf(node), scene.tailOf(node), left + PADDING, width - 2 * PADDING, top + ROW / 2, ink, isDimmed ? DIMMED.ink : 1);
    }

    function drawSmaller(parent, first, end) {
      const { tree } = scene;
      const top = topOf(tree.depth[first]);
      if (!isOnScreen(top)) return;
      const left = leftOf(tree.start[first]);
      const width = rightOf(tree.start[end - 1] + tree.width[end - 1]) - left;
      if (width <= 0) return;
      context.globalAlpha = scene.matches === null ? 1 : DIMMED.fill;
      context.fillStyle = colours.small;
      context.fillRect(left, top + 4, Math.max(1, width - GAP), ROW - GAP - 8);
      if (width < 2 * LABEL_FROM) return;
      label(scene.smallerText(end - first), '', left + PADDING, width - 2 * PADDING, top + ROW / 2, colours.smallInk, 1);
    }

    function outline(node, width) {
      const { tree } = scene;
      const left = leftOf(tree.start[node]);
      const right = Math.max(left + NARROWEST, rightOf(tree.start[node] + tree.width[node]));
      if (left >= size.width || right <= 0) return;
      context.globalAlpha = 1;
      context.strokeStyle = colours.line;
      context.lineWidth = width;
      const inset = width / 2;
      context.strokeRect(left + inset, topOf(tree.depth[node]) + inset, Math.max(1, right - left - GAP - width), ROW - GAP - width);
    }

    const narrowestOf = ({ x0, x1 }, width = size.width) => (NARROWEST * (x1 - x0)) / width;
    const viewOf = ({ x0, x1 }, width) => ({ x0, x1, narrowest: narrowestOf({ x0, x1 }, width) });

    function draw(at) {
      look(at);
      context.clearRect(0, 0, size.width, size.height);
      sweep(scene.tree, viewOf(scene), drawNode, drawSmaller);
      if (scene.hovered >= 0) outline(scene.hovered, 1);
      if (scene.focused >= 0) outline(scene.focused, 2);
    }

    const ignore = () => {};

    return {
      resize,
      draw,
      // { node }, { smaller } for frames too narrow to draw, or null.
      hit(at, x, y) {
        look(at);
        const row = Math.floor((y + scene.scrollTop) / ROW);
        const depth = scene.flipped ? scene.rows - 1 - row : row;
        return layout.hit(scene.tree, depth, scene.x0 + x / scale, narrowestOf(scene));
      },
      // How many rows there are to see in a range, on a canvas of this width.
      rowsBetween: (tree, range, width) => sweep(tree, viewOf(range, width), ignore, ignore),
      topOf(at, node) {
        look(at);
        return topOf(scene.tree.depth[node]);
      },
      refreshColours() { colours = readColours(canvas); },
    };
  }

  memdeep.flameCanvas = { create, ROW, KINDS };
})(globalThis.memdeep = globalThis.memdeep || {});
