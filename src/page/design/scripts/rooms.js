// The rows of rooms: news is put in place.

import { lang } from './texts.js';

const list = document.getElementById('rooms');
let passes = () => true;

export const rows = () => [...list.children];

// Takes pairs of a key and a row, or null where the room is gone; with `all`, all others are gone, too.
export function put(changes, all) {
  for (const [key, html] of changes) html === null ? row(key)?.remove() : place(key, html);
  const keys = new Set(changes.map(([key]) => key));
  for (const one of all ? rows() : []) keys.has(one.dataset.key) || one.remove();
  settle();
}

// Puts the rooms into their order: soon, or at once for who asked for another.
export const settle = (isAsked) =>
  import('./order.js').then((order) => (isAsked ? order.order : order.settle)(list), () => {});

// Shows the rooms that pass, and of which system their seats count.
export function show(those, system) {
  passes = those;
  if (system) list.dataset.system = system;
  else delete list.dataset.system;
  for (const one of rows()) one.hidden = !passes(one.dataset);
}

const row = (key) => document.getElementById(`room-${key}`);

function place(key, html) {
  const template = document.createElement('template');
  template.innerHTML = html;
  const next = template.content.firstElementChild;
  next.hidden = !passes(next.dataset);
  const now = row(key);
  if (!now) {
    next.querySelector('a').setAttribute('href', `/rooms/${key}${lang}`);
    return list.append(next);
  }
  const { usable, state } = now.dataset;
  replace(now, next);
  if (usable !== next.dataset.usable || state !== next.dataset.state) light(now);
}

// The row and its link stay the same elements, so that focus stays, and a finger meets what it was put on.
function replace(now, next) {
  for (const { name, value } of next.attributes) now.setAttribute(name, value);
  now.hidden = next.hidden;
  const [a, b] = [now, next].map((one) => one.querySelector('a'));
  if (a.innerHTML !== b.innerHTML) a.innerHTML = b.innerHTML;
  while (a.nextSibling) a.nextSibling.remove();
  while (b.nextSibling) now.append(b.nextSibling);
}

function light(one) {
  one.classList.remove('changed');
  // Measured in between, so that it begins anew.
  one.getBoundingClientRect();
  one.classList.add('changed');
  one.onanimationend = () => one.classList.remove('changed');
}
