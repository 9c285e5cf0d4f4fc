// A page of another edition is taken when nobody uses it, and once: something on the way may have kept the old one.

import { isQuiet } from './quiet.js';

export function reload(edition) {
  if (history.state === edition) return;
  if (!isQuiet()) return setTimeout(reload, 1000, edition);
  history.replaceState(edition, '');
  location.reload();
}
