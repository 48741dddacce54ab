// The known lines of a file with the bytes charged to each, in the scope and metric chosen.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const say = (key, values) => memdeep.words.say(key, values);

  function chargedLines(data, byLine, path) {
    const found = new Map();
    data.core.lines.forEach((frame, line) => {
      if (data.frames.file(frame) === path) found.set(data.frames.line(frame), byLine.bytes[line]);
    });
    return found;
  }

  // Files with a charged line, most bytes first.
  function filesOf(data, byLine) {
    const files = new Map();
    data.core.lines.forEach((frame, line) => {
      const path = data.frames.file(frame);
      if (path === '') return;
      files.set(path, (files.get(path) ?? 0) + Math.abs(byLine.bytes[line]));
    });
    return [...files].sort((a, b) => b[1] - a[1]);
  }

  function row(number, text, bytes, most, signed) {
    const made = document.createElement('li');
    made.className = bytes ? 'charged' : '';
    made.style.setProperty('--heat', (bytes ? Math.max(0.06, Math.abs(bytes) / most) : 0).toFixed(3));
    const figure = document.createElement('span');
    figure.className = 'source-bytes';
    figure.textContent = bytes ? (signed ? format.signedBytes(bytes) : format.bytes(bytes)) : '';
    const line = document.createElement('span');
    line.className = 'source-number';
    line.textContent = number;
    const code = document.createElement('code');
    code.textContent = text ?? '';
    made.append(figure, line, code);
    return made;
  }

  function gap() {
    const made = document.createElement('li');
    made.className = 'source-gap';
    made.textContent = '⋯';
    return made;
  }

  function create(root, data, on) {
    function chooser(files, chosen) {
      const select = document.createElement('select');
      select.setAttribute('aria-label', say('source.file'));
      files.forEach(([path, bytes]) => {
        const option = document.createElement('option');
        option.value = data.core.strings.indexOf(path);
        option.textContent = memdeep.payload.baseName(path) + ' · ' + format.bytes(bytes);
        option.title = path;
        option.selected = path === chosen;
        select.append(option);
      });
      select.addEventListener('change', () => on.file(Number(select.value)));
      return select;
    }

    function show(byLine, file, signed) {
      const files = filesOf(data, byLine);
      if (files.length === 0) {
        root.replaceChildren(Object.assign(document.createElement('p'), { className: 'empty', textContent: say('source.nothing') }));
        return;
      }
      const wished = file === null ? undefined : data.core.strings[file];
      const path = wished ?? files[0][0];
      const charged = chargedLines(data, byLine, path);
      const known = data.files.get(path) ?? new Map();
      const numbers = [...new Set([...known.keys(), ...charged.keys()])].filter((n) => n > 0).sort((a, b) => a - b);
      const most = Math.max(1, ...[...charged.values()].map(Math.abs));
      const list = document.createElement('ol');
      list.className = 'source-lines';
      numbers.forEach((number, place) => {
        if (place > 0 && number !== numbers[place - 1] + 1) list.append(gap());
        list.append(row(number, known.get(number), charged.get(number) ?? 0, most, signed));
      });
      const name = document.createElement('p');
      name.className = 'hint';
      name.textContent = path;
      const why = document.createElement('p');
      why.className = 'empty';
      why.textContent = say('source.unknown');
      why.hidden = known.size > 0;
      root.replaceChildren(chooser(files, path), name, why, list);
    }

    return { show };
  }

  memdeep.sourceView = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
