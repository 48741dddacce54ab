// Limits what is looked at to a process, to those that one line started, or to one thread: to the
// stacks that have it, or a thread of it, as their outermost frame. Pure.
//
// A thread is the number of its frame, 'p3' is a process, 'g3' are those of the group of process 3;
// null is all of it. Lines know no thread: those of a limit are added up from its stacks, of which
// the small ones are folded into their callers.
(function (memdeep) {
  'use strict';

  const { scope: scopes } = memdeep;

  // The threads that there are to choose from: of one alone there is no choice.
  const threadsOf = ({ threads }) => (threads.length > 1 ? threads : []);

  // The places in the columns of the processes, by group; none where the program was alone.
  function groupsOf({ processes }) {
    const groups = new Map();
    if (!processes || processes.index.length < 2) return groups;
    processes.group.forEach((group, place) => {
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(place);
    });
    return groups;
  }

  // All limits that there are to choose from: { groups, processes, threads }.
  function limitsOf(core) {
    const groups = groupsOf(core);
    return {
      groups: [...groups].filter(([, places]) => places.length > 1).map(([group]) => 'g' + group),
      processes: groups.size > 0 ? core.processes.index.map((process) => 'p' + process) : [],
      threads: threadsOf(core),
    };
  }

  const allOf = (core) => Object.values(limitsOf(core)).flat();

  // The thread that a phase is charged with alone; null where that is no single one.
  function ownOf(core, { kind, phase }) {
    if (kind !== 'phase' || !core.phases.sharesRss[phase]) return null;
    const named = core.strings.indexOf(core.phases.thread[phase] ?? '');
    return threadsOf(core).find((frame) => core.frames.function[frame] === named) ?? null;
  }

  // Tells of the outermost frame of a stack if the stack is within the limit.
  function testOf({ frames, processes }, limit) {
    if (typeof limit === 'number') return (frame) => frame === limit;
    const number = Number(limit.slice(1));
    const isIn = limit.startsWith('p') ? (process) => process === number
      : (process) => processes.group[processes.index.indexOf(process)] === number;
    return (frame) => isIn(frames.origin[frame] === memdeep.payload.THREAD ? frames.line[frame] : 0);
  }

  // For each node if its stack is within the limit.
  function nodesOf(core, limit) {
    const { nodes } = core;
    const flags = new Uint8Array(nodes.parent.length);
    const isWithin = testOf(core, limit);
    nodes.parent.forEach((above, node) => { flags[node] = above < 0 ? Number(isWithin(nodes.frame[node])) : flags[above]; });
    return flags;
  }

  // What a limit is called.
  function nameOf({ core, frames }, limit) {
    const { say } = memdeep.words;
    if (typeof limit === 'number') return frames.functionName(limit);
    if (limit === 'p0') return say('flame.program');
    const { processes, strings } = core;
    const number = Number(limit.slice(1));
    const isGroup = limit.startsWith('g');
    const place = (isGroup ? processes.group : processes.index).indexOf(number);
    const count = isGroup ? '× ' + memdeep.format.count(processes.group.filter((group) => group === number).length) : processes.pid[place];
    return [processes.how[place] + ' ' + count, strings[processes.line[place]]].filter((text) => text !== '').join(' · ');
  }

  // `flags` of nodes, without those outside of the limit.
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

  // As the picture of scope.js, within the limit of the state.
  function picture(blocks, state, level) {
    if (state.thread === null) return scopes.picture(blocks, state, level);
    const { core } = blocks;
    const sum = scopes.picture(blocks, state, 'node');
    const own = nodesOf(core, state.thread);
    const ofThread = (column) => column.map((value, node) => (own[node] ? value : 0));
    const limited = withTotals({ ...sum, bytes: ofThread(sum.bytes), count: ofThread(sum.count) });
    return level === 'node' ? limited : byLine(core, limited);
  }

  // As the total of scope.js, within a limit; null also where the stacks of a peak are not unpacked.
  function total(blocks, scope, metric, thread) {
    if (thread === null) return scopes.total(blocks, scope, metric);
    const isThere = scopes.blocksFor(blocks.core, scope, metric, 'node').every((name) => blocks[name]);
    if (!isThere || scopes.whyUnknown(blocks.core, scope, metric) !== null) return null;
    return picture(blocks, { scope, versus: null, metric, thread }, 'node').total;
  }

  memdeep.threadLimit = { limitsOf, allOf, nameOf, ownOf, within, picture, total };
})(globalThis.memdeep = globalThis.memdeep || {});
