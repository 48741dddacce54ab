// The lines of what is looked at: what each holds before and after, and its text on both sides.
(function (memdeep) {
  'use strict';

  const { element } = memdeep.elements;
  const { figureElements, differenceOf } = memdeep.compareCells;
  const say = (key, values) => memdeep.words.say(key, values);

  function head(key, className) {
    const cell = element('th', className, say(key));
    cell.scope = 'col';
    return cell;
  }

  function code(text, place) {
    const made = element('code');
    if (text === null) made.textContent = say('compare.no_text');
    else memdeep.pythonColours.paint(made, text, place.replace(/:\d+$/, ''));
    return made;
  }

  // `find(text)` looks for a line in the graph.
  function create(root, find) {
    function place(line, was = '') {
      const button = element('button', '', element('bdi', '', line.place));
      button.type = 'button';
      button.title = say('compare.find_line');
      button.addEventListener('click', () => find(line.place.replace(/^.*[\\/]/s, '')));
      return element('span', 'line-place', button, ' ' + line.function, ...(was === '' ? [] : [element('span', 'quiet', ' ' + was)]));
    }

    function side(line, className, was) {
      return element('div', className, place(line, was), ...(line.text === null ? [] : [code(line.text, line.place)]));
    }

    function row({ match, isAlike, bytes, before, after }) {
      const cell = element('th');
      cell.scope = 'row';
      if (match !== 'same') cell.append(element('span', 'match-note', match === 'edited' ? say('compare.edited') : say('diff.match_' + match, { name: '' })));
      const isEdited = before !== null && after !== null && before.text !== after.text;
      const isShifted = before !== null && after !== null && !isEdited && before.place !== after.place;
      if (before !== null && (after === null || isEdited)) cell.append(side(before, 'line-old'));
      if (after !== null) cell.append(side(after, '', isShifted ? '(' + say('compare.was_at', { place: before.place }) + ')' : ''));
      const figure = { ...bytes, delta: differenceOf('line', { ...bytes, isAlike }, match), isAlike };
      return element('tr', '', cell, element('td', 'number', ...figureElements('line', figure)));
    }

    return {
      show({ lines, all }) {
        if (lines.length === 0) {
          root.replaceChildren(element('p', 'hint', say('compare.lines_none')));
          return;
        }
        const table = element('table', 'line-pairs',
          element('thead', '', element('tr', '', head('compare.line', ''), head('compare.change', 'number'))),
          element('tbody', '', ...lines.map(row)));
        table.setAttribute('aria-labelledby', 'lines-title');
        const more = all - lines.length;
        root.replaceChildren(table, ...(more > 0 ? [element('p', 'hint', say('compare.lines_more', { n: more }))] : []));
      },
    };
  }

  memdeep.compareLines = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
