// The box beside the pointer. Every word in it goes through textContent.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const AWAY = 14;
  const say = (key, values) => memdeep.words.say(key, values);

  function line(className, text) {
    const element = document.createElement('div');
    element.className = className;
    element.textContent = text;
    return element;
  }

  function figures(bytes, share, count) {
    const parts = [bytes, say('flame.of_all', { share_share: share })];
    if (count !== null) parts.push(say('count.allocation', { n: Math.abs(count) }));
    return line('tooltip-figures', parts.join(' · '));
  }

  function linesForNode(scene, frames, node) {
    const { tree } = scene;
    const frame = tree.frame[node];
    const share = tree.total > 0 ? tree.bytes[node] / tree.total : 0;
    const lines = [line('tooltip-function', scene.headOf(node))];
    if (frame < 0) {
      lines.push(line('tooltip-path', say('flame.whole')));
    } else {
      lines.push(line('tooltip-path', frames.path(frame) || say('flame.no_file')));
      const source = frames.source(frame);
      if (source !== null) lines.push(line('tooltip-source', source));
    }
    lines.push(figures(scene.bytesOf(node), share, tree.count[node]));
    return lines;
  }

  function linesForSmaller(scene, run) {
    const bytes = scene.tree.bytes.subarray(run.first, run.first + run.count).reduce((a, b) => a + b, 0);
    return [
      line('tooltip-function', say('flame.too_narrow', { n: run.count })),
      figures(format.bytes(bytes), bytes / scene.tree.total, null),
      line('tooltip-path', say('flame.zoom_hint')),
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
