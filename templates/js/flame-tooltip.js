// The box beside the pointer. Every word in it goes through textContent.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const AWAY = 14;
  const EDGE = 4;
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
    const lines = [line('tooltip-function', scene.headOf(node))];
    if (frame < 0) {
      lines.push(line('tooltip-path', say('flame.whole')));
    } else {
      lines.push(line('tooltip-path', frames.path(frame) || say('flame.no_file')));
      const source = frames.source(frame);
      if (source !== null) {
        lines.push(line('tooltip-source', ''));
        memdeep.pythonColours.paint(lines.at(-1), source, frames.file(frame));
      }
    }
    if (frame >= 0) lines.push(...(frames.was?.(frame) ?? []).map((text, place) => line(place === 0 ? 'tooltip-path' : 'tooltip-source', text)));
    const sides = scene.sidesOf(tree, node);
    if (sides !== '') lines.push(line('tooltip-figures tooltip-sides', sides));
    lines.push(figures(scene.bytesOf(node), scene.shareOf(node), sides === '' ? tree.count[node] : null));
    const own = tree.own[node];
    if (own !== 0 && tree.childCount[node] > 0) {
      const bytes = tree.signed ? format.signedBytes(own) : format.bytes(own);
      lines.push(line('tooltip-figures', say('flame.own', { bytes })));
    }
    return lines;
  }

  function linesForSmaller({ tree }, { first, end, width }) {
    let net = 0;
    for (let node = first; node < end; node += 1) net += tree.net[node];
    const bytes = tree.signed ? format.signedBytes(net) : format.bytes(net);
    return [
      line('tooltip-function', say('flame.too_narrow', { n: end - first })),
      figures(bytes, width / tree.width[0], null),
      line('tooltip-path', say('flame.zoom_hint')),
    ];
  }

  function place(box, x, y) {
    const { width, height } = box.getBoundingClientRect();
    const left = x + AWAY + width > innerWidth ? x - AWAY - width : x + AWAY;
    const top = y + AWAY + height > innerHeight ? y - AWAY - height : y + AWAY;
    box.style.setProperty('--left', Math.max(EDGE, left) + 'px');
    box.style.setProperty('--top', Math.max(EDGE, top) + 'px');
  }

  function create(box, frames) {
    let shown = null;
    return {
      // `hit` is what flame-layout.js found under the pointer. The words change only with it.
      show(scene, hit, x, y) {
        const key = 'node' in hit ? hit.node : -1 - hit.smaller.first;
        if (key !== shown) {
          shown = key;
          box.replaceChildren(...('node' in hit
            ? linesForNode(scene, frames, hit.node)
            : linesForSmaller(scene, hit.smaller)));
        }
        box.hidden = false;
        place(box, x, y);
      },
      hide() {
        shown = null;
        box.hidden = true;
      },
    };
  }

  memdeep.flameTooltip = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
