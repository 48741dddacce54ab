// Mouse, wheel and touch on the flame graph: what is pointed at, chosen, dragged or widened.
(function (memdeep) {
  'use strict';

  const DRAGS_FROM = 5; // pixels
  const WHEEL_ZOOM = 0.0022;

  // `on` = { choose(node), spread({ x0, x1 }), pan(x0, span), redraw() }; places are bytes.
  function wire(element, canvas, scene, tooltip, on) {
    let drag = null;

    const span = () => scene.x1 - scene.x0;
    const whole = () => scene.tree.width[0];

    function hover(node) {
      if (node === scene.hovered) return;
      scene.hovered = node;
      on.redraw();
    }

    function point(event) {
      const hit = canvas.hit(scene, event.offsetX, event.offsetY);
      hover(hit !== null && 'node' in hit ? hit.node : -1);
      element.classList.toggle('over', hit !== null);
      if (hit === null || event.pointerType === 'touch') tooltip.hide();
      else tooltip.show(scene, hit, event.clientX, event.clientY);
    }

    function onMove(event) {
      const by = drag === null ? 0 : event.clientX - drag.x;
      if (drag !== null && Math.abs(by) >= DRAGS_FROM) drag.moved = true;
      if (!drag?.moved) {
        point(event);
        return;
      }
      tooltip.hide();
      on.pan(drag.x0 - (by / element.clientWidth) * span(), span());
    }

    function leave() {
      drag = null;
      tooltip.hide();
      hover(-1);
    }

    function onClick(event) {
      const wasDrag = drag?.moved;
      drag = null;
      const hit = wasDrag ? null : canvas.hit(scene, event.offsetX, event.offsetY);
      if (hit === null) return;
      tooltip.hide();
      if ('node' in hit) on.choose(hit.node);
      else on.spread({ x0: hit.smaller.start, x1: hit.smaller.start + hit.smaller.width });
    }

    // With Ctrl (or two fingers) the view is widened about the pointer; sideways, or with Shift, it
    // moves. The page keeps the wheel for itself otherwise.
    function onWheel(event) {
      const sideways = event.deltaX || (event.shiftKey ? event.deltaY : 0);
      if (event.ctrlKey || event.metaKey) {
        const next = Math.min(whole(), span() * Math.exp(event.deltaY * WHEEL_ZOOM));
        on.pan(scene.x0 + (span() - next) * (event.offsetX / element.clientWidth), next);
      } else if (sideways !== 0 && span() < whole()) {
        on.pan(scene.x0 + (sideways / element.clientWidth) * span(), span());
      } else return;
      tooltip.hide();
      event.preventDefault();
    }

    element.addEventListener('pointerdown', (event) => {
      if (event.button === 0) drag = { x: event.clientX, x0: scene.x0, moved: false };
    });
    element.addEventListener('pointermove', onMove);
    element.addEventListener('pointerleave', leave);
    element.addEventListener('pointercancel', leave);
    element.addEventListener('click', onClick);
    element.addEventListener('wheel', onWheel, { passive: false });
  }

  memdeep.flamePointer = { wire };
})(globalThis.memdeep = globalThis.memdeep || {});
