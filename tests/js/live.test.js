'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { load } = require('./scripts.js');

const { liveCurve, liveLines } = load(['live-curve', 'live-lines']);
const curve = (values, period = 1000) => ({ period_ms: period, values });

test('a curve stays at each reading, and is broken where nothing is known', () => {
  assert.equal(liveCurve.path(curve([10, 20]), 2000, 20), 'M0.0 82.0L500.0 82.0L500.0 4.0L1000.0 4.0');
  assert.equal(liveCurve.path(curve([null, 20, null, 20]), 4000, 20), 'M250.0 4.0L500.0 4.0M750.0 4.0L1000.0 4.0');
  assert.equal(liveCurve.path(curve([]), 1000, 1), '');
  assert.equal(liveCurve.path(curve([null]), 1000, 1), '');
});

test('an area lies beneath each piece of a curve', () => {
  const drawn = liveCurve.path(curve([null, 20, null, 20]), 4000, 20);
  assert.equal(liveCurve.area(drawn), 'M250.0 4.0L500.0 4.0L500.0 160L250.0 160zM750.0 4.0L1000.0 4.0L1000.0 160L750.0 160z');
  assert.equal(liveCurve.area(''), '');
});

test('a limit is drawn once half of it is in use', () => {
  assert.equal(liveCurve.top([curve([10, null]), curve([40])], 100), 40);
  assert.equal(liveCurve.top([curve([10]), curve([50])], 100), 100);
  assert.equal(liveCurve.top([curve([10]), curve([120])], 100), 120);
  assert.equal(liveCurve.top([curve([]), curve([null])], null), 1);
});

test('lines are put in the order of a column, and those that are alike stay in theirs', () => {
  const lines = [
    { file: 'a', alive_bytes: 3, phase_bytes: 1, minute_bytes: -5 },
    { file: 'b', alive_bytes: 2, phase_bytes: 1, minute_bytes: 7 },
  ];
  const names = (column) => [...liveLines.ordered(lines, column)].map((line) => line.file).join('');
  assert.equal(names('alive'), 'ab');
  assert.equal(names('phase'), 'ab');
  assert.equal(names('minute'), 'ba');
});

test('files of one name are told with their directories', () => {
  const names = liveLines.shortNames(['/app/one/core.py', '/app/two/core.py', '/app/other.py', '/app/other.py']);
  assert.deepEqual([...names.values()], ['one/core.py', 'two/core.py', 'other.py']);
});
