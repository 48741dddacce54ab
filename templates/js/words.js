// Says things in the language of the reader; switching needs no reload. Runs in the head, before
// the first paint, so that a page is never seen in one language and then in another.
(function (memdeep) {
  'use strict';

  const ATTRIBUTES = ['aria-label', 'aria-roledescription', 'label', 'placeholder', 'title'];
  const TAGS = { zh: 'zh-CN' };
  const root = document.documentElement;
  const codes = root.dataset.languages.split(' ');
  const listeners = [];
  let tables = null;
  let current = codes[0];

  function preferred() {
    const wishes = [memdeep.theme.linked('lang'), memdeep.theme.remembered('language'), ...navigator.languages];
    return wishes.map((tag) => tag?.split('-')[0]).find((code) => codes.includes(code)) ?? codes[0];
  }

  // The ending of a value's name tells its unit; memdeep/text/language.py has the same rule.
  function formatted(name, value) {
    const { format } = memdeep;
    if (typeof value === 'string') return value;
    if (name.endsWith('_bytes')) return format.bytes(value);
    if (name.endsWith('_s')) return format.seconds(value);
    if (name.endsWith('_share')) return format.percent(value);
    return format.count(value);
  }

  // A missing key is a fault of ours; it shows as itself rather than stop the page.
  function say(key, values = {}) {
    const forms = (tables[current][key] ?? key).split('|');
    const text = values.n === 1 ? forms[0] : forms[forms.length - 1];
    return text.replace(/\{(\w+)\}/g, (_, name) => formatted(name, values[name]));
  }

  function translateAttributes() {
    for (const name of ATTRIBUTES) {
      for (const element of document.querySelectorAll('[data-words-' + name + ']')) {
        element.setAttribute(name, say(element.getAttribute('data-words-' + name)));
      }
    }
  }

  function apply(code) {
    current = code;
    root.lang = TAGS[code] ?? code;
    root.dataset.language = code;
  }

  function show() {
    translateAttributes();
    for (const button of document.querySelectorAll('[data-set-language]')) {
      button.setAttribute('aria-pressed', String(button.dataset.setLanguage === current));
    }
  }

  function set(code) {
    if (!codes.includes(code) || code === current) return;
    apply(code);
    show();
    listeners.forEach((listener) => listener());
  }

  // As soon as the page is there: before, it has no table and no buttons. `onChoice` is told what
  // the reader chose.
  function start(onChoice) {
    tables = JSON.parse(document.getElementById('words').textContent);
    for (const button of document.querySelectorAll('[data-set-language]')) {
      button.addEventListener('click', () => {
        memdeep.theme.remember('language', button.dataset.setLanguage);
        set(button.dataset.setLanguage);
        onChoice(button.dataset.setLanguage);
      });
    }
    show();
  }

  apply(preferred());
  memdeep.words = {
    start, say, set, language: () => current, onChange: (listener) => listeners.push(listener),
  };
})(globalThis.memdeep = globalThis.memdeep || {});
