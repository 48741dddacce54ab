// Says things in the language of the reader; switching needs no reload.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const listeners = [];
  let tables = {};
  let current = '';

  function formatted(name, value) {
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
    for (const name of ['aria-label', 'placeholder', 'title']) {
      for (const element of document.querySelectorAll('[data-words-' + name + ']')) {
        element.setAttribute(name, say(element.getAttribute('data-words-' + name)));
      }
    }
  }

  function set(code) {
    current = code;
    document.documentElement.lang = code === 'zh' ? 'zh-CN' : code;
    document.documentElement.dataset.language = code;
    translateAttributes();
    for (const button of document.querySelectorAll('[data-set-language]')) {
      button.setAttribute('aria-pressed', String(button.dataset.setLanguage === code));
    }
    listeners.forEach((listener) => listener());
  }

  function start() {
    tables = JSON.parse(document.getElementById('words').textContent);
    const codes = Object.keys(tables);
    const wishes = [memdeep.theme.remembered('language'), navigator.language.slice(0, 2), codes[0]];
    for (const button of document.querySelectorAll('[data-set-language]')) {
      button.addEventListener('click', () => {
        memdeep.theme.remember('language', button.dataset.setLanguage);
        set(button.dataset.setLanguage);
      });
    }
    set(wishes.find((code) => codes.includes(code)));
  }

  memdeep.words = {
    start, say, set, language: () => current, onChange: (listener) => listeners.push(listener),
  };
})(globalThis.memdeep = globalThis.memdeep || {});
