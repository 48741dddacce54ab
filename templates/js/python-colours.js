// Colours lines of Python: keywords, strings, numbers, comments. Pure but for what it paints.
(function (memdeep) {
  'use strict';

  const KEYWORDS = new Set(('False None True and as assert async await break case class continue def del elif else except finally '
    + 'for from global if import in is lambda match nonlocal not or pass raise return try type while with yield').split(' '));
  const SOFT = /^(case|match|type)$/; // words of their own elsewhere
  const TOKEN = /(#.*)|([rbfutRBFUT]{0,2}("""|'''))|([rbfutRBFUT]{0,2}(?:"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?))|(\b\d[\w.]*)|([\p{L}_][\p{L}\p{N}_]*)/gu;

  // Where a string that began with `quote` ends in a line, from a place on; -1 if it does not.
  function endOf(line, quote, from) {
    for (let at = from; at < line.length; at += 1) {
      if (line[at] === '\\') at += 1;
      else if (line.startsWith(quote, at)) return at + quote.length;
    }
    return -1;
  }

  const isKeyword = (line, word, at) => KEYWORDS.has(word)
    && (!SOFT.test(word) || (line.slice(0, at).trim() === '' && /^\s+[^\s=.,):\]]/.test(line.slice(at + word.length))));

  // { parts: [kind ('' is plain), text], open }: `open` are the quotes of a string that goes on in the
  // next line, or ''.
  function parse(line, before = '') {
    const parts = [];
    const put = (kind, text) => { if (text !== '') parts.push([kind, text]); };
    let at = 0;
    let open = before;
    const takeString = (start, from) => {
      const end = endOf(line, open, from);
      put('string', line.slice(start, end < 0 ? line.length : end));
      if (end >= 0) open = '';
      at = end < 0 ? line.length : end;
    };
    if (open !== '') takeString(0, 0);
    while (at < line.length) {
      TOKEN.lastIndex = at;
      const found = TOKEN.exec(line);
      if (found === null) break;
      const [text, comment, long, quote, string, number, word] = found;
      put('', line.slice(at, found.index));
      at = found.index + text.length;
      if (long !== undefined) {
        open = quote;
        takeString(found.index, at);
      } else if (comment !== undefined) put('comment', text);
      else if (string !== undefined) put('string', text);
      else if (number !== undefined) put('number', text);
      else put(isKeyword(line, word, found.index) ? 'keyword' : '', text);
    }
    put('', line.slice(at));
    return { parts, open };
  }

  // Fills an element with a line of a file; tells what is open after it.
  function paint(element, line, path, before = '') {
    if (!/\.pyi?$/.test(path)) {
      element.textContent = line;
      return '';
    }
    const { parts, open } = parse(line, before);
    element.replaceChildren(...parts.map(([kind, text]) => (kind === '' ? text : memdeep.elements.element('span', 'py-' + kind, text))));
    return open;
  }

  memdeep.pythonColours = { parse, paint };
})(globalThis.memdeep = globalThis.memdeep || {});
