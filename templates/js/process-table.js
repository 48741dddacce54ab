// The table of processes, and that of their phases: opens and folds groups, and leads to the stacks
// of a process.
(function (memdeep) {
  'use strict';

  const say = (key) => memdeep.words.say(key);

  function createFolding(root) {
    const buttons = [...root.querySelectorAll('[data-group]')];
    const membersOf = ({ dataset }) => root.querySelectorAll('[data-within="' + dataset.group + '"]');

    function show(button, isOpen) {
      button.setAttribute('aria-expanded', String(isOpen));
      button.setAttribute('aria-label', say(isOpen ? 'phases.fold' : 'phases.unfold'));
      button.classList.toggle('is-open', isOpen);
      membersOf(button).forEach((row) => { row.hidden = !isOpen; });
    }

    const isOpen = (button) => button.getAttribute('aria-expanded') === 'true';
    root.addEventListener('click', (event) => {
      const row = event.target.closest('.is-group');
      if (row === null || event.target.closest('a') !== null) return;
      const button = row.querySelector('[data-group]');
      show(button, !isOpen(button));
    });
    for (const button of buttons) {
      button.hidden = membersOf(button).length === 0;
      show(button, false);
    }
    memdeep.words.onChange(() => buttons.forEach((button) => show(button, isOpen(button))));
    addEventListener('beforeprint', () => root.querySelectorAll('[data-within]').forEach((row) => { row.hidden = false; }));
    addEventListener('afterprint', () => buttons.forEach((button) => show(button, isOpen(button))));
  }

  // `choose` = { limit(limit), phase(phase), line(path, line, limit) }: the reader wants to see the
  // stacks of a process, the phase, or the line.
  function createLinks(root, choose) {
    root.addEventListener('click', (event) => {
      const link = event.target.closest('a');
      if (link === null || event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      if (link.dataset.limit !== undefined) choose.limit(link.dataset.limit);
      else if (link.dataset.line !== undefined) choose.line(link.title, Number(link.dataset.line), link.dataset.of);
      else choose.phase(Number(link.dataset.phase));
    });
  }

  memdeep.processTable = { createFolding, createLinks };
})(globalThis.memdeep = globalThis.memdeep || {});
