// The order of the rooms: it settles when nobody is reading, and rows glide to their places. Asked for at the first news.

import { isQuiet } from './quiet.js';

// So often at most, lest a busy hour be a shuffle.
const CALM = 2000;
let waits;

export function settle(list) {
  waits ??= setTimeout(() => {
    waits = undefined;
    if (isQuiet()) order(list);
    else settle(list);
  }, document.hidden ? 0 : CALM);
}

// Open rooms first, of these the one with the most seats of the system that was chosen, and then as the server ranks them.
export function order(list) {
  const rows = [...list.children];
  const { system } = list.dataset;
  const lack = ({ state, [system]: free }) => 9999 - (system && state === 'open' ? free : 0);
  const rank = ({ dataset: row }) => `${row.rank[0]} ${lack(row)} ${row.rank} ${row.find} ${row.key}`;
  const sorted = [...rows].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  if (sorted.every((row, i) => row === rows[i])) return;
  const isStill = document.hidden || matchMedia('(prefers-reduced-motion: reduce)').matches;
  const shown = isStill ? [] : rows.filter((row) => !row.hidden).map((row) => [row, row.getBoundingClientRect()]);
  sorted.forEach((row, i) => row === list.children[i] || list.insertBefore(row, list.children[i]));
  for (const [row, from] of shown) {
    const to = row.getBoundingClientRect();
    const [x, y] = [from.left - to.left, from.top - to.top];
    if (!x && !y) continue;
    const glide = [{ transform: `translate(${x}px, ${y}px)` }, { transform: 'none' }];
    row.animate(glide, { duration: 500, easing: 'cubic-bezier(.2, 0, 0, 1)' });
  }
}
