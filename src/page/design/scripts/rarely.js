// What a page needs now and then: it is asked for only then.

import { put, rows } from './rooms.js';
import { fill } from './texts.js';

// The wishes of a list (`LIST` of core/turns/wish.rs).
const MOST = 8;

// All rooms, for who was shown some only: those of a filter, or the first of very many. Says up to where they are told.
export async function everything(form) {
  if (form) choose(form, new URLSearchParams(location.search));
  const { lang, live } = document.body.dataset;
  try {
    const answer = await fetch(`/?all=1&lang=${lang}`, { headers: { accept: 'text/html' } });
    if (!answer.ok) return live;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    put([...page.querySelectorAll('.room')].map((row) => [row.dataset.key, row.outerHTML]), true);
    document.getElementById('more')?.remove();
    return page.body.dataset.live;
  } catch {
    return live;
  }
}

// Where no seat is free: the room that has one first.
export function sayFirst(place, fits) {
  const opens = ({ state, until, linux, windows, other }) => state !== 'open' && until && +linux + +windows + +other;
  const [first] = rows()
    .filter(({ dataset: room }) => fits(room) && opens(room))
    .sort(({ dataset: a }, { dataset: b }) => (a.until + a.find < b.until + b.find ? -1 : 1));
  place.hidden = !first;
  if (!first) return;
  const text = fill(place.dataset.text, { time: first.dataset.until });
  place.replaceChildren(text, ' ', first.querySelector('a').cloneNode(true));
}

// By their keys, the rooms in which a seat is wished for where it was searched: they are alternatives. False: there is
// none, or there are more than a list has wishes.
export function sought(isThere) {
  const keys = rows().map(({ dataset }) => dataset).filter(isThere).map(({ key }) => key);
  return keys.length > 0 && keys.length <= MOST && keys;
}

// As the address has it: a page that was kept for another one has other choices.
function choose(form, query) {
  for (const field of form.elements) {
    const values = query.getAll(field.name);
    if (field.type === 'radio' || field.type === 'checkbox') field.checked = values.includes(field.value) || (!field.value && !values[0]);
    else if (field.name !== 'lang') field.value = values[0] ?? '';
  }
}
