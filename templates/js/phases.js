// The table of phases: only the rows in sight exist. Sorts, filters, folds, selects by mouse and keys.
(function (memdeep) {
  'use strict';

  const { element } = memdeep.elements;
  const { TEXTS, isPattern } = memdeep.phaseRows;
  const SPARE_ROWS = 12;
  const PAGE = 10;
  const say = (key, values) => memdeep.words.say(key, values);

  function spacer() {
    const row = document.createElement('tr');
    row.className = 'spacer';
    row.setAttribute('aria-hidden', 'true');
    return row;
  }

  // The row of `item`, which is one of phase-rows.js; `cells` are what the table is of.
  function rowOf(cells, item, columns) {
    const made = element('tr', [...cells.kindsOf(item), item.context && 'is-context'].filter(Boolean).join(' '));
    made.id = 'phase-row-' + item.phase;
    made.dataset.row = item.phase;
    made.setAttribute('role', 'row'); // boxes in a line are no table to a screen reader by themselves
    made.setAttribute('aria-level', item.level + 1);
    if (item.isParent) made.setAttribute('aria-expanded', item.isOpen);
    for (const column of columns) {
      const cell = cells.cell(column, item);
      cell.classList.add('cell-' + column);
      cell.setAttribute('role', column === 'name' ? 'rowheader' : 'gridcell');
      cell.classList.toggle('wide', !cells.isNarrow(column));
      made.append(cell);
    }
    return made;
  }

  function headOf(cells, column) {
    const cell = element('th', 'cell-' + column);
    cell.classList.toggle('number', cells.isNumber(column));
    cell.classList.toggle('wide', !cells.isNarrow(column));
    cell.scope = 'col';
    cell.setAttribute('role', 'columnheader');
    const button = element('button', 'sort', say(cells.words + '.' + column));
    button.type = 'button';
    button.dataset.sort = column;
    if (column !== 'name') button.title = say(cells.words + '.' + column + '_meaning');
    cell.append(button);
    return cell;
  }

  // The phases of a run: their cells, the order of their rows, the columns; two may be compared.
  function ofRun(data) {
    const { phases } = data.core;
    const cells = memdeep.phaseCells.create(data);
    const order = memdeep.phaseRows.create(phases, cells.textOf, cells.culpritText);
    return { phases, cells, order, columns: memdeep.phaseRows.knownColumns(phases), areComparable: true };
  }

  // `on` = { scope(scope), done() }: the reader chose one, and wants to see what is in it. `of` is
  // what is in the table, as `ofRun` has it.
  function create(box, tools, of, store, on) {
    const { phases, cells, order, columns, areComparable } = of;
    const table = box.querySelector('table');
    const body = table.tBodies[0];
    const [above, below] = [spacer(), spacer()];
    const part = {
      filter: tools.querySelector('[data-filter]'), grew: tools.querySelector('[data-grew]'),
      nested: tools.querySelector('[data-nested]'), shown: tools.querySelector('[data-shown]'), whole: tools.querySelector('[data-whole]'),
      nothing: box.querySelector('[data-nothing]'), nothingWords: box.querySelector('[data-nothing-words]'), clear: box.querySelector('[data-clear]'),
    };
    const closed = new Set(phases.name.flatMap((_, phase) => (isPattern(phases, phase) ? [phase] : [])));
    const untouched = new Set(closed); // patterns, which are closed to begin with
    const phaseCount = phases.name.length - closed.size;
    let sort = { column: null, direction: -1 }; // null: in the order of the program
    let shown = [];
    let active = 0; // the row the keyboard stands on
    let made = new Map(); // phase -> its row, as long as it looks the same
    let drawn = [0, 0]; // the places of the rows that are there
    let height = 0; // of a row
    let waiting = 0;
    let isOnPaper = false; // where all rows are there

    const phaseOf = (scope) => (scope?.kind === 'phase' ? scope.phase : -1);

    function rowAt(place) {
      const item = shown[place];
      if (!made.has(item.phase)) {
        const row = rowOf(cells, item, columns);
        row.setAttribute('aria-rowindex', place + 2);
        made.set(item.phase, row);
      }
      return made.get(item.phase);
    }

    function mark(row, place) {
      const { scope, versus } = store.get();
      const { phase } = shown[place];
      row.setAttribute('aria-selected', phaseOf(scope) === phase);
      row.classList.toggle('selected', phaseOf(scope) === phase);
      row.classList.toggle('versus', phaseOf(versus) === phase);
      row.classList.toggle('active', place === active);
    }

    // Rows that stay are left alone: while scrolling only those that come and go cost anything.
    function drawRows(first, last, isScrolled = false) {
      drawn = [first, last];
      above.style.setProperty('height', first * height + 'px');
      below.style.setProperty('height', (shown.length - last) * height + 'px');
      above.hidden = first === 0;
      below.hidden = last === shown.length;
      const rows = Array.from({ length: last - first }, (_, i) => rowAt(first + i));
      const staying = new Set(rows);
      for (const row of [...body.rows]) if (row !== above && row !== below && !staying.has(row)) row.remove();
      let next = above;
      rows.forEach((row, place) => {
        const isNew = next.nextSibling !== row;
        if (isNew) next.after(row);
        if (isNew || !isScrolled) mark(row, first + place);
        next = row;
      });
      const isInSight = active >= first && active < last;
      if (isInSight) table.setAttribute('aria-activedescendant', 'phase-row-' + shown[active].phase);
      else table.removeAttribute('aria-activedescendant');
    }

    function draw(isScrolled = false) {
      if (isOnPaper) {
        drawRows(0, shown.length);
        return;
      }
      const first = Math.max(0, Math.floor(box.scrollTop / height) - SPARE_ROWS);
      const last = Math.ceil((box.scrollTop + box.clientHeight) / height) + SPARE_ROWS;
      drawRows(Math.min(first, shown.length), Math.min(shown.length, last), isScrolled);
    }

    // A narrow screen has taller rows; a table that does not fit keeps its first column in sight.
    function measure() {
      height = parseFloat(getComputedStyle(table).getPropertyValue('--row-height'));
      box.classList.remove('is-cut');
      const whole = box.scrollWidth;
      table.style.setProperty('--whole', whole + 'px');
      box.classList.toggle('is-cut', whole > box.clientWidth);
      draw();
    }

    function onScroll() {
      waiting ||= requestAnimationFrame(() => {
        waiting = 0;
        const from = Math.floor(box.scrollTop / height) - 2;
        const to = Math.ceil((box.scrollTop + box.clientHeight) / height) + 2;
        if (drawn[0] > Math.max(0, from) || drawn[1] < Math.min(shown.length, to)) draw(true);
      });
    }

    function showHead() {
      const row = document.createElement('tr');
      row.setAttribute('role', 'row');
      row.append(...columns.map((column) => headOf(cells, column)));
      table.tHead.replaceChildren(row);
      showSort();
    }

    function showSort() {
      for (const button of table.tHead.querySelectorAll('[data-sort]')) {
        const isSorted = button.dataset.sort === sort.column;
        button.parentElement.setAttribute('aria-sort', !isSorted ? 'none' : sort.direction > 0 ? 'ascending' : 'descending');
      }
    }

    // Which rows there are may have changed. The keyboard stays on its phase if that is still there.
    function refresh() {
      const stood = shown[active]?.phase;
      const wish = {
        sort: sort.column, direction: sort.direction, words: part.filter.value,
        onlyGrew: part.grew.checked, nested: part.nested.checked, closed, untouched,
      };
      shown = order.rows(wish);
      made = new Map();
      active = Math.max(0, shown.findIndex((item) => item.phase === stood));
      table.setAttribute('aria-rowcount', shown.length + 1);
      const left = order.count(wish);
      part.shown.textContent = left === phaseCount ? '' : say('phases.shown', { n: left, all: phaseCount });
      part.nothing.hidden = shown.length > 0;
      part.nothingWords.textContent = say('phases.nothing', { words: wish.words.trim() });
      draw();
    }

    // The first row to show so that a row is in sight beneath as many of those around it as there is
    // room for: no child stands there without its parent.
    function firstAround(place, fit) {
      if (place + 1 <= fit) return 0;
      let first = Math.max(0, place - Math.floor(fit / 2));
      for (let above = parentOf(place); place - above + 1 <= fit; above = parentOf(above)) {
        first = above;
        if (parentOf(above) === above) break;
      }
      return first;
    }

    // A row that was out of sight comes to the nearest edge, or with those around it; the top one is whole.
    function stand(place, isAround = false) {
      active = Math.min(shown.length - 1, Math.max(0, place));
      const fit = (box.clientHeight - table.tHead.offsetHeight) / height;
      const top = box.scrollTop / height;
      const first = active < top ? active : active + 1 > top + fit ? Math.ceil(active + 1 - fit) : null;
      if (first !== null) box.scrollTop = height * (isAround ? firstAround(active, fit) : first);
      draw();
    }

    // A phase that was selected elsewhere comes into sight, its parents opened.
    function showSelected() {
      const phase = phaseOf(store.get().scope);
      const shut = phase < 0 ? [] : order.ancestors(phase).filter((one) => closed.has(one));
      if (shut.length > 0) {
        shut.forEach((one) => closed.delete(one));
        refresh();
      }
      const place = shown.findIndex((item) => item.phase === phase);
      if (place >= 0) stand(place, true);
      else draw();
    }

    function choose(place, isCompared) {
      if (shown[place] === undefined) return;
      const scope = { kind: 'phase', phase: shown[place].phase };
      active = place;
      if (isCompared && areComparable) {
        const { metric } = store.get();
        store.set({ versus: scope, frames: [], metric: metric === 'growth' ? 'retained' : metric });
      } else on.scope(scope);
      on.done();
    }

    function toggle(place, isOpen) {
      const item = shown[place];
      if (!item.isParent || item.isOpen === isOpen) return false;
      untouched.delete(item.phase);
      if (isOpen) closed.delete(item.phase);
      else closed.add(item.phase);
      refresh();
      return true;
    }

    function parentOf(place) {
      for (let next = place - 1; next >= 0; next -= 1) if (shown[next].level < shown[place].level) return next;
      return place;
    }

    // First the way a reader wants it, then the other way round, then the program's order again.
    function sortBy(column) {
      const first = TEXTS.includes(column) ? 1 : -1;
      if (sort.column !== column) sort = { column, direction: first };
      else if (sort.direction === first) sort = { column, direction: -first };
      else sort = { column: null, direction: -1 };
      showSort();
      box.scrollTop = 0;
      refresh();
    }

    const MOVES = {
      ArrowDown: () => active + 1, ArrowUp: () => active - 1, PageDown: () => active + PAGE,
      PageUp: () => active - PAGE, Home: () => 0, End: () => shown.length - 1,
    };

    function onKey(event) {
      if (event.target !== table || shown.length === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
      if (Object.hasOwn(MOVES, event.key)) stand(MOVES[event.key]());
      else if (event.key === 'ArrowRight') toggle(active, true);
      else if (event.key === 'ArrowLeft') { if (!toggle(active, false)) stand(parentOf(active)); }
      else if (event.key === 'Enter' || event.key === ' ') choose(active, event.shiftKey);
      else return;
      event.preventDefault();
    }

    function onClick(event) {
      const row = event.target.closest('tr[data-row]');
      if (row === null || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const place = shown.findIndex((item) => item.phase === Number(row.dataset.row));
      if (event.target.closest('.twist')) toggle(place, !shown[place].isOpen);
      else if (getSelection().isCollapsed) choose(place, event.shiftKey);
    }

    function onFilter() {
      box.scrollTop = 0;
      refresh();
    }

    table.setAttribute('role', 'treegrid');
    for (const group of [table.tHead, body]) group.setAttribute('role', 'rowgroup');
    table.tabIndex = 0;
    table.addEventListener('keydown', onKey);
    table.tHead.addEventListener('click', (event) => {
      const button = event.target.closest('[data-sort]');
      if (button !== null) sortBy(button.dataset.sort);
    });
    // Shift with a click would select text; here it compares.
    body.addEventListener('mousedown', (event) => { if (event.shiftKey) event.preventDefault(); });
    body.addEventListener('click', onClick);
    box.classList.add('virtual');
    box.addEventListener('scroll', onScroll, { passive: true });
    part.filter.addEventListener('input', onFilter);
    part.grew.addEventListener('change', onFilter);
    part.nested.addEventListener('change', onFilter);
    part.whole.addEventListener('change', () => {
      box.closest('.work').classList.toggle('is-whole', part.whole.checked);
      measure();
    });
    part.clear.addEventListener('click', () => {
      part.filter.value = '';
      part.grew.checked = false;
      onFilter();
      part.filter.focus();
    });
    part.nested.parentElement.hidden = phases.parent.every((parent) => parent < 0) && closed.size === 0;
    body.replaceChildren(above, below);
    new ResizeObserver(measure).observe(box);
    store.subscribe((_, changed) => {
      if (changed.has('scope')) showSelected();
      else if (changed.has('versus')) draw();
    });
    memdeep.words.onChange(() => { showHead(); refresh(); });
    for (const event of ['beforeprint', 'afterprint']) {
      addEventListener(event, () => {
        isOnPaper = event === 'beforeprint';
        draw();
      });
    }
    showHead();
    measure();
    refresh();
    showSelected();
  }

  memdeep.phasesTable = { create, ofRun };
})(globalThis.memdeep = globalThis.memdeep || {});
