// One row of the table of both sides: the change of each figure, and what it was and is.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const { element } = memdeep.elements;
  const COLUMNS = ['growth', 'rise', 'peak_heap', 'rss_growth', 'allocations', 'duration'];
  const NARROW = ['name', 'growth', 'rise'];
  const OF_NOTHING = ['growth', 'rise', 'allocations', 'line']; // what a phase that is not there has none of
  const isKnown = (value) => value !== null && value !== undefined;
  const ALIKE = '~';
  const say = (key, values) => memdeep.words.say(key, values);

  function valueText(column, value) {
    if (value === null) return format.bytes(null);
    if (column === 'duration') return format.seconds(value);
    if (column === 'allocations') return format.count(value);
    return format.bytes(value);
  }

  // The difference with its sign, and its share, as memdeep/report/comparison/wording.py has it.
  function changeText(column, { before, after, delta, isAlike }) {
    if (!isKnown(delta)) return format.bytes(null);
    if (isAlike) return ALIKE;
    const sign = delta > 0 ? '+' : '−';
    const text = sign + valueText(column, Math.abs(delta));
    return before > 0 && isKnown(after) ? [text, ' ' + sign + percent(Math.abs(delta) / before)] : text;
  }

  // A share of a change, which is told by its size first: whole from ten on.
  const percent = (ratio) => (ratio >= 0.0995 ? (ratio * 100).toFixed(0) + ' %' : format.percent(ratio));

  // Time is no memory: it has no colour.
  const toneOf = (column, { delta, isAlike }) => (!isKnown(delta) ? 'unknown' : isAlike || delta === 0 || column === 'duration' ? 'flat' : delta > 0 ? 'up' : 'down');

  // What is not there keeps nothing: of a phase or a line of one side alone that is the change.
  // Where it is not known if they are alike, a run did not complete, which leaves the change open.
  function differenceOf(column, { before, after, isAlike }, match) {
    if (isAlike === null) return null;
    if (isKnown(before) && isKnown(after)) return after - before;
    const isOneSided = ['added', 'removed'].includes(match) && OF_NOTHING.includes(column);
    return !isOneSided || (!isKnown(before) && !isKnown(after)) ? null : (after ?? 0) - (before ?? 0);
  }

  // A figure of a row: { before, after, delta, isAlike }, null where the row has none.
  function figureOf(rows, column, row) {
    const columns = rows.figures[column];
    if (columns === undefined || row >= columns.before.length) return null;
    const { before: { [row]: before }, after: { [row]: after } } = columns;
    const { alike: { [row]: isAlike } } = columns;
    return { before, after, delta: differenceOf(column, { before, after, isAlike }, rows.match[row]), isAlike };
  }

  // Both sides; where there is little room, a unit that both have stands once.
  function sidesElement(column, { before, after }) {
    const [was, now] = [before, after].map((value) => valueText(column, value).split(' '));
    const isShared = was.length === 2 && was[1] === now[1];
    const made = element('span', 'sides', was[0]);
    if (was.length > 1) made.append(element('span', isShared ? 'shared-unit' : '', ' ' + was.slice(1).join(' ')));
    made.append(' → ' + now.join(' '));
    made.title = made.textContent;
    return made;
  }

  // The change, and beneath it both sides.
  function figureElements(column, figure) {
    const [text, share = ''] = [changeText(column, figure)].flat();
    const change = element('span', 'change tone-' + toneOf(column, figure), text, element('span', 'change-share', share));
    if (figure.isAlike) change.title = say('compare.is_alike_meaning');
    return [change, sidesElement(column, figure)];
  }

  function create({ rows, nameOf, oldName }) {
    const columns = ['name', ...COLUMNS.filter((column) => column in rows.figures)];
    const isNested = rows.parent.some((parent) => parent >= 0) || rows.members.some((members) => members > 0);

    function noteOf(row) {
      const match = rows.match[row];
      return match === 'same' || rows.members[row] > 0 ? '' : say('diff.match_' + match, { name: oldName(row) });
    }

    function name({ phase, level, isParent, isOpen }) {
      const cell = element('th');
      cell.scope = 'row';
      cell.style.setProperty('--depth', level);
      const line = element('div', 'name-line');
      const twist = element('span', !isParent ? 'twist-space' : isOpen ? 'twist is-open' : 'twist');
      if (isParent) twist.title = say(isOpen ? 'phases.fold' : 'phases.unfold');
      if (isNested) line.append(twist);
      const label = element('a', 'phase-name', element('bdi', '', nameOf(phase)));
      if (rows.members[phase] === 0) label.href = '#phase=' + phase;
      label.tabIndex = -1;
      label.title = nameOf(phase);
      const words = element('span', 'name-words', label);
      const note = noteOf(phase);
      if (note !== '') {
        const mark = element('span', 'match-note', note);
        mark.title = note;
        words.append(mark);
      }
      line.append(words);
      cell.append(line);
      return cell;
    }

    function figure(column, { phase }) {
      const found = figureOf(rows, column, phase);
      return element('td', 'number', ...(found === null ? [] : figureElements(column, found)));
    }

    const cell = (column, shown) => (column === 'name' ? name(shown) : figure(column, shown));
    const kindsOf = ({ phase }) => [rows.alike[phase] && 'is-alike', rows.members[phase] > 0 && 'is-folding'];
    const isNumber = (column) => column !== 'name';
    const isNarrow = (column) => NARROW.includes(column);

    // What the filter looks through.
    const textOf = (phase) => nameOf(phase) + '\n' + oldName(phase);

    return { cell, kindsOf, isNumber, isNarrow, textOf, columns, noteOf, words: 'compare' };
  }

  memdeep.compareCells = { create, figureOf, figureElements, differenceOf, COLUMNS };
})(globalThis.memdeep = globalThis.memdeep || {});
