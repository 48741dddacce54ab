// Limits what is looked at to one thread: the stacks whose outermost frame it is. Pure.
//
// A thread is the number of its frame; null are all of them. Lines know no thread: those of one are
// added up from its stacks, of which the small ones are folded into their callers.
(function (memdeep) {
  'use strict';

  const { scope: scopes } = memdeep;

  // The threads that there are to choose from: of one alone there is no choice.
  const threadsOf = ({ threads }) => (threads.length > 1 ? threads : []);

  // For each node if its stack is of the thread.
  function nodesOf({ nodes }, thread) {
    const flags = new Uint8Array(nodes.parent.length);
    nodes.parent.forEach((above, node) => { flags[node] = above < 0 ? Number(nodes.frame[node] === thread) : flags[above]; });
    return flags;
  }

  // `flags` of nodes, without those of other threads.
  function within(core, flags, thread) {
    if (thread === null) return flags;
    const own = nodesOf(core, thread);
    return flags.map((flag, node) => flag & own[node]);
  }

  const added = (column) => column.reduce((total, one) => total + one, 0);

  function withTotals(sum) {
    return { ...sum, total: added(sum.bytes), allocations: added(sum.count) };
  }

  function byLine(core, sum) {
    const { file, line, function: named } = core.frames;
    const keyOf = (frame) => [file[frame], line[frame], named[frame]].join(); // a line is one of each function
    const places = new Map(core.lines.map((frame, place) => [keyOf(frame), place]));
    const made = { ...sum, bytes: new Float64Array(core.lines.length), count: new Float64Array(core.lines.length) };
    memdeep.ranking.chargedFrames(core).forEach((frame, node) => {
      const place = places.get(keyOf(frame));
      if (place === undefined) return; // nothing but folded stacks
      made.bytes[place] += sum.bytes[node];
      made.count[place] += sum.count[node];
    });
    return withTotals(made);
  }

  // As the picture of scope.js, of the thread of the state.
  function picture(blocks, state, level) {
    if (state.thread === null) return scopes.picture(blocks, state, level);
    const { core } = blocks;
    const sum = scopes.picture(blocks, state, 'node');
    const own = nodesOf(core, state.thread);
    const ofThread = (column) => column.map((value, node) => (own[node] ? value : 0));
    const limited = withTotals({ ...sum, bytes: ofThread(sum.bytes), count: ofThread(sum.count) });
    return level === 'node' ? limited : byLine(core, limited);
  }

  // As the total of scope.js, of one thread; null also where the stacks of a peak are not unpacked.
  function total(blocks, scope, metric, thread) {
    if (thread === null) return scopes.total(blocks, scope, metric);
    const isThere = scopes.blocksFor(blocks.core, scope, metric, 'node').every((name) => blocks[name]);
    if (!isThere || scopes.whyUnknown(blocks.core, scope, metric) !== null) return null;
    return picture(blocks, { scope, versus: null, metric, thread }, 'node').total;
  }

  memdeep.threadLimit = { threadsOf, within, picture, total };
})(globalThis.memdeep = globalThis.memdeep || {});
