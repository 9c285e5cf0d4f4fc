// Rooms, the answer, the filters and the link, live.

import { chosen, filter, isFiltered } from './filters.js';
import { link } from './link.js';
import { connect, wishes } from './live.js';
import { put, rows, settle, show } from './rooms.js';
import { fill } from './texts.js';

const find = (id) => document.getElementById(id);
const { body } = document;
const [answer, soonest, form, none, more, tell] = ['answer', 'soonest', 'filters', 'no-rooms', 'more', 'tell'].map(find);
const rarely = () => import('./rarely.js');
const alerts = () => import('./alert.js');
const hear = async (message) => (await alerts()).hear(message);
// By the server's clock: that of a phone may be wrong.
let now = find('link').dataset.time.slice(11, 16);
let free, keys;

const on = {
  link,
  rows: (news) => (put(news.rows, news.all), refresh()),
  hello: async ({ page }) => page === body.dataset.page || (await import('./reload.js')).reload(page),
  beat: ({ time }) => now === time || ((now = time), refresh(), document.hidden || keep()),
  seat: tell && hear,
  wish: tell && hear,
};

// A worker keeps what it is asked for, so that offline the last state is shown; not that of a frame.
const keep = () => self === top && navigator.serviceWorker?.controller && fetch(location.href, { headers: { accept: 'text/html' } }).catch(() => {});

// What is asked for stands in the address, which may hold more than can be chosen.
let query = new URLSearchParams(location.search);

async function refresh() {
  const { system, fits, passes, seats, sought } = filter(query, now);
  show(passes, system);
  const shown = rows().filter((row) => !row.hidden);
  const counts = shown.map((row) => seats(row.dataset)).filter(Boolean);
  free = counts.reduce((sum, seats) => sum + seats, 0);
  say(free, counts.length);
  none.hidden = shown.length;
  soonest.hidden = true;
  const rare = free || (await rarely());
  if (!free) {
    rare.sayFirst(soonest, fits);
    keys = sought && rare.sought(sought);
  }
  if (tell) tell.hidden = free || wishes().length || keys === false;
}

function say(seats, rooms) {
  const words = answer.dataset;
  const some = (of, n) => fill(words[of + (n === 1 ? 'One' : 'Other')], { n });
  const said = seats ? fill(words.answer, { seats: some('seats', seats), rooms: some('rooms', rooms) }) : words.none;
  if (document.title === said) return;
  document.title = said;
  answer.innerHTML = said.replace(/\d+/g, '<b>$&</b>');
}

function choose() {
  query = chosen(form);
  history.replaceState(null, '', `${location.pathname}?${query}`.replace(/\?$/, ''));
  find('clear').hidden = !isFiltered(query);
  refresh();
  settle(true);
}

form?.addEventListener('input', choose);
form?.addEventListener('submit', (event) => event.preventDefault());
// What a filter finds is read aloud to who filters; what is pushed all day is not.
form?.addEventListener('focusin', () => (answer.ariaLive = 'polite'));
form?.addEventListener('focusout', () => (answer.ariaLive = 'off'));
tell?.addEventListener('click', async () => (await alerts()).ask(query, keys));
document.addEventListener('visibilitychange', () => document.hidden && keep());
navigator.serviceWorker?.register('/worker.js');
if (wishes().length) (await alerts()).show();

const isPart = more || isFiltered(query);
connect(isPart ? await (await rarely()).everything(form) : body.dataset.live, (message) => on[message.type]?.(message));
refresh();
