// Figures as words, rounded the way memdeep/text/units.py rounds them.
(function (memdeep) {
  'use strict';

  const UNIT = 1024;
  const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
  const GB = UNITS.indexOf('GB');
  const FOUR_DIGITS = 999.95; // from here on one decimal would read "1000.0"
  const TWO_DIGITS = 9.995;
  const MINUS = '−';
  const UNKNOWN = '–';
  const COUNT = new Intl.NumberFormat('en-US');

  // Python rounds a tie to the even digit, toFixed() away from zero. Ties are exact in binary.
  function fixed(value, digits) {
    const isTie = (value * 2 ** (digits + 1)) % 2 === 1;
    if (!isTie) return value.toFixed(digits);
    const scale = 10 ** digits;
    const below = Math.floor(value * scale);
    return ((below % 2 === 0 ? below : below + 1) / scale).toFixed(digits);
  }

  const isKnown = (value) => value !== null && value !== undefined;

  // 345 B, 1.5 KB, 329.3 MB, 1.04 GB; an en dash for what is not known.
  function bytes(value) {
    if (!isKnown(value)) return UNKNOWN;
    let size = Math.abs(value);
    let unit = 0;
    while (size >= (unit === 0 ? UNIT : FOUR_DIGITS) && unit < UNITS.length - 1) {
      size /= UNIT;
      unit += 1;
    }
    const digits = unit === 0 ? 0 : unit >= GB && size < TWO_DIGITS ? 2 : 1;
    return (value < 0 ? MINUS : '') + fixed(size, digits) + ' ' + UNITS[unit];
  }

  // Like bytes, with a plus where it grew; 0 where nothing changed.
  function signedBytes(value) {
    if (value === 0) return '0';
    return (isKnown(value) && value > 0 ? '+' : '') + bytes(value);
  }

  function percent(ratio) {
    if (!isKnown(ratio)) return UNKNOWN;
    const value = Math.abs(ratio * 100);
    const text = fixed(value, value >= 99.95 || value === 0 ? 0 : 1) + ' %';
    return (ratio < 0 ? MINUS : '') + text;
  }

  const twoDigits = (value) => String(value).padStart(2, '0');

  // 12 ms, 3.2 s, 2 min 05 s, 3 h 07 min; <1 ms for what is not quite none.
  function seconds(value) {
    if (!isKnown(value)) return UNKNOWN;
    const milliseconds = value * 1000;
    if (milliseconds > 0 && milliseconds <= 0.5) return '<1 ms';
    if (milliseconds < 999.5) return fixed(milliseconds, 0) + ' ms';
    if (value < 59.95) return fixed(value, 1) + ' s';
    const whole = Number(fixed(value, 0));
    if (whole < 3600) return Math.floor(whole / 60) + ' min ' + twoDigits(whole % 60) + ' s';
    const minutes = Number(fixed(value / 60, 0));
    return Math.floor(minutes / 60) + ' h ' + twoDigits(minutes % 60) + ' min';
  }

  function count(value) {
    return isKnown(value) ? COUNT.format(value) : UNKNOWN;
  }

  memdeep.format = { bytes, signedBytes, percent, seconds, count, UNKNOWN, MINUS };
})(globalThis.memdeep = globalThis.memdeep || {});
