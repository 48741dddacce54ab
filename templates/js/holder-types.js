// The types of the objects at each snapshot as a table, or at two of them with what is new.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const { element } = memdeep.elements;
  const MOST_ROWS = 25; // until all are asked for
  const FEW = 6; // columns have room
  const WORTH_A_DRAWING = 3; // snapshots
  const say = (key, values) => memdeep.words.say(key, values);

  // The columns: each has bytes and count by type, and those of the types that are not listed. Pure.
  function columnsOf({ types, others }, snapshot, since) {
    const at = (place) => ({ bytes: types.bytes[place], count: types.count[place], others: [others.bytes[place], others.count[place]] });
    if (since === null) {
      return types.bytes.map((_, place) => ({ key: String(place), snapshot: place, isSigned: false, ...at(place) }));
    }
    const [now, before] = [at(snapshot), at(since)];
    const less = (a, b) => a.map((value, place) => value - b[place]);
    return [
      {
        key: 'change', snapshot: null, isSigned: true,
        bytes: less(now.bytes, before.bytes), count: less(now.count, before.count), others: less(now.others, before.others),
      },
      { key: String(snapshot), snapshot, isSigned: false, ...now },
      { key: String(since), snapshot: since, isSigned: false, ...before },
    ];
  }

  // The types in the order of a column, without those that no column has; signed ones by their growth. Pure.
  function ranked({ name }, columns, sort, matches) {
    const column = columns.find(({ key }) => key === sort) ?? columns[0];
    const isThere = (place) => columns.some(({ bytes, count }) => bytes[place] !== 0 || count[place] !== 0);
    return name.map((_, place) => place)
      .filter((place) => isThere(place) && matches(name[place]))
      .sort((a, b) => column.bytes[b] - column.bytes[a] || column.count[b] - column.count[a] || a - b);
  }

  // What each snapshot has, as a small drawing: all of them are as wide.
  function course(values, label) {
    return memdeep.sparkline.draw([...values.keys(), values.length], [...values, values.at(-1)], [], label);
  }

  // `nameOf(snapshot)` names it.
  function create(root, outline, nameOf) {
    const head = element('thead');
    const body = element('tbody');
    const table = element('table', 'lines holder-types', head, body);
    const box = element('div', 'lines-box', table);
    box.tabIndex = 0;
    box.setAttribute('role', 'region');
    const note = element('p', 'hint');
    root.replaceChildren(box, note);
    let shown = { snapshot: 0, since: null, matches: () => true, isSearched: false };
    let sort = null;
    let isWhole = false;

    function headCell(column, isSorted) {
      const cell = element('th', 'number' + (column.snapshot === shown.snapshot && shown.since === null ? ' is-chosen' : ''));
      cell.scope = 'col';
      cell.setAttribute('aria-sort', isSorted ? 'descending' : 'none');
      const title = column.snapshot === null ? say('held.change') : nameOf(column.snapshot);
      const button = element('button', '', element('bdi', '', title));
      button.type = 'button';
      button.title = title;
      button.dataset.sort = column.key;
      cell.append(button);
      return cell;
    }

    function figure(column, bytes, count, most) {
      const isChosen = column.snapshot === shown.snapshot && shown.since === null;
      const text = column.isSigned ? format.signedBytes(bytes) : format.bytes(bytes);
      const counted = (column.isSigned && count > 0 ? '+' : '') + format.count(count).replace('-', format.MINUS);
      const tone = column.isSigned && bytes !== 0 ? (bytes > 0 ? ' tone-up' : ' tone-down') : '';
      const isNothing = bytes === 0 && count === 0;
      const cell = element('td', 'number' + tone + (isNothing ? ' zero' : '') + (isChosen ? ' is-chosen' : ''), isNothing ? '–' : text);
      if (isNothing) return cell;
      cell.append(element('span', 'held-count', count === 0 ? '–' : counted));
      const bar = element('span', 'bar');
      bar.style.setProperty('--size', (100 * Math.abs(bytes)) / most + '%');
      cell.append(bar);
      return cell;
    }

    function life(place) {
      const cell = element('td', 'column-life');
      const values = outline.types.bytes.map((bytes) => bytes[place]);
      const most = values.reduce((high, bytes) => Math.max(high, bytes), 0);
      if (most > 0) cell.append(course(values, say('held.life', { most_bytes: most })));
      return cell;
    }

    function row(name, columns, figures, most, drawn) {
      // Its module stands beneath it, so that neither hides the other.
      const [, module, last] = /^(?:([^<]*)\.)?(.*)$/s.exec(name);
      const cell = element('th', '', element('bdi', 'line-name', last || name), ...(module ? [element('bdi', 'line-more', module)] : []));
      cell.scope = 'row';
      cell.title = name;
      return element('tr', '', cell, ...drawn, ...columns.map((column, k) => figure(column, ...figures[k], most)));
    }

    function draw() {
      const columns = columnsOf(outline, shown.snapshot, shown.since);
      const sorted = columns.some(({ key }) => key === sort) ? sort : shown.since === null ? String(shown.snapshot) : 'change';
      const places = ranked(outline.types, columns, sorted, shown.matches);
      const told = isWhole || shown.isSearched ? places : places.slice(0, MOST_ROWS);
      const most = Math.max(1, ...columns.flatMap(({ bytes }) => bytes.map(Math.abs)));
      const isDrawn = shown.since === null && columns.length >= WORTH_A_DRAWING;
      const name = element('th', '', say('held.type'));
      name.scope = 'col';
      const lifeHead = element('th', 'column-life', say('held.course'));
      lifeHead.scope = 'col';
      head.replaceChildren(element('tr', '', name, ...(isDrawn ? [lifeHead] : []), ...columns.map((column) => headCell(column, column.key === sorted))));
      box.style.setProperty('--columns', columns.length);
      table.classList.toggle('is-few', columns.length <= FEW);
      const rows = told.map((place) => row(
        outline.types.name[place], columns, columns.map(({ bytes, count }) => [bytes[place], count[place]]), most, isDrawn ? [life(place)] : [],
      ));
      if (outline.others.n > 0 && told.length === places.length && !shown.isSearched) {
        rows.push(row(say('held.other_types', { n: outline.others.n }), columns, columns.map(({ others }) => others), most, isDrawn ? [element('td', 'column-life')] : []));
      }
      body.replaceChildren(...rows);
      box.setAttribute('aria-label', say('held.types_table'));
      const rest = places.length - told.length;
      note.replaceChildren(...(places.length === 0 ? [say('held.no_type')] : rest === 0 ? [] : [wholeButton(rest)]));
    }

    function wholeButton(rest) {
      const made = element('button', 'button', say('held.more_types', { n: rest }));
      made.type = 'button';
      made.addEventListener('click', () => {
        isWhole = true;
        draw();
        box.focus();
      });
      return made;
    }

    head.addEventListener('click', (event) => {
      const button = event.target.closest('[data-sort]');
      if (button === null) return;
      sort = button.dataset.sort;
      draw();
      head.querySelector('[aria-sort="descending"] button').focus();
    });

    return {
      // `matches(text)` says which types are looked for; all where nothing `isSearched`.
      show(snapshot, since, matches, isSearched) {
        if (snapshot !== shown.snapshot || since !== shown.since) sort = null;
        shown = { snapshot, since, matches, isSearched };
        draw();
        const chosen = head.querySelector('.is-chosen');
        const name = head.querySelector('th');
        if (chosen !== null && (chosen.offsetLeft + chosen.offsetWidth > box.scrollLeft + box.clientWidth || chosen.offsetLeft < box.scrollLeft + name.offsetWidth)) {
          box.scrollLeft = chosen.offsetLeft - box.clientWidth / 2;
        }
      },
    };
  }

  memdeep.holderTypes = { create, columnsOf, ranked, course };
})(globalThis.memdeep = globalThis.memdeep || {});
