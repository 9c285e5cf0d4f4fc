// Whether somebody is using the page: then nothing is moved.

// So long after the last touch nobody is thought to be reading.
const QUIET = 3000;
// Before this was asked for, it was not seen.
let touched = performance.now();

for (const type of ['pointermove', 'pointerdown', 'wheel', 'touchmove', 'keydown', 'scroll']) {
  addEventListener(type, () => (touched = performance.now()), { passive: true, capture: true });
}

export const isQuiet = () =>
  document.hidden || (performance.now() - touched > QUIET && !document.activeElement.closest('#rooms, form, dialog'));
