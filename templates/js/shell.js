// What every page does as a whole: starts, says why it could not, opens what is folded for paper.
(function (memdeep) {
  'use strict';

  function fail(key, values) {
    const place = document.querySelector('[data-failed]');
    const speak = () => { place.textContent = memdeep.words.say(key, values); };
    document.documentElement.dataset.ready = 'failed';
    document.querySelector('[data-explorer-body]').hidden = true;
    place.hidden = false;
    memdeep.words.onChange(speak);
    speak();
  }

  // What is folded on the screen is not to be lost on paper.
  function openForPaper() {
    let opened = [];
    addEventListener('beforeprint', () => {
      opened = [...document.querySelectorAll('details:not([open], [data-menu])')];
      opened.forEach((details) => { details.open = true; });
    });
    addEventListener('afterprint', () => opened.forEach((details) => { details.open = false; }));
  }

  async function run(start) {
    if (!memdeep.payload.canUnpack()) {
      fail('page.no_decompression');
      return;
    }
    try {
      await start();
    } catch (error) {
      fail('page.failed', { reason: String(error) });
      throw error;
    }
  }

  memdeep.shell = { run, openForPaper };
})(globalThis.memdeep = globalThis.memdeep || {});
