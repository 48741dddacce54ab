// Runs in the head, before the first paint, so a remembered theme never flashes.
(function (memdeep) {
  'use strict';

  const KEY = 'memdeep-theme';
  const THEMES = ['auto', 'light', 'dark'];
  const WORDS = { auto: 'Theme: auto', light: 'Theme: light', dark: 'Theme: dark' };

  // Storage is refused in some browsers for pages opened from a file.
  function remembered() {
    try {
      const theme = localStorage.getItem(KEY);
      return THEMES.includes(theme) ? theme : 'auto';
    } catch {
      return 'auto';
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // The theme then lasts as long as the page.
    }
  }

  function apply(theme) {
    document.documentElement.dataset.theme = theme;
  }

  function wire(button, onChange) {
    let theme = remembered();
    const show = () => {
      apply(theme);
      button.textContent = WORDS[theme];
      onChange();
    };
    button.addEventListener('click', () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      remember(theme);
      show();
    });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', onChange);
    // Paper is white: a dark graph would print as a black slab.
    addEventListener('beforeprint', () => { apply('light'); onChange(); });
    addEventListener('afterprint', show);
    show();
  }

  document.documentElement.classList.add('js');
  apply(remembered());
  memdeep.theme = { wire };
})(globalThis.memdeep = globalThis.memdeep || {});
