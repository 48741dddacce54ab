// The parts of the page's shell that need no browser: figures, addresses, the store, rows, moments.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { load } = require('./scripts.js');

const memdeep = load(['format', 'elements', 'names', 'store', 'link', 'timeline-reading', 'timeline-zoom', 'phase-rows', 'phase-notes'], { URLSearchParams });

// Objects of another context have another prototype: compare them as plain ones.
const plain = (value) => JSON.parse(JSON.stringify(value));
const same = (actual, expected) => assert.deepEqual(plain(actual), plain(expected));

const LIMITS = { phases: 9, checkpoints: 20, frames: 90, threads: ['g7', 'p0', 7, 40], metrics: () => ['retained', 'peak', 'freed', 'growth'] };

test('a tie is rounded to the even digit, as Python rounds it', () => {
  const { bytes, percent, seconds } = memdeep.format;
  assert.deepEqual([bytes(1280), bytes(1792), bytes(-2304)], ['1.2 KB', '1.8 KB', '−2.2 KB']);
  assert.deepEqual([percent(0.0025), percent(0.1225)], ['0.2 %', '12.2 %']);
  assert.deepEqual([seconds(0.0125), seconds(1.25), seconds(90.5)], ['12 ms', '1.2 s', '1 min 30 s']);
  assert.deepEqual([seconds(0), seconds(0.000004), seconds(0.0006)], ['0 ms', '<1 ms', '1 ms']);
  assert.deepEqual([seconds(0.0005), seconds(0.9994), seconds(0.9994999999999999)], ['<1 ms', '999 ms', '1.0 s']);
});

test('an address restores what it was written from', () => {
  const states = [
    { scope: { kind: 'phase', phase: 3 } },
    { scope: { kind: 'between', from: 2, to: 9 }, metric: 'growth' },
    { versus: { kind: 'phase', phase: 4 }, metric: 'peak' },
    { versus: { kind: 'between', from: 0, to: 19 }, view: 'lines', native: 'hide' },
    { query: 'a&b=c #%+ "查询"', regex: true, invert: true, threads: true, imports: true, flip: true },
    { frames: [12, 40, 7], view: 'source', file: 5 },
    { selected: { kind: 'modules', frame: 89 }, view: 'modules' },
    { frames: [3], selected: { frames: [3, 12, 40] } },
    { thread: 40 },
    { thread: 'g7' },
    { lang: 'zh', theme: 'dark' },
    { view: 'functions', around: { kind: 'functions', frame: 12 } },
  ];
  for (const state of states) {
    const whole = { ...plain(memdeep.store.DEFAULTS), ...state };
    same({ ...whole, ...memdeep.link.read(memdeep.link.write(whole), LIMITS) }, whole);
  }
});

test('what is damaged or out of range in an address is left out', () => {
  for (const hash of ['#phase=9', '#phase=-1', '#phase=1e3', '#between=5-5', '#between=9-2', '#between=0-20', '#between=a-b']) {
    assert.equal('scope' in memdeep.link.read(hash, LIMITS), false, hash);
  }
  const read = memdeep.link.read('#phase=1&metric=nonsense&view=%00&native=1&frame=1.x.2&vs=phase-99&thread=8&file=../x&invert=yes', LIMITS);
  same(read, { ...plain(memdeep.store.DEFAULTS), scope: { kind: 'phase', phase: 1 }, metric: undefined });
  for (const row of ['lines.90', 'lines.1.2', 'nonsense.1', '1..2', '3.90', 'lines', '']) {
    assert.equal(memdeep.link.read('#phase=1&row=' + row, LIMITS).selected, null, row);
  }
});

test('a metric that the scope does not offer is left out of an address', () => {
  const limits = { ...LIMITS, metrics: (scope) => (scope.kind === 'phase' ? ['peak'] : ['growth']) };
  assert.equal(memdeep.link.read('#phase=1&metric=peak', limits).metric, 'peak');
  assert.equal('metric' in memdeep.link.read('#between=1-2&metric=peak', limits), false);
});

test('the store tells what changed, once, and nothing where nothing did', () => {
  const store = memdeep.store.create({});
  const heard = [];
  store.subscribe((state, changed) => heard.push([...changed].sort().join()));
  store.set({ scope: { kind: 'phase', phase: 0 } });
  store.set({ scope: { kind: 'phase', phase: 1 }, metric: 'peak', view: 'flame' });
  assert.deepEqual(heard, ['metric,scope']);
});

test('a segment is named after its checkpoints, a span as the program names it', () => {
  const core = {
    checkpoints: { label: ['(start)', 'load', 'half', 'load', '(end)'], kind: ['point', 'begin', 'point', 'end', 'point'] },
    phases: { name: ['load', 'recorded'], kind: ['span', 'segment'], members: [0, 0], stretches: [[1, 3], [1, 2]] },
  };
  const { names } = memdeep;
  assert.deepEqual([0, 1, 2, 3, 4].map((place) => names.checkpoint(core, place)), [
    'checkpoint.run_start', 'checkpoint.begin load', 'half', 'checkpoint.end load', 'checkpoint.run_end',
  ]);
  assert.equal(names.phase(core, 0), 'load');
  assert.equal(names.phase(core, 1), 'checkpoint.stretch checkpoint.begin load half');
});

function run() {
  return {
    checkpoints: {
      label: ['(start)', 'load', 'copy', 'done', '(end)'], time: [0, 1, 2, 4, 5],
      rss: [10, 20, 40, 30, null], file: [1, 2, null, 3, null], heap: [0, 8, 25, 15, 15],
    },
    curves: { rss: { t: [0, 1.5, 5], b: [10, 30, 30], f: [1, null, 3] }, heap: { t: [0, 2, 2.5, 4], b: [0, 25, 30, 15] } },
    traced: [[0, 2], [2, 3]],
    phases: {
      name: ['outer', 'inner', 'twice'], kind: ['span', 'span', 'span'], depth: [0, 1, 0], peak: [30, 30, 12],
      stretches: [[0, 3], [1, 2], [0, 1, 3, 4]], members: [0, 0, 0],
    },
  };
}

const reading = memdeep.timelineReading.create(run(), 5);

test('a moment is read from the last reading before it', () => {
  const read = reading.atTime(1.7);
  assert.deepEqual([read.rss, read.file, read.heap, read.checkpoint], [30, null, 0, 1]);
  assert.equal(reading.atTime(4.5).heap, null, 'the heap was not read any more');
});

test('a checkpoint is read from its own figures', () => {
  const read = reading.atCheckpoint(1);
  assert.deepEqual([read.time, read.rss, read.file, read.heap], [1, 20, 2, 8]);
});

test('a drag means the nearest checkpoints, and at least one segment', () => {
  same(reading.between(0.9, 3.9), { from: 1, to: 3 });
  same(reading.between(3.9, 0.9), { from: 1, to: 3 });
  same(reading.between(1.1, 1.2), { from: 1, to: 2 });
  same(reading.between(0.8, 0.9), { from: 0, to: 1 });
  same(reading.between(4.9, 5), { from: 3, to: 4 });
  same(reading.between(0, 0), { from: 0, to: 1 });
});

test('growth between checkpoints is the difference of their figures, unknown where one is', () => {
  same(reading.growth({ from: 1, to: 3 }), { time: 3, rss: 10, heap: 7, pss: null });
  same(reading.growth({ from: 1, to: 4 }), { time: 4, rss: null, heap: 7, pss: null });
});

test('layers of processes are read as they are drawn, and grow together', () => {
  const layers = { t: [0, 1, 3], count: [1, 2, 4], isRest: [false, false, true], label: ['', 'fork × 2', ''], b: [[5, 6, 7], [0, 20, 30], [0, 0, 1]] };
  const layered = memdeep.timelineReading.create({ ...run(), layers }, 5);
  same(layered.atTime(2).layers, [6, 20, 0]);
  same(layered.atCheckpoint(4).layers, [7, 30, 1]);
  assert.equal(layered.growth({ from: 0, to: 3 }).pss, 33);
  same([0, 1, 2].map(layered.layerName), ['timeline.program 1', 'fork × 2', 'timeline.others 4']);
  assert.equal(reading.atTime(2).layers, null);
});

test('a part of the run stays within it, and what is pointed at stays where it is', () => {
  const { within, scaled, ticksOf } = memdeep.timelineZoom;
  same(within(-3, 4, 10), { from: 0, to: 4 });
  same(within(9, 4, 10), { from: 6, to: 10 });
  same(scaled({ from: 0, to: 10 }, 0.5, 4, 10), { from: 2, to: 7 });
  same(scaled({ from: 2, to: 7 }, 9, 4, 10), { from: 0, to: 10 });
  assert.ok(scaled({ from: 2, to: 7 }, 0, 4, 10).to > scaled({ from: 2, to: 7 }, 0, 4, 10).from);
  for (const view of [{ from: 0, to: 10 }, { from: 3.01, to: 3.02 }, { from: 400, to: 2000 }]) {
    const ticks = ticksOf(view);
    assert.ok(ticks.length >= 2 && ticks.length <= 11);
    assert.ok(ticks.every((time) => view.from <= time && time <= view.to));
  }
});

test('the phase at a moment and at the peak is the innermost one', () => {
  assert.equal(reading.phaseName(reading.phaseAt(1.5)), 'inner');
  assert.equal(reading.phaseName(reading.phaseAt(3)), 'outer');
  assert.equal(reading.phaseName(reading.peakPhase()), 'inner');
});

test('at the peak the heap is as high as the peak, and stays there until it is read again', () => {
  const { time, heap, rss } = reading.atPeak();
  assert.deepEqual([time, heap, rss], [2.5, 30, 30]);
  assert.equal(reading.atTime(3.9).heap, 30);
  assert.equal(reading.atTime(2.4).heap, 25);
  const untraced = memdeep.timelineReading.create({ ...run(), curves: { ...run().curves, heap: { t: [], b: [] } } }, 5).atPeak();
  assert.deepEqual([untraced.time, untraced.rss], [1.5, 30]);
});

//  0 a        rss 5
//  1   a.x    rss 9
//  2   a.y    rss 1
//  3 b        rss null
//  4 c        rss 7
//  5   c.x    rss -3
const PHASES = {
  name: ['a', 'a.x', 'a.y', 'b', 'c', 'c.x'], parent: [-1, 0, 0, -1, -1, 4],
  members: [0, 0, 0, 0, 0, 0], pattern: [-1, -1, -1, -1, -1, -1], thread: [null, 'MainThread', null, 'MainThread', null, null],
  rss: [5, 9, 1, null, 7, -3], heap: [5, 9, 1, null, 7, -3], slope: [null, null, null, null, null, null],
  culprit: [-1, -1, -1, -1, -1, -1], stretches: [[0, 1], [0, 1], [0, 1], [0, 1], [0, 1], [0, 1]],
  parts: {
    resident: [3, 9, 1, null, 4, -3], untouched: [-9, null, null, null, 0, null], file: [2, 0, null, null, 4, null], shared: [0, null, null, null, 0, null],
    allocator: [1, null, null, null, 0, null], unseen: [0, null, null, null, 0, null], tracer: [0, null, null, null, 0, null], unknown: [-1, 0, null, null, -1, null],
  },
  sharesRss: [false, true, false, false, false, false], overlaps: [false, true, false, false, false, false],
};
const table = memdeep.phaseRows.create(PHASES, (phase) => PHASES.name[phase], () => null);
const WISH = { sort: null, direction: -1, words: '', onlyGrew: false, nested: true, closed: new Set(), untouched: new Set() };
const names = (wish) => table.rows({ ...WISH, ...wish }).map((row) => PHASES.name[row.phase]).join(' ');

test('unsorted, phases are in the order of the program', () => {
  assert.equal(names({}), 'a a.x a.y b c c.x');
  assert.equal(names({ nested: false }), 'a a.x a.y b c c.x');
});

test('nested, children stay under their parents; what is not known comes last', () => {
  assert.equal(names({ sort: 'rss' }), 'c c.x a a.x a.y b');
  assert.equal(names({ sort: 'rss', direction: 1 }), 'a a.y a.x c c.x b');
});

test('flat, all phases are ranked together; what is not known comes last', () => {
  assert.equal(names({ sort: 'rss', nested: false }), 'a.x c a a.y c.x b');
  assert.equal(names({ sort: 'rss', nested: false, direction: 1 }), 'c.x a.y a c a.x b');
});

test('a closed phase hides what is in it', () => {
  assert.equal(names({ closed: new Set([0]) }), 'a b c c.x');
});

test('a filter keeps the parents of what it finds, as context; flat it does not', () => {
  assert.equal(names({ words: ' .X ' }), 'a a.x c c.x');
  same(table.rows({ ...WISH, words: '.x' }).map((row) => row.context), [true, false, true, false]);
  assert.equal(names({ words: '.x', nested: false }), 'a.x c.x');
  assert.equal(names({ words: 'nothing' }), '');
});

//  0 read          rss 1
//  6 day *         rss 15 (behind the phases, as all patterns are)
//  1   day 1       rss 5
//  2     load      rss 2
//  3   day 2       rss 9
//  4   day 3       rss 1
//  5 write         rss 20
const DAYS = {
  name: ['read', 'day 1', 'load', 'day 2', 'day 3', 'write', 'day *'], parent: [-1, -1, 1, -1, -1, -1, -1],
  members: [0, 0, 0, 0, 0, 0, 3], pattern: [-1, 6, -1, 6, 6, -1, -1],
  rss: [1, 5, 2, 9, 1, 20, 15], heap: [1, 5, 2, 9, 1, 20, 15],
};
const days = memdeep.phaseRows.create(DAYS, (phase) => DAYS.name[phase], () => null);
const daysOf = (wish) => days.rows({ ...WISH, ...wish }).map((row) => DAYS.name[row.phase]).join(', ');

test('a pattern is where its first member is, and holds its members', () => {
  assert.equal(daysOf({}), 'read, day *, day 1, load, day 2, day 3, write');
  assert.equal(daysOf({ closed: new Set([6]) }), 'read, day *, write');
  assert.equal(daysOf({ closed: new Set([1]) }), 'read, day *, day 1, day 2, day 3, write');
  same(days.ancestors(2), [1, 6]);
  same(memdeep.phaseRows.inOrder(DAYS), [0, 6, 1, 2, 3, 4, 5]);
  same(memdeep.phaseRows.levelsOf(DAYS), [0, 1, 2, 1, 1, 0, 0]);
});

test('a pattern sorts by its own figure, its members within it; flat there are no patterns', () => {
  assert.equal(daysOf({ sort: 'rss' }), 'write, day *, day 2, day 1, load, day 3, read');
  assert.equal(daysOf({ nested: false }), 'read, day 1, load, day 2, day 3, write');
});

test('what is searched for is shown in a closed pattern, too, and counted without it', () => {
  const wish = { ...WISH, words: 'day 2', closed: new Set([6]), untouched: new Set([6]) };
  same(days.rows(wish).map((row) => DAYS.name[row.phase]), ['day *', 'day 2']);
  same(days.rows({ ...wish, untouched: new Set() }).map((row) => DAYS.name[row.phase]), ['day *']);
  assert.equal(days.count(wish), 1);
  assert.equal(days.count({ ...WISH, closed: new Set([6]) }), 6);
});

test('only what grew', () => {
  assert.equal(names({ onlyGrew: true }), 'a a.x a.y c');
});

test('the parts of RSS Δ add up, zero ones left out; a heap nobody measured is not called resident', () => {
  same(memdeep.phaseRows.partsOf(PHASES, 0), [
    { name: 'resident', bytes: 3 }, { name: 'file', bytes: 2 }, { name: 'allocator', bytes: 1 }, { name: 'unknown', bytes: -1 },
  ]);
  same(memdeep.phaseRows.partsOf(PHASES, 1), [{ name: 'heap', bytes: 9 }]);
  same(memdeep.phaseRows.partsOf(PHASES, 3), []);
  assert.equal(memdeep.phaseRows.beyondOf(PHASES, 0), 2);
  assert.equal(memdeep.phaseRows.beyondOf(PHASES, 3), null);
});

test('what is said of a phase: its parts as a sum, then whose its figures are too', () => {
  const { all, mainPart } = memdeep.phaseNotes;
  const ofPhases = (place) => all({ phases: PHASES }, place);
  same(ofPhases(0), ['phases.parts_sum +5 B phases.part_resident 3 B + phases.part_file 2 B + phases.part_allocator 1 B − phases.part_unknown 1 B']);
  same(ofPhases(1), ['phases.parts_sum +9 B phases.part_heap 9 B', 'phases.shares_rss_meaning', 'phases.overlaps_meaning']);
  same(ofPhases(3), []);
  const processes = { group: [0, 4, 4], line: [0, 1, 1] };
  const ofWorkers = (workersIn) => {
    const workers = { workers: [30], workersIn: [workersIn], workersOfHeap: [false], workersBy: [[[4, 2, 25]]] };
    return all({ phases: { ...PHASES, ...workers }, processes, strings: ['', 'prog.py:30'] }, 0)[0];
  };
  assert.equal(ofWorkers(2), 'workers.of_one workers.phase +5 B +30 B workers.in_group 2 +30 B prog.py:30');
  assert.equal(ofWorkers(0), 'workers.of_several workers.phase +5 B +30 B workers.in_group 2 +25 B prog.py:30'); // others were there
  assert.equal(mainPart(PHASES, 0), null); // of a few bytes nothing is worth a name
  const of = (sizes) => mainPart({ parts: Object.fromEntries(Object.entries(PHASES.parts).map(([name]) => [name, [(sizes[name] ?? 0) * 2 ** 20]])) }, 0);
  assert.equal(of({ resident: 50, file: 3, unknown: -4, untouched: -2 }), 'phases.part_unknown');
  assert.equal(of({ resident: 50, file: 3, unknown: -4, untouched: -5 }), 'phases.part_untouched ' + 5 * 2 ** 20);
});

test('columns nobody knows are left out', () => {
  const nothing = PHASES.name.map(() => null);
  const known = memdeep.phaseRows.knownColumns({
    ...PHASES, duration: [1, 1, 1, 1, 1, 1], peak: [1, 1, 1, 1, 1, 1], explained: nothing, allocated: nothing, freed: nothing, churn: nothing,
  });
  same(known, ['name', 'duration', 'rss', 'heap', 'beyond', 'peak']);
  const threads = PHASES.name.map((_, place) => (place % 2 ? 'MainThread' : 'worker'));
  const ofTwo = memdeep.phaseRows.knownColumns({ ...PHASES, explained: nothing, peak: nothing, duration: nothing, allocated: nothing, freed: nothing, churn: nothing, thread: threads });
  same(ofTwo, ['name', 'thread', 'rss', 'heap', 'beyond']);
});
