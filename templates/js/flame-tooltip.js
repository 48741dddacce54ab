// The box beside the pointer. Every word in it goes through textContent.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const AWAY = 14;
  const WORDS = {
    ofPhase: (share) => share + ' of this phase',
    allocations: (count) => format.counted(count, 'allocation', 'allocations'),
    smaller: (count) => format.counted(count, 'frame', 'frames') + ' too narrow to draw',
    zoomHint: 'Click the frame above to spread them out.',
    noPath: 'Of no single file',
    wholePhase: 'The whole phase',
  };

  function line(className, text) {
    const element = document.createElement('div');
    element.className = className;
    element.textContent = text;
    return element;
  }

  function figures(bytes, share, count) {
    const parts = [format.bytes(bytes), WORDS.ofPhase(format.percent(share))];
    if (count !== null) parts.push(WORDS.allocations(count));
    return line('tooltip-figures', parts.join(' · '));
  }

  function linesForNode(scene, frames, node) {
    const { tree } = scene;
    const frame = tree.frame[node];
    const share = tree.total > 0 ? tree.bytes[node] / tree.total : 0;
    const lines = [line('tooltip-function', scene.headOf(node))];
    if (frame < 0) {
      lines.push(line('tooltip-path', WORDS.wholePhase));
    } else {
      lines.push(line('tooltip-path', frames.path(frame) || WORDS.noPath));
      const source = frames.source(frame);
      if (source !== null) lines.push(line('tooltip-source', source.trim()));
    }
    lines.push(figures(tree.bytes[node], share, tree.count[node]));
    return lines;
  }

  function linesForSmaller(scene, run) {
    return [
      line('tooltip-function', WORDS.smaller(run.count)),
      figures(run.bytes, run.bytes / scene.tree.total, null),
      line('tooltip-path', WORDS.zoomHint),
    ];
  }

  function place(box, x, y) {
    const { width, height } = box.getBoundingClientRect();
    const left = x + AWAY + width > innerWidth ? x - AWAY - width : x + AWAY;
    const top = y + AWAY + height > innerHeight ? y - AWAY - height : y + AWAY;
    box.style.left = Math.max(4, left) + 'px';
    box.style.top = Math.max(4, top) + 'px';
  }

  function create(box, frames) {
    return {
      show(scene, hit, x, y) {
        const lines = 'node' in hit
          ? linesForNode(scene, frames, hit.node)
          : linesForSmaller(scene, hit.smaller);
        box.replaceChildren(...lines);
        box.hidden = false;
        place(box, x, y);
      },
      hide() {
        box.hidden = true;
      },
    };
  }

  memdeep.flameTooltip = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
