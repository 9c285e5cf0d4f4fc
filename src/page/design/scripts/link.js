// The state of the link: live, or down and since when.

import { fill, time } from './texts.js';

// A daemon that restarts is back sooner, and then nobody needs to know.
const GRACE = 3000;

const place = document.getElementById('link');
const asOf = place.textContent;
let later, wasLive;

// Paper is not live.
matchMedia('print').addEventListener('change', ({ matches }) => {
  if (place.dataset.state !== 'live') return;
  place.textContent = matches ? asOf.replace(/\d+:\d+/, time(Date.now())) : place.dataset.live;
});

export function link({ state, since = Date.parse(place.dataset.time) }) {
  clearTimeout(later);
  wasLive ||= state === 'live';
  if (state === 'live') say(state, state);
  // A page that was never live may have been kept since yesterday.
  if (state === 'down') later = setTimeout(say, GRACE, state, wasLive ? 'down' : 'offline', since);
}

function say(state, text, at) {
  document.body.classList.toggle('down', state === 'down');
  place.dataset.state = state;
  const told = fill(place.dataset[text], { time: at && time(at) });
  // What is set is read aloud.
  if (place.textContent !== told) place.textContent = told;
}
