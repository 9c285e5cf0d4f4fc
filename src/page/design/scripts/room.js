// A room's page, live: when its row changes it fetches itself, and puts in what is new.

import { link } from './link.js';
import { connect, wishes } from './live.js';

// So soon what could not be fetched is tried again.
const AGAIN = 5000;

const { body } = document;
const { key } = document.querySelector('.room').dataset;
const tell = document.getElementById('tell');
const alerts = () => import('./alert.js');
const hear = async (message) => (await alerts()).hear(message);
let fetching, isStale, again;

const on = {
  link,
  rows: ({ rows, all }) => (all || rows.some(([one]) => one === key)) && refresh(),
  hello: async ({ page }) => page === body.dataset.page || (await import('./reload.js')).reload(page),
  // Plots and the time line go on by themselves, a little at a time.
  beat: ({ time }) => /[05]$/.test(time) && refresh(),
  seat: hear,
  wish: hear,
};

// One at a time: what comes meanwhile is fetched afterwards, once.
async function refresh() {
  isStale = true;
  if (fetching || document.hidden) return;
  fetching = true;
  clearTimeout(again);
  try {
    while (isStale) {
      isStale = false;
      await fetchPage();
    }
  } catch {
    isStale = true;
    again = setTimeout(refresh, AGAIN);
  }
  fetching = false;
}

async function fetchPage() {
  const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (answer.status === 404) return location.reload();
  if (!answer.ok) throw answer.status;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  // Something on the way may have answered in its place: a page to log in at, say.
  if (!page.getElementById('now')) throw answer.status;
  for (const now of document.querySelectorAll('main > [id]:not(#alert)')) {
    const next = page.getElementById(now.id);
    if (!next) now.remove();
    else if (next.innerHTML !== now.innerHTML) replace(now, next);
  }
  // Of today something is known now, say.
  for (const next of page.querySelectorAll('main > section')) {
    if (!document.getElementById(next.id)) document.getElementById(next.previousElementSibling.id).after(next.cloneNode(true));
  }
  offer();
}

// To wish for a seat makes sense where there is none.
function offer() {
  tell.hidden = document.querySelector('.room').dataset.usable > 0 || wishes().length;
}

// Piece by piece where there are pieces that have a name, so that only news is lit; as a whole otherwise.
function replace(now, next) {
  const pieces = [now, next].map((one) => [...one.querySelectorAll('li[id]')]);
  const names = pieces.map((list) => list.map(({ id }) => id).join());
  if (names[0] && names[0] === names[1]) return pieces[0].forEach((piece, i) => piece.isEqualNode(pieces[1][i]) || light(piece, pieces[1][i]));
  const all = (what) => [...now.querySelectorAll(what)];
  const open = all('details').map((one) => one.open);
  const spots = all('a, summary, [tabindex]');
  const [focused, scrolled] = [spots.indexOf(document.activeElement), spots.map((one) => one.scrollLeft)];
  now.replaceChildren(...next.childNodes);
  all('details').forEach((one, i) => (one.open = open[i]));
  // Who reads a table there, or is about to follow a link, does not lose the place.
  const places = all('a, summary, [tabindex]');
  places.forEach((one, i) => (one.scrollLeft = scrolled[i]));
  places[focused]?.focus({ preventScroll: true });
}

function light(piece, next) {
  next.classList.add('changed');
  // Lit once: with its mark it would be another than the next.
  next.onanimationend = () => next.classList.remove('changed');
  piece.replaceWith(next);
}

offer();
connect(body.dataset.live, (message) => on[message.type]?.(message));
tell.addEventListener('click', async () => (await alerts()).ask(new URLSearchParams(), [key]));
document.addEventListener('visibilitychange', () => isStale && refresh());
if (wishes().length) (await alerts()).show();
navigator.serviceWorker?.register('/worker.js');
