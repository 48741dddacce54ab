// The way from the whole to the frame that is zoomed to, above the flame graph.
(function (memdeep) {
  'use strict';

  const { flameLayout: layout } = memdeep;
  const LAST = 3; // of the frames on the way

  function create(root, scene, onChoose) {
    const one = (name) => root.querySelector('[data-' + name + ']');
    const part = { crumbs: one('crumbs'), reset: one('reset'), keys: one('keys') };
    let shown = { tree: null, zoomed: -1, isAway: false };

    function crumb(node) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = scene.headOf(node);
      button.title = scene.describe(node);
      button.addEventListener('click', () => onChoose(node));
      return button;
    }

    // Called in every frame of a pan, so it does nothing where nothing changed.
    function show(zoomed, isAway) {
      if (shown.tree === scene.tree && shown.zoomed === zoomed && shown.isAway === isAway) return;
      shown = { tree: scene.tree, zoomed, isAway };
      part.reset.hidden = !isAway;
      part.keys.hidden = isAway;
      part.crumbs.hidden = !isAway;
      const path = layout.pathTo(scene.tree, zoomed);
      const isCut = path.length > LAST + 1;
      const items = (isCut ? [path[0], ...path.slice(-LAST)] : path).map(crumb);
      if (isCut) items.splice(1, 0, Object.assign(document.createElement('span'), { textContent: '…' }));
      items.at(-1).setAttribute('aria-current', 'true');
      part.crumbs.replaceChildren(...items);
    }

    part.reset.addEventListener('click', () => onChoose(layout.ROOT));
    return { show };
  }

  memdeep.flameCrumbs = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
