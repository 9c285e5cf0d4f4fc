// Which rooms are wanted: the rules are the server's (filter.rs), also where an address holds what is no filter.

import { fold } from './texts.js';

const minutes = (time) => time.split(':').reduce((hours, minutes) => hours * 60 + +minutes, 0);

export const isFiltered = (query) => ['tag', 'system', 'minutes', 'q'].some((name) => query.get(name));

// What is chosen in the form, and no more.
export const chosen = (form) => new URLSearchParams([...new FormData(form)].filter(([, value]) => value.trim()));

// Which rooms pass at a time of day, which would if they were open, and how many of their seats count. A room is the
// dataset of its row.
export function filter(query, now) {
  const last = (name) => (query.getAll(name).pop() ?? '').trim();
  const tags = query.getAll('tag').join().split(',').map((tag) => tag.trim()).filter((tag) => /^[\w.-]{1,64}$/.test(tag));
  const system = ['linux', 'windows'].find((one) => one === last('system').toLowerCase());
  const least = /^\d+$/.test(last('minutes')) && last('minutes') <= 1440 ? +last('minutes') : 0;
  const words = fold(last('q').slice(0, 100)).trim().split(/\s+/);
  const isThere = (room) =>
    (!tags.length || JSON.parse(room.tags).some((tag) => tags.includes(tag))) &&
    words.every((word) => room.find.includes(word));
  const fits = (room) => isThere(room) && (!system || room[system] > 0);
  const lasts = ({ state, until }) => state === 'open' && (!until || minutes(until) - minutes(now) >= least);
  return {
    system,
    fits,
    // Where it was searched.
    sought: words[0] && isThere,
    passes: (room) => fits(room) && (!least || lasts(room)),
    seats: (room) => (system && room.usable > 0 ? +room[system] : +room.usable),
  };
}
