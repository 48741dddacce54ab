// One row of the phases' table as elements. Decides nothing about which rows there are.
(function (memdeep) {
  'use strict';

  const { format, names, phaseNotes, phaseRows } = memdeep;
  const { element } = memdeep.elements;
  const SVG = 'http://www.w3.org/2000/svg';
  const LOW_RATIO = 0.6;
  const [LARGE_SHARE, SMALL_SHARE] = [0.1, 0.01]; // of the largest change
  const NARROW = ['name', 'rss', 'workers', 'heap', 'peak']; // the columns that stay on a narrow screen
  const say = (key, values) => memdeep.words.say(key, values);

  function svg(name, attributes) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  // The growth of each repeat as a curve over its zero line; two repeats make no trend.
  function sparkline(deltas) {
    if (deltas.length < 3) return null;
    const [low, high] = [Math.min(0, ...deltas), Math.max(1, ...deltas)];
    const y = (value) => (((high - value) / (high - low)) * 20).toFixed(1);
    const points = deltas.map((value, place) => ((place / (deltas.length - 1)) * 100).toFixed(1) + ',' + y(value));
    const picture = svg('svg', {
      class: 'spark', viewBox: '0 -1 100 22', preserveAspectRatio: 'none', role: 'img', 'aria-label': say('phases.trend_picture'),
    });
    picture.append(
      svg('polygon', { points: ['0,' + y(0), ...points, '100,' + y(0)].join(' ') }),
      svg('polyline', { points: points.join(' ') }),
    );
    return picture;
  }

  // A colour tells a growth worth looking at: +1 B is not as loud as +141 MB. memdeep/report/page/view.py
  // has the same rule.
  function toneOf(value, most) {
    if (value === null) return 'unknown';
    const tone = value === 0 ? 'flat' : value > 0 ? 'up' : 'down';
    const share = Math.abs(value) / most;
    return value === 0 || share >= LARGE_SHARE ? tone : tone + (share >= SMALL_SHARE ? ' is-fair' : ' is-slight');
  }

  const largest = (...columns) => Math.max(1, ...columns.flat().map((value) => Math.abs(value ?? 0)));

  function create({ core, frames }) {
    const { phases } = core;
    const isNested = phases.parent.some((parent) => parent >= 0) || phases.members.some((members) => members > 0);
    const scales = {
      delta: largest(phases.rss, phases.workers ?? [], phases.heap),
      peak: largest(phases.peak),
      gross: largest(phases.allocated, phases.freed, phases.churn),
    };

    function culpritText(phase) {
      return phases.culprit[phase] < 0 ? null : frames.location(core.lines[phases.culprit[phase]]);
    }

    // Of a long place the file's name is cut, never the line.
    function placeElement(place) {
      const [, file, line] = /^(.*?)(:\d+)?$/s.exec(place);
      const made = element('bdi', 'from-place');
      made.append(element('span', 'from-file', file), element('span', 'from-line', line ?? ''));
      return made;
    }

    function number(text, className, value, scale) {
      const cell = element('td', 'number ' + className);
      cell.append(element('span', '', text));
      if (value) {
        const bar = element('span', 'bar');
        bar.style.setProperty('--share', Math.abs(value) / scale);
        cell.append(bar);
      }
      return cell;
    }

    function delta(value) {
      return number(format.signedBytes(value), 'tone-' + toneOf(value, scales.delta), value, scales.delta);
    }

    const gross = (name) => ({ phase }) => number(format.bytes(phases[name][phase]), 'neutral', phases[name][phase], scales.gross);

    function beyond({ phase }) {
      const cell = element('td', 'number quiet');
      const bytes = phaseRows.beyondOf(phases, phase);
      const main = phaseNotes.mainPart(phases, phase);
      cell.append(element('span', '', format.signedBytes(bytes)));
      cell.title = phaseNotes.partsText(phases, phase);
      if (bytes !== null && main !== null) cell.append(element('span', 'part-name', main));
      return cell;
    }

    function rss({ phase }) {
      const cell = delta(phases.rss[phase]);
      if (phases.sharesRss[phase]) {
        cell.firstChild.append(element('span', 'mark', '‡'));
        cell.title = say('phases.shares_rss_meaning');
      }
      return cell;
    }

    function workers({ phase }) {
      const cell = delta(phases.workers[phase]);
      if (phases.workersOfHeap[phase]) {
        cell.firstChild.append(element('span', 'mark', '*'));
        cell.title = say('phases.workers_of_heap');
      }
      const count = phases.workersIn[phase];
      if (phases.workers[phase] && count > 0) cell.append(element('span', 'part-name', say('phases.workers_in', { n: count })));
      return cell;
    }

    function explained({ phase }) {
      const ratio = phases.explained[phase];
      const className = ratio === null ? 'quiet' : ratio < LOW_RATIO ? 'is-low' : '';
      return element('td', 'number ' + className, format.percent(ratio));
    }

    function trend({ phase }) {
      const cell = element('td', 'trend');
      const line = sparkline(phases.deltas[phase]);
      if (line !== null) cell.append(line);
      const slope = phases.slope[phase];
      if (slope === null) return cell;
      cell.append(element('span', 'slope', format.signedBytes(slope)));
      if (phases.warmUp[phase] > 0) cell.title = say('phases.warm_up', { warm_up_bytes: phases.warmUp[phase] });
      return cell;
    }

    function culprit({ phase }) {
      const cell = element('td', 'from');
      const place = culpritText(phase);
      if (place === null) {
        cell.append(element('span', 'quiet', '–'));
        return cell;
      }
      cell.title = frames.path(core.lines[phases.culprit[phase]]);
      const share = format.bytes(phases.culpritBytes[phase]) + ' · ' + format.percent(phases.culpritShare[phase]);
      cell.append(placeElement(place), element('span', 'from-share', share));
      return cell;
    }

    function name({ phase, level, isParent, isOpen }) {
      const cell = element('th');
      cell.scope = 'row';
      cell.style.setProperty('--depth', level);
      const line = element('div', 'name-line');
      const twist = element('span', !isParent ? 'twist-space' : isOpen ? 'twist is-open' : 'twist');
      const label = element('a', 'phase-name');
      label.append(element('bdi', '', names.phase(core, phase)));
      label.href = '#phase=' + phase; // to be opened elsewhere, or copied
      label.tabIndex = -1; // the table is one stop, its arrow keys do the rest
      const times = phases.members[phase] || phases.stretches[phase].length / 2;
      label.title = names.phase(core, phase);
      if (isParent) twist.title = say(isOpen ? 'phases.fold' : 'phases.unfold');
      if (isNested) line.append(twist);
      const words = element('span', 'name-words');
      words.append(label);
      if (times > 1) words.append(element('span', 'repeats', '× ' + format.count(times)));
      if (phases.overlaps[phase]) {
        const mark = element('span', 'overlaps', say('phases.overlaps'));
        mark.title = say('phases.overlaps_meaning');
        words.append(mark);
      }
      const addUnfinished = (to) => {
        if (!phases.complete[phase]) to.append(element('span', 'unfinished', say('phases.unfinished')));
      };
      addUnfinished(words);
      line.append(words);
      cell.append(line);
      if (culpritText(phase) !== null) {
        const place = element('div', isNested ? 'narrow-culprit is-inset' : 'narrow-culprit');
        addUnfinished(place); // where the place is shown, the word is there instead
        place.append(placeElement(culpritText(phase)));
        cell.append(place);
      }
      return cell;
    }

    function thread({ phase }) {
      const cell = element('td', 'thread');
      const told = phases.thread[phase];
      cell.append(element('bdi', told === null ? 'quiet' : '', told ?? '–'));
      if (told !== null) cell.title = told;
      return cell;
    }

    const CELLS = {
      name,
      thread,
      duration: ({ phase }) => element('td', 'number', format.seconds(phases.duration[phase])),
      rss,
      workers,
      heap: ({ phase }) => delta(phases.heap[phase]),
      beyond,
      peak: ({ phase }) => number(format.bytes(phases.peak[phase]), 'neutral', phases.peak[phase], scales.peak),
      allocated: gross('allocated'),
      freed: gross('freed'),
      churn: gross('churn'),
      explained,
      trend,
      culprit,
    };

    const cell = (column, shown) => CELLS[column](shown);
    const kindsOf = ({ phase }) => ['kind-' + phases.kind[phase], phaseRows.isPattern(phases, phase) && 'is-pattern'];
    const isNumber = (column) => !['name', 'thread', 'trend', 'culprit'].includes(column);
    const isNarrow = (column) => NARROW.includes(column);

    // What the filter looks through.
    function textOf(phase) {
      const line = phases.culprit[phase];
      return names.phase(core, phase) + '\n' + (line < 0 ? '' : frames.path(core.lines[line]));
    }

    return { cell, kindsOf, isNumber, isNarrow, culpritText, textOf, words: 'phases' };
  }

  memdeep.phaseCells = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
