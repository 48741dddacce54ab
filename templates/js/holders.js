// Who holds the objects: the types and the holders at a snapshot, and what is new since another one.
// Follows the store.
(function (memdeep) {
  'use strict';

  const { format, holderTree } = memdeep;
  const { element } = memdeep.elements;
  const { KINDS } = holderTree;
  const COLUMNS = ['own', 'share', 'total', 'count']; // of the tree, as explorer.css names them
  const PLAIN = ['held.retained', 'stack.share', 'held.own', 'held.objects'];
  const COMPARED = ['held.change', 'held.retained', 'held.before', 'held.objects'];
  const MEANINGS = { 'held.retained': 'held.retained_meaning', 'held.own': 'held.own_meaning' };
  const FOLLOWED = ['snapshot', 'since', 'holding', 'holder', 'holds'];
  const say = (key, values) => memdeep.words.say(key, values);

  function option(value, text) {
    const made = element('option', '', text);
    made.value = value;
    return made;
  }

  // The words for a node of the tree: its name, and what explains it.
  function namesOf(node, parent) {
    const { row, type } = node;
    if (node.kind === KINDS.root) return [say('held.all'), ''];
    if (node.kind === KINDS.garbage) return [say('held.garbage'), ''];
    if (node.kind === KINDS.cOnly) return [say('held.c_only'), ''];
    if (node.kind === KINDS.type) return [type, ''];
    if (node.kind === KINDS.unlisted) return [say('held.unlisted'), ''];
    if (!node.isSingle) {
      const example = parent.kind === KINDS.row ? row.label : row.path;
      const count = format.count(node.isGone ? node.was.objects : row.objects);
      return [type + ' × ' + count, example === '' ? '' : say('held.such_as', { path: example })];
    }
    if (parent.kind === KINDS.root) return [row.path, type];
    if (row.path === parent.row?.path) return [type, '']; // such as the dict of a module
    return [row.label.trim() || row.path, type];
  }

  // `on` = { line(frame) }: the reader wants to see a line that allocated.
  function create(root, data, store, on) {
    const { core, frames } = data;
    const one = (name) => root.querySelector('[data-' + name + ']');
    const part = {
      at: one('held-at'), since: one('held-since'), views: one('held-views'), search: one('held-search'),
      facts: one('held-facts'), note: one('held-note'), main: one('held-main'), tree: one('held-tree'), panel: one('held-panel'),
      types: one('held-types'), empty: one('held-empty'),
    };
    let outline = null;
    let types = null;
    let tree = null; // laid out by holder-tree.js
    let built = null; // what it was made of
    let selected = 0; // a node of it
    const decoded = new Map(); // rows by snapshot

    const nameOf = (place) => memdeep.names.checkpoint(core, outline.checkpoint[place]);
    const largest = () => outline.bytes.reduce((most, bytes, place) => (bytes > outline.bytes[most] ? place : most), 0);

    // What is shown of a state: a link may name none, or one twice.
    function possible({ snapshot, since, holding, holds, holder }) {
      const at = snapshot ?? largest();
      return { at, before: since === at ? null : since, holding, holds, holder: snapshot === null ? null : holder };
    }

    async function rowsOf(place) {
      const name = 'holders-' + place;
      if (!decoded.has(place)) {
        await data.need([name]);
        decoded.set(place, holderTree.decode(data.blocks[name]));
      }
      return decoded.get(place);
    }

    const figure = (text, className = '') => element('td', 'number ' + className, text);

    function sizeCells(node, share) {
      const { isCompared } = tree;
      const change = node.retained - node.was.retained;
      const first = figure(isCompared ? format.signedBytes(change) : format.bytes(node.retained), 'column-own' + (isCompared && change !== 0 ? (change > 0 ? ' tone-up' : ' tone-down') : ''));
      const bar = element('span', 'bar');
      bar.style.setProperty('--size', Math.min(100, 100 * Math.abs(share)) + '%');
      first.append(bar);
      const second = isCompared ? format.bytes(node.retained) : format.percent(share);
      return [
        first,
        figure(second, 'column-share'),
        figure(format.bytes(isCompared ? node.was.retained : node.own), 'column-total'),
        figure(node.objects > 0 ? format.count(node.objects) : '–', 'column-count'),
      ];
    }

    function restCells({ parent, rest }) {
      const sum = holderTree.restOf(tree, parent);
      const bytes = tree.isCompared ? format.signedBytes(sum.retained - sum.was.retained) : format.bytes(sum.retained);
      return [
        element('th', '', element('span', 'tree-rest', say('tree.rest', { n: rest }))),
        figure(bytes, 'column-own zero'), figure('', 'column-share'), figure('', 'column-total'), figure('', 'column-count'),
      ];
    }

    function cells(row) {
      if (row.node === undefined) return restCells(row);
      const { items, parent, share } = tree;
      const node = items[row.node];
      const [name, more] = namesOf(node, items[parent[row.node]]);
      const cell = element('th', '', element('bdi', 'tree-name', name));
      if (more !== '') cell.append(' ', element('bdi', 'tree-place', more));
      // What hangs beneath it came, or went, with it.
      const above = items[parent[row.node]];
      if (node.isMissed && !above.isMissed) cell.append(' ', element('span', 'held-gone', say('held.gone')));
      if (node.isNew && !above.isNew) cell.append(' ', element('span', 'held-new', say('held.new')));
      if (node.kind === KINDS.garbage && !outline.gc[built.at]) cell.append(' ', element('span', 'unfinished', say('held.gc_off')));
      cell.title = node.row?.path ?? name;
      return [cell, ...sizeCells(node, share[row.node])];
    }

    const grid = memdeep.treeGrid.create(part.tree, 'holder-tree', {
      header: () => ['held.holder', ...(tree.isCompared ? COMPARED : PLAIN)].map((key, place) => {
        const cell = element('th', place === 0 ? '' : 'number column-' + COLUMNS[place - 1], say(key));
        cell.title = key in MEANINGS ? say(MEANINGS[key]) : '';
        return cell;
      }),
      cells,
      classOf: ({ node }) => {
        const item = tree.items[node];
        return ['holder-' + item.kind, item.isGone ? 'is-gone' : '', item.isMatch ? 'is-match' : '', tree.isCompared && item.retained < item.was.retained ? 'is-down' : ''].join(' ');
      },
      isSelected: ({ node }) => node === selected,
      choose: ({ node }) => {
        selected = node;
        grid.mark();
        showPanel();
        const item = tree.items[node];
        store.set({ snapshot: built.at, holder: item.isGone ? null : item.row?.place ?? null });
      },
    });

    function definition(key, text) {
      return element('div', '', element('dt', '', say(key)), element('dd', '', text));
    }

    function figures(node) {
      const list = element('dl', 'panel-figures');
      list.append(definition('held.retained', format.bytes(node.retained)));
      if (tree.isCompared) list.append(definition('held.change', format.signedBytes(node.retained - node.was.retained)));
      list.append(definition('held.own', format.bytes(node.own)), definition('held.objects', format.count(node.objects)));
      return list;
    }

    // The lines that allocated it, each a way to its stacks.
    function lines({ row }) {
      if (row === null || row.lines.length === 0) return [];
      const list = element('ol', 'held-lines');
      for (let place = 0; place < row.lines.length; place += 2) {
        const [frame, bytes] = row.lines.slice(place, place + 2);
        const button = element('button', 'figure-link', element('bdi', '', frames.location(frame)));
        button.type = 'button';
        button.title = frames.path(frame);
        button.addEventListener('click', () => on.line(frame));
        const source = frames.source(frame);
        const item = element('li', '', element('span', 'number', format.bytes(bytes)), button);
        if (source !== null) {
          const code = element('code');
          memdeep.pythonColours.paint(code, source, frames.file(frame));
          item.append(code);
        }
        list.append(item);
      }
      return [element('h4', '', say('held.allocated_by')), list];
    }

    // What the same holder kept alive at each snapshot: all of them are unpacked for it.
    async function life(node) {
      const figureOf = element('figure', 'panel-life');
      if (!node.isSingle || outline.bytes.length < 2) return figureOf;
      const values = [];
      for (let place = 0; place < outline.bytes.length; place += 1) {
        const rows = await rowsOf(place);
        values.push(rows.find((row) => row.path === node.row.path && row.type === node.type)?.retained ?? 0);
      }
      const label = say('held.life', { most_bytes: Math.max(...values) });
      figureOf.append(memdeep.holderTypes.course(values, label), element('figcaption', 'hint', label));
      return figureOf;
    }

    function meaning(node) {
      if (node.kind === KINDS.garbage) return say(outline.gc[built.at] ? 'held.garbage_meaning' : 'held.garbage_gc_off');
      if (node.kind === KINDS.cOnly) return say('held.c_only_meaning');
      if (node.kind === KINDS.unlisted) return say('held.unlisted_meaning');
      if (node.kind === KINDS.row && !node.isSingle) return say('held.merged_meaning', { n: node.isGone ? node.was.objects : node.objects, type: node.type });
      if (node.kind === KINDS.row) return node.isGone ? say('held.gone_meaning') : say('held.drop', { retained_bytes: node.retained });
      return node.kind === KINDS.root ? say('held.all_meaning') : '';
    }

    function showPanel() {
      const node = tree.items[selected];
      const [name] = namesOf(node, tree.items[tree.parent[selected]]);
      const isPath = node.row !== null && node.row.path !== '';
      const heading = element('h3', '', element('bdi', '', node.isSingle && isPath ? node.row.path : name));
      const said = element('p', 'held-said', meaning(node));
      const tools = element('div', 'panel-tools');
      if (isPath) tools.append(memdeep.copying.button(say('held.copy'), () => holderTree.expression(node.row.path)));
      const example = isPath && !node.isSingle ? [element('p', 'held-path', say('held.largest'), ' ', element('bdi', '', node.row.path))] : [];
      const kind = node.isSingle ? [element('p', 'hint', element('bdi', '', node.type))] : [];
      const others = node.isSingle && node.row.others > 0
        ? [element('p', 'held-path', say('held.also', { n: node.row.others }), ' ', element('bdi', '', node.row.also))] : [];
      const graph = element('div');
      part.panel.replaceChildren(heading, ...kind, said, ...others, ...example, tools, figures(node), graph, ...lines(node));
      if (node.kind === KINDS.row) life(node).then((made) => graph.replaceWith(made));
    }

    function showFacts({ at, before }) {
      const at0 = (values) => format.bytes(values[at]);
      const less = (values) => (before === null || values[at] === values[before] ? '' : ' (' + format.signedBytes(values[at] - values[before]) + ')');
      const list = [
        definition('held.objects', format.count(outline.objects[at])),
        definition('held.their_size', at0(outline.bytes) + less(outline.bytes)),
        definition('held.garbage', at0(outline.garbage) + less(outline.garbage)),
        definition('held.c_only', at0(outline.cOnly) + less(outline.cOnly)),
      ];
      if (!outline.gc[at]) {
        list[2].classList.add('is-bad');
        list[2].querySelector('dd').append(' ', element('span', 'unfinished', say('held.gc_off')));
      }
      part.facts.replaceChildren(...list);
    }

    function fill({ at, before }) {
      const places = outline.bytes.map((_, place) => place);
      const named = (place) => option(String(place), nameOf(place) + ' · ' + format.bytes(outline.bytes[place]));
      part.at.replaceChildren(...places.map(named));
      part.at.value = String(at);
      part.since.replaceChildren(option('', say('flame.versus_none')), ...places.filter((place) => place !== at).map(named));
      part.since.value = before === null ? '' : String(before);
      part.since.closest('label').hidden = places.length < 2;
      part.views.querySelectorAll('button').forEach((tab) => tab.setAttribute('aria-pressed', String(tab.dataset.holding === store.get().holding)));
      if (part.search.value.trim() !== store.get().holds) part.search.value = store.get().holds;
    }

    const matcherOf = (query) => (query === '' ? null : memdeep.search.matcher(query, false));

    // The tree stays as it is open, unless it is another one.
    async function showTree({ at, before, holds, holder }) {
      const key = [at, before, holds].join();
      const isNew = built?.key !== key;
      if (isNew) {
        const sides = [];
        for (const place of [at, before]) sides.push(place === null ? null : holderTree.side(outline, place, await rowsOf(place)));
        tree = holderTree.build(...sides, matcherOf(holds));
        built = { key, at, before, language: null };
      }
      const isElsewhere = isNew || (holder !== null && tree.items[selected].row?.place !== holder);
      if (isElsewhere) selected = holder === null ? holderTree.pointOf(tree) : Math.max(0, holderTree.nodeOf(tree, holder));
      if (built.language !== memdeep.words.language()) grid.show(tree, say('held.table', { name: nameOf(at) }));
      built.language = memdeep.words.language();
      if (isNew && holds !== '') grid.openAll();
      if (isElsewhere && selected > 0) grid.reveal(selected);
      part.empty.hidden = holds === '' || tree.items.length > 1;
      part.empty.textContent = say('held.none');
      showPanel();
    }

    let turn = 0;
    async function render() {
      const mine = turn += 1;
      root.setAttribute('aria-busy', 'true');
      if (outline === null) {
        await data.need(['holders']);
        outline = data.blocks.holders;
        types = memdeep.holderTypes.create(part.types, outline, nameOf);
      }
      const state = possible(store.get());
      for (const place of [state.at, state.before]) if (place !== null) await rowsOf(place);
      if (mine !== turn) return; // something else was chosen meanwhile
      fill(state);
      showFacts(state);
      const isTree = state.holding === 'tree';
      part.main.hidden = !isTree;
      part.types.hidden = isTree;
      if (isTree) await showTree(state);
      else {
        part.empty.hidden = true;
        types.show(state.at, state.before, matcherOf(state.holds) ?? (() => true), state.holds !== '');
      }
      part.note.textContent = say(isTree ? 'held.tree_note' : state.before === null ? 'held.types_note' : 'held.types_note_since');
      root.removeAttribute('aria-busy');
    }

    part.at.addEventListener('change', () => {
      const at = Number(part.at.value);
      const { since } = store.get();
      store.set({ snapshot: at, since: since === at ? null : since, holder: null });
    });
    part.since.addEventListener('change', () => store.set({ since: part.since.value === '' ? null : Number(part.since.value), holder: null }));
    part.views.addEventListener('click', (event) => {
      const tab = event.target.closest('[data-holding]');
      if (tab !== null) store.set({ holding: tab.dataset.holding });
    });
    part.search.addEventListener('input', () => store.set({ holds: part.search.value.trim() }));
    part.search.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || part.search.value === '') return;
      store.set({ holds: '' });
      event.preventDefault();
    });
    memdeep.words.onChange(render);
    store.subscribe((_, changed) => { if (FOLLOWED.some((key) => changed.has(key))) render(); });
    return { ready: render() };
  }

  memdeep.holders = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
