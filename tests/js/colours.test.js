'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { load } = require('./scripts.js');

const { parse } = load().pythonColours;
const kinds = (line, before) => parse(line, before).parts.filter(([kind]) => kind !== '').map(([kind, text]) => kind + ' ' + text);

test('keywords, strings, numbers and comments are told apart', () => {
  assert.deepEqual([...kinds("    return json.loads(f'{a}', 0x1F)  # all of 'it'")], [
    'keyword return', "string f'{a}'", 'number 0x1F', "comment # all of 'it'",
  ]);
  assert.deepEqual([...kinds('x = "a \\" # no" + b1')], ['string "a \\" # no"']);
  assert.deepEqual([...kinds('数据 = returned.for_each(None)')], ['keyword None']);
});

test('soft keywords are words elsewhere', () => {
  assert.deepEqual([...kinds('match = re.match(type(x))')], []);
  assert.deepEqual([...kinds('    match point:')], ['keyword match']);
});

test('a string of three quotes goes on, and ends', () => {
  const { parts, open } = parse('def f(): r\"\"\"Say "it"'.replaceAll('\\', ''));
  assert.equal(open, '"""');
  assert.equal(parts.at(-1)[1], 'r"""Say "it"');
  assert.deepEqual([...kinds('for all', open)], ['string for all']);
  assert.deepEqual([...kinds('it.""" if x', open)], ['string it."""', 'keyword if']);
  assert.equal(parse('it.""" if x', open).open, '');
});

test('nothing of a line is lost', () => {
  for (const line of ['', "'open", '"\\', 'f"{x!r}" 1_000j # 注释', "'''", '\t@decorated(1.5e-3)', '\u2028 = """a""" """']) {
    for (const before of ['', "'''", '"""']) {
      assert.equal(parse(line, before).parts.map(([, text]) => text).join(''), line);
    }
  }
});
