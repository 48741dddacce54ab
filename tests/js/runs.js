// Random runs, as the blocks of a page hold them, that can be made again from their seed.
'use strict';

const [USER, TOOL, LIBRARY, STDLIB, NATIVE, MEMDEEP, THREAD] = [0, 1, 2, 3, 4, 5, 6];
const FILES = ['/home/quant/策略/learning.py', '/lib/python3.12/site-packages/tool/cli.py', '/lib/python3.12/site-packages/pandas/core/frame.py', '/lib/python3.12/json/decoder.py', 'ceval.c', '/m/record.py', ''];
const IMPORTS = '<frozen importlib._bootstrap>';

function dice(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const many = (count, make) => Array.from({ length: count }, (_, place) => make(place));

function randomFrames(roll, count, intern) {
  const frames = { function: [], file: [], line: [], origin: [] };
  for (let frame = 0; frame < count; frame += 1) {
    const origin = frame === 0 ? THREAD : [USER, USER, TOOL, LIBRARY, STDLIB, STDLIB, NATIVE, NATIVE, MEMDEEP][roll(9)];
    const isImport = origin === STDLIB && roll(3) === 0;
    const line = origin === THREAD ? 0 : 1 + (frame % 17);
    const isPlumbing = origin === NATIVE && line % 3 === 0;
    // A comprehension or a lambda may share its line with the function around it.
    const name = roll(4) === 0 ? '<lambda>' : 'f' + (line % 11);
    frames.function.push(intern(isPlumbing ? 'cfunction_vectorcall_O' : name));
    frames.file.push(intern(isImport ? IMPORTS : FILES[origin]));
    frames.line.push(line);
    frames.origin.push(origin);
  }
  return frames;
}

// A tree whose outermost nodes are, at times, a thread.
function randomNodes(roll, count, frameCount) {
  const nodes = { parent: [], frame: [] };
  for (let node = 0; node < count; node += 1) {
    const isOutermost = node === 0 || roll(40) === 0;
    nodes.parent.push(isOutermost ? -1 : Math.max(0, node - 1 - roll(Math.min(node, 30))));
    nodes.frame.push(isOutermost && roll(2) === 0 ? 0 : 1 + roll(frameCount - 1));
  }
  return nodes;
}

function randomLives(roll, key, places, count, checkpoints) {
  const table = { [key]: [], born: [], died: [], bytes: [], count: [] };
  for (let row = 0; row < count; row += 1) {
    const born = 1 + roll(checkpoints - 1);
    const died = born + 1 + roll(checkpoints);
    table[key].push(roll(places));
    table.born.push(born);
    table.died.push(died < checkpoints ? died : -1);
    table.bytes.push(roll(10) === 0 ? 0 : 1 + roll(100000));
    table.count.push(1 + roll(9));
  }
  return table;
}

function randomGone(roll, key, places, count, checkpoints) {
  return {
    [key]: many(count, () => roll(places)),
    segment: many(count, () => 1 + roll(checkpoints - 1)),
    bytes: many(count, () => 1 + roll(100000)),
    count: many(count, () => 1 + roll(9)),
  };
}

const PHASES = [[0, 39], [3, 9], [0, 1], [2, 5, 5, 9, 20, 39], [1, 2, 3, 4, 5, 6, 7, 8, 30, 31], [1, 3]];

// Blocks by name. The lines are those that the stacks are charged to, so that both levels agree.
function randomRun(seed, { nodeCount = 400, lifetimeCount = 1500, checkpointCount = 40, frameCount = 60 } = {}) {
  const roll = dice(seed);
  const strings = [];
  const intern = (text) => {
    if (!strings.includes(text)) strings.push(text);
    return strings.indexOf(text);
  };
  const frames = randomFrames(roll, frameCount, intern);
  const nodes = randomNodes(roll, nodeCount, frameCount);
  const peak = { node: many(60, () => roll(nodeCount)), bytes: many(60, () => 1 + roll(5000)), count: many(60, () => 1) };
  const blocks = {
    core: {
      strings, frames, nodes, repeats: { node: [], times: [] }, lines: [], folded: 0, editor: 'vscode://file/{path}:{line}',
      checkpoints: { label: many(checkpointCount, String), time: many(checkpointCount, (i) => i) },
      phases: {
        name: PHASES.map((_, i) => 'phase ' + i), stretches: PHASES, traced: PHASES.map(() => true),
        depth: PHASES.map((edges) => (edges[0] === 0 && edges[1] === 39 ? 0 : 1)),
        members: PHASES.map(() => 0), peakOf: PHASES.map((_, i) => i),
        peak: PHASES.map((_, i) => (i === 5 ? peak.bytes.reduce((a, b) => a + b) : null)),
      },
      traced: [[0, checkpointCount - 1]],
      blocks: { transients: true, largest: true, peaks: [5] },
    },
    lifetimes: randomLives(roll, 'node', nodeCount, lifetimeCount, checkpointCount),
    transients: randomGone(roll, 'node', nodeCount, 300, checkpointCount),
    'peak-5': peak,
  };
  return blocks;
}

// Charges the bytes of a run to the lines of each function by another way than the page does: stack by stack.
function chargeLines(blocks) {
  const { core, lifetimes, transients, 'peak-5': peak } = blocks;
  const { nodes, frames, strings } = core;
  const places = new Map();
  const charge = (node) => {
    let best = -1;
    for (let at = node; at >= 0; at = nodes.parent[at]) {
      const frame = nodes.frame[at];
      if (best < 0 || frames.origin[frame] < frames.origin[best]) best = frame;
    }
    const key = strings[frames.file[best]] + ':' + frames.line[best] + ' ' + strings[frames.function[best]];
    if (!places.has(key)) {
      places.set(key, core.lines.length);
      core.lines.push(best);
    }
    return places.get(key);
  };
  const byLine = ({ node, ...rest }) => ({ ...rest, line: node.map(charge) });
  blocks.lines = byLine(lifetimes);
  blocks.transients = { ...transients, lines: byLine(transients) };
  blocks['peak-5'] = { ...peak, lines: byLine(peak) };
  return blocks;
}

const SCOPES = [
  ...PHASES.map((_, phase) => ({ kind: 'phase', phase })),
  { kind: 'between', from: 0, to: 39 }, { kind: 'between', from: 4, to: 5 }, { kind: 'between', from: 7, to: 30 },
];

module.exports = {
  dice, randomRun: (seed, size) => chargeLines(randomRun(seed, size)), SCOPES, USER, NATIVE, THREAD,
};
