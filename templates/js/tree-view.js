// The call tree as a table that opens call by call: what the flame graph shows, for those who read
// figures, or hear them.
(function (memdeep) {
  'use strict';

  const { format, flameLayout: layout } = memdeep;
  const { element } = memdeep.elements;
  const COLUMNS = ['own', 'share', 'total', 'count'];
  const say = (key, values) => memdeep.words.say(key, values);

  // `on` = { select(frames) }.
  function create(before, data, on) {
    let shown = { tree: null, title: '', matches: () => false };
    const bytesText = (bytes) => (shown.tree.signed ? format.signedBytes(bytes) : format.bytes(bytes));
    const figure = (text, className = '') => element('td', 'number ' + className, text);

    function nameCell({ node, rest }) {
      const cell = element('th');
      if (node === undefined) {
        cell.append(element('span', 'tree-rest', say('tree.rest', { n: rest })));
        return cell;
      }
      const frame = shown.tree.frame[node];
      const times = shown.tree.times[node];
      const name = frame < 0 ? shown.title : data.frames.functionName(frame) + (times > 1 ? ' × ' + format.count(times) : '');
      cell.append(element('bdi', 'tree-name', name));
      if (frame >= 0 && !data.frames.namesFile(frame)) cell.append(' ', element('span', 'tree-place', data.frames.location(frame)));
      return cell;
    }

    function cells(row) {
      const name = nameCell(row);
      if (row.node === undefined) return [name, ...COLUMNS.map(() => figure(''))];
      const { tree } = shown;
      const { node } = row;
      const share = tree.width[layout.ROOT] > 0 ? tree.width[node] / tree.width[layout.ROOT] : 0;
      const total = figure(bytesText(tree.net[node]), 'column-own');
      const bar = element('span', 'bar');
      bar.style.setProperty('--size', 100 * share + '%');
      total.append(bar);
      return [name, total, figure(format.percent(share), 'column-share'), figure(bytesText(tree.own[node]), 'column-total'),
        figure(format.count(Math.abs(tree.count[node])), 'column-count')];
    }

    const grid = memdeep.treeGrid.create(before, '', {
      header: () => [
        element('th', '', say('flame.view_tree')),
        ...['lines.total', 'stack.share', 'tree.own', 'lines.count'].map((key, place) => (
          element('th', 'number column-' + COLUMNS[place], say(key)))),
      ],
      cells,
      classOf: ({ node }) => [
        node === layout.ROOT ? '' : 'origin-' + data.frames.origin(shown.tree.frame[node]),
        shown.tree.net[node] < 0 ? 'tone-down' : '',
        node !== layout.ROOT && shown.matches(shown.tree.frame[node]) ? 'is-match' : '',
      ].join(' '),
      isSelected: () => false,
      choose: ({ node }) => on.select(layout.framesOf(shown.tree, node)),
    });

    return {
      hide: grid.hide,
      // A laid-out tree (flame-layout.js); `matches(frame)` marks what is searched for.
      show(tree, title, matches) {
        shown = { tree, title, matches };
        grid.show(tree, say('tree.table', { name: title }));
      },
    };
  }

  memdeep.treeView = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
