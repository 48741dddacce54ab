// From a view of both sides to a sum for the flame graph, and to the colours of its frames. Pure.
(function (memdeep) {
  'use strict';

  const WIDTHS = {
    larger: (before, after) => Math.max(before, after),
    before: (before) => before,
    after: (_, after) => after,
    difference: (before, after) => Math.abs(after - before),
  };
  const STRONG_FROM = 0.5; // of the larger side

  // The bytes of both sides by node, and in `bytes` what makes a frame wide. `held` tells what is there.
  function sumOf({ nodes }, view, width) {
    const size = nodes.parent.length;
    const [before, after, bytes, larger] = [0, 0, 0, 0].map(() => new Float64Array(size));
    const count = new Float64Array(size); // allocations are told of no stack
    view?.node.forEach((node, row) => {
      before[node] = view.before[row];
      after[node] = view.before[row] + view.more[row];
      bytes[node] = WIDTHS[width](before[node], after[node]);
      larger[node] = WIDTHS.larger(before[node], after[node]);
    });
    return { bytes, count, before, after, held: { bytes: larger, count }, signed: true };
  }

  // Whether two figures differ by no more than those of one program do; of none, `zero` is alike.
  const isAlike = ({ share, least }, before, after) => Math.abs(after - before) <= Math.max(least, share * Math.max(Math.abs(before), Math.abs(after)));

  // The kind of each frame of a laid-out tree, by its change: the names of flame-canvas.js.
  function kindsOf(tree, noise, names) {
    const kind = Object.fromEntries(names.map((name, place) => [name, place]));
    return Uint8Array.from(tree.net, (net, node) => {
      if (node === 0) return kind.root;
      const [before, after] = [tree.before[node], tree.after[node]];
      if (isAlike(noise, before, after)) return kind.even;
      const isStrong = Math.abs(net) >= STRONG_FROM * Math.max(before, after);
      return kind[(net > 0 ? 'grew-' : 'shrank-') + (isStrong ? 2 : 1)];
    });
  }

  memdeep.compareSums = { WIDTHS, sumOf, isAlike, kindsOf };
})(globalThis.memdeep = globalThis.memdeep || {});
