// A table that opens row by row, with the keys of a treegrid; what is in a row is up to its owner.
(function (memdeep) {
  'use strict';

  const { treeRows } = memdeep;
  const { element } = memdeep.elements;
  const PAGE = 10;
  const DEEPEST_INDENT = 30;

  // `on` = { header(), cells(row), classOf(row), isSelected(row), choose(row) }: cells of the head and
  // of a row of tree-rows.js, of which the first is its name; the reader chose a row.
  function create(before, className, on) {
    const body = element('tbody');
    const head = element('thead');
    const table = element('table', 'lines tree ' + className, head, body);
    table.setAttribute('role', 'treegrid');
    const box = element('div', 'lines-box tree-box', table);
    box.hidden = true;
    before.after(box);
    let tree = null;
    let [open, whole] = [new Set(), new Set()];
    let rows = [];
    let active = 0;

    function withRole(cell, role) {
      cell.setAttribute('role', role);
      return cell;
    }

    function rowElement(row, index) {
      const [name, ...figures] = on.cells(row);
      name.scope = 'row';
      name.style.setProperty('--level', Math.min(row.level, DEEPEST_INDENT) - 1);
      if (row.node !== undefined) {
        const mark = element('span', 'tree-mark', tree.childCount[row.node] === 0 ? '' : row.isOpen ? '▾' : '▸');
        mark.setAttribute('aria-hidden', 'true');
        name.prepend(mark);
      }
      const made = element('tr', '', withRole(name, 'rowheader'), ...figures.map((cell) => withRole(cell, 'gridcell')));
      made.setAttribute('role', 'row');
      made.setAttribute('aria-level', row.level);
      made.tabIndex = index === active ? 0 : -1;
      made.dataset.index = index;
      if (row.node === undefined) return made;
      made.className = on.classOf(row);
      made.setAttribute('aria-posinset', row.place);
      made.setAttribute('aria-setsize', row.count);
      if (on.isSelected(row)) made.setAttribute('aria-selected', 'true');
      if (tree.childCount[row.node] > 0) made.setAttribute('aria-expanded', String(row.isOpen));
      return made;
    }

    function header() {
      const cells = on.header().map((cell) => {
        cell.scope = 'col';
        return withRole(cell, 'columnheader');
      });
      head.replaceChildren(withRole(element('tr', '', ...cells), 'row'));
    }

    function draw(takesFocus = false) {
      rows = treeRows.rowsOf(tree, open, whole);
      active = Math.max(0, Math.min(active, rows.length - 1));
      body.replaceChildren(...rows.map(rowElement));
      if (takesFocus) body.rows[active].focus();
    }

    function stand(index) {
      const next = Math.max(0, Math.min(rows.length - 1, index));
      if (body.rows[active]) body.rows[active].tabIndex = -1;
      active = next;
      body.rows[active].tabIndex = 0;
      body.rows[active].focus();
    }

    // Opens or closes a row; of children left out it shows all.
    function turn(index, isOpen) {
      const row = rows[index];
      active = index;
      if (row.node === undefined) whole.add(row.parent);
      else if (tree.childCount[row.node] === 0) return;
      else if (isOpen) open.add(row.node);
      else open.delete(row.node);
      draw(true);
    }

    function parentOf(index) {
      let at = index;
      while (at > 0 && rows[at].level >= rows[index].level) at -= 1;
      return at;
    }

    function choose(index) {
      if (rows[index].node === undefined) turn(index, true);
      else on.choose(rows[index]);
    }

    const KEYS = {
      ArrowDown: () => stand(active + 1),
      ArrowUp: () => stand(active - 1),
      PageDown: () => stand(active + PAGE),
      PageUp: () => stand(active - PAGE),
      Home: () => stand(0),
      End: () => stand(rows.length - 1),
      ArrowRight: () => (rows[active].isOpen ? stand(active + 1) : turn(active, true)),
      ArrowLeft: () => (rows[active].isOpen ? turn(active, false) : stand(parentOf(active))),
      Enter: () => choose(active),
      ' ': () => choose(active),
    };

    box.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return;
      KEYS[event.key]();
      event.preventDefault();
    });
    body.addEventListener('click', (event) => {
      const index = Number(event.target.closest('tr')?.dataset.index ?? -1);
      if (index < 0) return;
      if (event.target.closest('.tree-mark') !== null) {
        turn(index, !rows[index].isOpen);
        return;
      }
      choose(index);
      stand(Math.min(index, rows.length - 1));
    });
    body.addEventListener('dblclick', (event) => {
      const index = Number(event.target.closest('tr')?.dataset.index ?? -1);
      if (index >= 0 && rows[index].node !== undefined) turn(index, !rows[index].isOpen);
    });

    return {
      hide() { box.hidden = true; },
      // `laid` has childCount, firstChild and width of each node (see tree-rows.js).
      show(laid, label) {
        if (laid !== tree) {
          open = treeRows.openAtFirst(laid);
          whole = new Set();
          active = 0;
        }
        tree = laid;
        table.setAttribute('aria-label', label);
        header();
        box.hidden = false;
        draw();
      },
      // Opens the way to a node, whose parents are known, and brings it into sight.
      reveal(node) {
        for (let at = node; at > 0; at = tree.parent[at]) {
          const { [at]: above } = tree.parent;
          open.add(above);
          if (at - tree.firstChild[above] >= treeRows.toldOf(tree, above)) whole.add(above);
        }
        rows = treeRows.rowsOf(tree, open, whole);
        active = Math.max(0, rows.findIndex((row) => row.node === node));
        draw();
        const row = body.rows[active];
        if (row.offsetTop < box.scrollTop + head.offsetHeight || row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) {
          box.scrollTop = row.offsetTop - box.clientHeight / 2;
        }
      },
      // What is selected is another row; the focus stays.
      mark() {
        rows.forEach((row, index) => {
          if (row.node !== undefined && on.isSelected(row)) body.rows[index].setAttribute('aria-selected', 'true');
          else body.rows[index].removeAttribute('aria-selected');
        });
      },
      openAll() {
        for (let node = 0; node < tree.childCount.length; node += 1) if (tree.childCount[node] > 0) open.add(node);
        draw();
      },
    };
  }

  memdeep.treeGrid = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
