// Small menus: an open one closes by a click elsewhere, by Escape, or when another one opens.
(function (memdeep) {
  'use strict';

  function create(menus) {
    const closeOthers = (place) => menus.forEach((menu) => { if (!menu.contains(place)) menu.open = false; });
    document.addEventListener('click', (event) => closeOthers(event.target));
    for (const menu of menus) {
      menu.addEventListener('keydown', (event) => {
        if (event.key !== 'Escape' || !menu.open) return;
        menu.open = false;
        menu.querySelector('summary').focus();
        event.stopPropagation();
      });
      menu.addEventListener('focusout', (event) => { if (event.relatedTarget !== null) closeOthers(event.relatedTarget); });
    }
  }

  memdeep.menus = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
