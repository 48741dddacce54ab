// Copies text for the reader, and says so on the button that was pressed.
(function (memdeep) {
  'use strict';

  const { element } = memdeep.elements;
  const COPIED_MS = 1500;

  // The old way is there for pages opened from a file, where the clipboard may be refused.
  async function copy(text, place) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = element('textarea', 'unseen');
      area.value = text;
      place.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
    }
  }

  // A button that copies what `text()` returns.
  function button(label, text) {
    const made = element('button', 'button', label);
    made.type = 'button';
    made.addEventListener('click', async () => {
      await copy(text(), made.parentElement);
      made.textContent = memdeep.words.say('stack.copied');
      setTimeout(() => { made.textContent = label; }, COPIED_MS);
    });
    return made;
  }

  memdeep.copying = { button };
})(globalThis.memdeep = globalThis.memdeep || {});
