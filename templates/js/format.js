// Figures as words, the same way the Python side writes them.
(function (memdeep) {
  'use strict';

  const UNIT = 1024;
  // From here on one decimal would read "1024.0" of the smaller unit.
  const ROUNDS_UP = 1023.95;
  const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
  const UNKNOWN = '–';
  const COUNT = new Intl.NumberFormat('en-US');

  function known(value) {
    return value !== null && value !== undefined;
  }

  function bytes(value) {
    if (!known(value)) return UNKNOWN;
    let size = Math.abs(value);
    let unit = 0;
    while (size >= ROUNDS_UP && unit < UNITS.length - 1) {
      size /= UNIT;
      unit += 1;
    }
    const digits = unit === 0 ? size.toFixed(0) : size.toFixed(1);
    return (value < 0 ? '−' : '') + digits + ' ' + UNITS[unit];
  }

  function signedBytes(value) {
    if (value === 0) return '0';
    return (known(value) && value > 0 ? '+' : '') + bytes(value);
  }

  function percent(share) {
    if (!known(share)) return UNKNOWN;
    const value = Math.abs(share * 100);
    const text = value.toFixed(value === 0 || value >= 99.95 ? 0 : 1) + ' %';
    return (share < 0 ? '−' : '') + text;
  }

  function count(value) {
    return known(value) ? COUNT.format(value) : UNKNOWN;
  }

  function two(value) {
    return String(value).padStart(2, '0');
  }

  function seconds(value) {
    if (!known(value)) return UNKNOWN;
    if (value < 0.9995) return (value * 1000).toFixed(0) + ' ms';
    if (value < 59.95) return value.toFixed(1) + ' s';
    const whole = Math.round(value);
    if (whole < 3600) return Math.floor(whole / 60) + ' min ' + two(whole % 60) + ' s';
    const minutes = Math.round(value / 60);
    return Math.floor(minutes / 60) + ' h ' + two(minutes % 60) + ' min';
  }

  memdeep.format = { bytes, signedBytes, percent, count, seconds };
})(globalThis.memdeep = globalThis.memdeep || {});
