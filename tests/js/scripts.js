// Loads scripts of the page into a context of their own, as the page does, but without a document.
'use strict';

const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const vm = require('node:vm');

const DIRECTORY = join(__dirname, '..', '..', 'templates', 'js');
const PURE = [
  'format', 'elements', 'python-colours', 'payload', 'scope', 'flame-tree', 'flame-native', 'flame-layout', 'flame-keys', 'ranking', 'thread-limit', 'selection', 'sparkline', 'search',
  'source-view', 'stack-panel', 'sandwich', 'lives', 'tree-rows', 'holder-tree', 'holder-types',
];

// The words are left as their keys, with the values after them.
const words = { say: (key, values = {}) => [key, ...Object.values(values)].join(' ') };

function load(names = PURE, globals = {}) {
  const context = vm.createContext({
    Intl, Blob, Response, DecompressionStream, atob, memdeep: { words }, ...globals,
  });
  for (const name of names) {
    const file = join(DIRECTORY, name + '.js');
    vm.runInContext(readFileSync(file, 'utf8'), context, { filename: file });
  }
  return context.memdeep;
}

module.exports = { load };
