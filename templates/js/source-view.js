// The known lines of a file with the bytes charged to each, in the scope and metric chosen.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const { element } = memdeep.elements;
  const FAINTEST = 0.06;
  const say = (key, values) => memdeep.words.say(key, values);

  // Bytes by file and line: Map of path to Map of line number to { own, total }. Pure.
  function bytesByFile({ frames }, rows) {
    const files = new Map();
    for (const { frame, own, total } of rows) {
      const path = frames.file(frame);
      if (path === '' || frames.line(frame) <= 0) continue;
      if (!files.has(path)) files.set(path, new Map());
      files.get(path).set(frames.line(frame), { own, total });
    }
    return files;
  }

  // Files by the bytes charged to their lines; of those with none, by what went through them. Pure.
  function ranked(files) {
    const sizes = [...files].map(([path, lines]) => {
      let own = 0;
      let total = 0;
      for (const line of lines.values()) {
        own += Math.abs(line.own);
        total = Math.max(total, Math.abs(line.total));
      }
      return { path, own, total };
    });
    return sizes.sort((a, b) => b.own - a.own || b.total - a.total || (a.path < b.path ? -1 : 1));
  }

  // `on` = { file(string), line(frame) }, told what the reader chose.
  function create(root, data, on) {
    const frameAt = new Map();
    for (let frame = 0; frame < data.frames.count; frame += 1) {
      const key = data.frames.path(frame);
      if (!frameAt.has(key)) frameAt.set(key, frame);
    }

    function chooser(files, chosen) {
      const select = element('select', '');
      for (const { path, own } of files) {
        const option = element('option', '', memdeep.payload.baseName(path) + (own > 0 ? ' · ' + format.bytes(own) : ''));
        option.value = path;
        option.selected = path === chosen;
        select.append(option);
      }
      select.addEventListener('change', () => on.file(data.core.strings.indexOf(select.value)));
      return element('label', 'field', element('span', '', say('source.file')), select);
    }

    // `look` = { path, most, signed, selected (line number), open: { quotes } of a string that goes on }.
    function lineItem(number, text, bytes, { path, most, signed, selected, open }) {
      const item = element('li', bytes?.own ? 'charged' : '');
      const figureText = (value) => (value ? (signed ? format.signedBytes(value) : format.bytes(value)) : '');
      const heat = bytes?.own ? Math.max(FAINTEST, Math.abs(bytes.own) / most) : 0;
      item.style.setProperty('--heat', heat.toFixed(3));
      if (bytes?.own < 0) item.classList.add('shrank');
      if (number === selected) item.classList.add('selected');
      const code = element('code', text === undefined ? 'unknown' : '', say('source.no_line'));
      if (text !== undefined) open.quotes = memdeep.pythonColours.paint(code, text, path, open.quotes);
      item.append(
        element('span', 'source-own', figureText(bytes?.own)),
        element('span', 'source-total', figureText(bytes?.total)),
        element('span', 'source-number', String(number)),
        code,
      );
      const frame = frameAt.get(path + ':' + number);
      if (bytes === undefined || frame === undefined) return item;
      const button = element('button', 'source-choose');
      button.type = 'button';
      button.setAttribute('aria-label', say('source.choose', { place: data.frames.location(frame) }));
      button.addEventListener('click', () => on.line(frame));
      item.append(button);
      return item;
    }

    function gap(lines) {
      return element('li', 'source-gap', say('source.gap', { n: lines }));
    }

    function whyNoSource(path) {
      if (!data.hasSources) return 'source.left_out';
      return data.privateFiles.has(path) ? 'source.private' : 'source.unknown';
    }

    function list(bytes, known, look) {
      const numbers = [...new Set([...known.keys(), ...bytes.keys()])].sort((a, b) => a - b);
      const made = element('ol', 'source-lines');
      made.append(element('li', 'source-head',
        element('span', '', say('lines.own')), element('span', '', say('lines.total')), element('span'), element('span')));
      numbers.forEach((number, place) => {
        const before = place > 0 ? numbers[place - 1] : 0;
        if (number > before + 1) {
          made.append(gap(number - before - 1));
          look.open.quotes = ''; // nobody knows what began in the gap
        }
        made.append(lineItem(number, known.get(number), bytes.get(number), look));
      });
      return made;
    }

    // To the line that is selected, else to the one with most bytes.
    function reveal(made, selected, bytes, most) {
      const heaviest = [...bytes.values()].findIndex(({ own }) => Math.abs(own) === most);
      const line = selected ?? [...bytes.keys()][heaviest];
      const item = [...made.children].find((one) => Number(one.querySelector('.source-number')?.textContent) === line);
      if (item !== undefined) made.scrollTop = item.offsetTop - made.clientHeight / 2;
    }

    return {
      // `wished` is the place of a path among the page's strings, or null for the file with most bytes;
      // `frame` is the selected one, or null.
      show(sums, wished, frame) {
        const rows = memdeep.ranking.rank(data, sums.line, sums.node, 'lines');
        const byFile = bytesByFile(data, rows);
        const files = ranked(byFile);
        const path = wished === null ? files[0]?.path : data.core.strings[wished];
        if (path === undefined) {
          root.replaceChildren(element('p', 'empty', say('source.nothing')));
          return;
        }
        if (!byFile.has(path)) files.push({ path, own: 0, total: 0 });
        const known = data.files.get(path) ?? new Map();
        const parts = [chooser(files, path), element('p', 'hint source-path', path)];
        if (known.size === 0) parts.push(element('p', 'empty', say(whyNoSource(path))));
        const bytes = byFile.get(path) ?? new Map();
        const most = [...bytes.values()].reduce((high, { own }) => Math.max(high, Math.abs(own)), 1);
        const selected = frame !== null && data.frames.file(frame) === path ? data.frames.line(frame) : null;
        const made = list(bytes, known, { path, most, signed: sums.node.signed, selected, open: { quotes: '' } });
        root.replaceChildren(...parts, made);
        reveal(made, selected, bytes, most);
      },
    };
  }

  memdeep.sourceView = { create, bytesByFile, ranked };
})(globalThis.memdeep = globalThis.memdeep || {});
