// Light, dark, or as the system is; and what the browser remembers for the page. Runs in the head,
// before the first paint, so that a remembered theme never flashes.
(function (memdeep) {
  'use strict';

  const THEMES = ['auto', 'light', 'dark'];
  const root = document.documentElement;

  // Storage is refused in some browsers for pages opened from a file.
  function remembered(key) {
    try {
      return localStorage.getItem('memdeep-' + key);
    } catch {
      return null;
    }
  }

  function remember(key, value) {
    try {
      localStorage.setItem('memdeep-' + key, value);
    } catch {
      // The choice then lasts as long as the page.
    }
  }

  // What a link says of a choice of the page: it goes before what the browser remembers.
  function linked(key) {
    return new URLSearchParams(location.hash.slice(1)).get(key);
  }

  function chosenTheme() {
    const theme = THEMES.includes(linked('theme')) ? linked('theme') : remembered('theme');
    return THEMES.includes(theme) ? theme : 'auto';
  }

  // `onChange` is called where colours changed, `onChoice(theme)` where the reader chose one.
  function wire(buttons, onChange, onChoice) {
    let theme = chosenTheme();
    const show = () => {
      root.dataset.theme = theme;
      for (const button of buttons) {
        button.setAttribute('aria-pressed', String(button.dataset.setTheme === theme));
      }
      onChange();
    };
    for (const button of buttons) {
      button.addEventListener('click', () => {
        theme = button.dataset.setTheme;
        remember('theme', theme);
        show();
        onChoice(theme);
      });
    }
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', onChange);
    // Paper is white: a dark graph would print as a black slab.
    addEventListener('beforeprint', () => { root.dataset.theme = 'light'; onChange(); });
    addEventListener('afterprint', show);
    show();
    return {
      set(other) {
        theme = other;
        show();
      },
    };
  }

  root.classList.add('js');
  root.dataset.theme = chosenTheme();
  memdeep.theme = { wire, remembered, remember, linked };
})(globalThis.memdeep = globalThis.memdeep || {});
