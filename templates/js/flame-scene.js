// What the canvas draws: a laid-out tree with the colour and the words of each frame, and the view.
(function (memdeep) {
  'use strict';

  const { flameLayout: layout, format } = memdeep;
  const kind = Object.fromEntries(memdeep.flameCanvas.KINDS.map((name, place) => [name, place]));
  const BY_ORIGIN = memdeep.payload.ORIGINS.map((origin) => kind[origin === 'tool' ? 'user' : origin]);
  const EVEN_BELOW = 0.05;
  const STRONG_FROM = 0.66;

  // How one-sided the change in a frame is, from all shrinkage to all growth.
  function kindOfChange(net, width) {
    const ratio = width > 0 ? net / width : 0;
    if (Math.abs(ratio) < EVEN_BELOW) return kind.even;
    return kind[(ratio > 0 ? 'grew-' : 'shrank-') + (Math.abs(ratio) > STRONG_FROM ? 2 : 1)];
  }

  function kindsOf(core, tree) {
    const kinds = new Uint8Array(tree.size);
    for (let node = 1; node < tree.size; node += 1) {
      kinds[node] = tree.signed
        ? kindOfChange(tree.net[node], tree.width[node])
        : BY_ORIGIN[core.frames.origin[tree.frame[node]]];
    }
    kinds[layout.ROOT] = kind.root;
    return kinds;
  }

  function create({ core, frames }) {
    let title = '';
    let tails = [];
    let figure = null; // writes the bytes of a node in another way than this
    const scene = {
      tree: null, kinds: null, matches: null, x0: 0, x1: 1, rows: 1, scrollTop: 0, flipped: false,
      hovered: -1, focused: -1,

      // Starts with the whole of `tree`; `options` may have the `kinds` of its nodes, and a `figure`.
      show(tree, options) {
        ({ title } = options);
        figure = options.figure ?? null;
        tails = new Array(tree.size);
        Object.assign(scene, {
          tree, kinds: options.kinds ?? kindsOf(core, tree), matches: null, x0: 0, x1: Math.max(1, tree.width[layout.ROOT]),
          flipped: options.flip, hovered: -1, focused: -1,
        });
      },

      headOf(node) {
        if (node === layout.ROOT) return title;
        const times = scene.tree.times[node];
        return frames.functionName(scene.tree.frame[node]) + (times > 1 ? ' × ' + format.count(times) : '');
      },
      placeOf(node) {
        const frame = scene.tree.frame[node];
        return node === layout.ROOT || frames.namesFile(frame) ? '' : frames.location(frame);
      },

      // The sign is in the label: colour alone does not reach everybody.
      tailOf(node) {
        tails[node] ??= scene.tree.signed || node === layout.ROOT
          ? [scene.bytesOf(node), scene.placeOf(node)].filter(Boolean).join('  ')
          : scene.placeOf(node);
        return tails[node];
      },

      bytesOf: (node) => (figure !== null ? figure(node) : scene.tree.signed ? format.signedBytes(scene.tree.net[node]) : format.bytes(scene.tree.net[node])),

      // What both sides of a comparison hold; empty where there is one.
      sidesOf: ({ before, after }, node) => (before === undefined ? ''
        : memdeep.words.say('compare.sides', { before_bytes: before[node], after_bytes: after[node] })),

      shareOf(node) {
        const whole = scene.tree.width[layout.ROOT];
        return whole > 0 ? scene.tree.width[node] / whole : 0;
      },

      describe: (node) => [scene.headOf(node), scene.placeOf(node), scene.sidesOf(scene.tree, node), scene.bytesOf(node), format.percent(scene.shareOf(node))]
        .filter(Boolean).join(' · '),

      smallerText: (count) => memdeep.words.say('flame.smaller', { n: count }),
    };
    return scene;
  }

  memdeep.flameScene = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
