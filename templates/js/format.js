// Figures as words, the same way the Python side writes them.
(function (memdeep) {
  'use strict';

  const UNIT = 1024;
  // From here on one decimal would read "1024.0" of the smaller unit.
  const ROUNDS_UP = 1023.95;
  const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'];
  const COUNT = new Intl.NumberFormat('en-US');

  function bytes(value) {
    let size = Math.abs(value);
    let unit = 0;
    while (size >= ROUNDS_UP && unit < UNITS.length - 1) {
      size /= UNIT;
      unit += 1;
    }
    const digits = unit === 0 ? String(size) : size.toFixed(1);
    return (value < 0 ? '−' : '') + digits + ' ' + UNITS[unit];
  }

  function percent(share) {
    const value = share * 100;
    return value.toFixed(value === 0 || value >= 99.95 ? 0 : 1) + ' %';
  }

  function count(value) {
    return COUNT.format(value);
  }

  function counted(value, one, many) {
    return count(value) + ' ' + (value === 1 ? one : many);
  }

  function seconds(value) {
    if (value < 60) return value.toFixed(2) + ' s';
    return Math.floor(value / 60) + ' min ' + (value % 60).toFixed(1) + ' s';
  }

  memdeep.format = { bytes, percent, count, counted, seconds };
})(globalThis.memdeep = globalThis.memdeep || {});
