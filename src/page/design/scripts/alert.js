// "Tell me when a seat is free": wishes are kept in this browser, told by its stream, and answered by a notification,
// or by a banner where that is refused.

import { renew, wishes } from './live.js';
import { lang } from './texts.js';

const KEPT = 'tkbd-wishes';
// After so long a server that had no room for a wish is asked again.
const LATER = 180_000;

const place = document.getElementById('alert');
const words = place.dataset;
const tell = document.getElementById('tell');
const told = new Set();
// Whether it waits, for what it did last, and what of that was refused.
let isWaiting, asked = [], refused, later;

// Another tab wished, or took it back. What was told here stays.
addEventListener('storage', ({ key }) => key === KEPT && (isWaiting || wishes().length) && show());

// A list has one token, which is its place in the queue.
const token = () => wishes()[0]?.split(';')[0] ?? draw();

const draw = () =>
  btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');

// Wants a seat: in one of these rooms, or as the filters say it.
export async function ask(query, keys) {
  const field = (name, value) => (value ? `;${name}:${value}` : '');
  const how = ['system', 'minutes'].map((name) => field(name, query.get(name))).join('');
  const places = keys ? keys.map((key) => field('room', key)) : [field('tag', query.getAll('tag').slice(0, 8).join())];
  add(places.map((place) => place + how));
  // Only at a click is it polite to ask, and browsers allow it only then.
  if (self.Notification?.permission === 'default') await Notification.requestPermission();
}

// Says that there are wishes, or why there is none, and lets them be taken back.
export function show() {
  const list = wishes();
  tell.hidden = isWaiting = list.length > 0;
  if (isWaiting) asked = list;
  // It was to be tried again, and is not any more.
  else if (refused?.reason === 'full') refused = undefined;
  place.hidden = !isWaiting && !refused;
  if (!place.hidden) say(refused?.text ?? words.waits, button(isWaiting ? words.stop : words.close, stop));
}

function stop() {
  refused = undefined;
  if (isWaiting) keep([]);
  show();
}

export function hear(message) {
  const { type, wish, state, reason } = message;
  if (type === 'seat') return seat(message);
  if (state !== 'waits') {
    refused = message;
    clearTimeout(later);
    if (reason === 'full') later = setTimeout(renew, LATER);
    else keep(wishes().filter((one) => one !== wish));
  } else if (refused?.wish === wish) refused = undefined;
  show();
}

function seat({ wish, key, title, text }) {
  const [token] = wish.split(';');
  // Each tab is told; what one has forgotten is not brought back by another.
  if (told.has(token)) return;
  told.add(token);
  isWaiting = false;
  refused = undefined;
  const isOf = (one) => one.startsWith(token);
  const isFirst = wishes().some(isOf);
  const all = asked.some(isOf) ? asked : [wish];
  if (isFirst) keep([]);
  const url = `/rooms/${key}${lang}`;
  const link = document.createElement('a');
  link.href = url;
  link.textContent = title;
  const again = button(words.again, () => add(all.map((one) => one.slice(token.length))));
  say([link, ` ${text}`], again, button(words.close, () => (place.hidden = true)));
  place.hidden = false;
  if (!isFirst || self.Notification?.permission !== 'granted') return;
  notify(title, { body: text, tag: 'tkbd-seat', data: { url }, requireInteraction: true });
}

async function notify(title, options) {
  const registration = await navigator.serviceWorker?.getRegistration();
  // Phones take notifications from a worker only.
  if (registration) return registration.showNotification(title, options);
  new Notification(title, options).onclick = () => location.assign(options.data.url);
}

// All of one list; with the first that is told all are done.
function add(fields) {
  const own = token();
  refused = undefined;
  keep([...new Set([...wishes(), ...fields.map((one) => own + one)])]);
  show();
}

function keep(list) {
  if (list.length) localStorage.setItem(KEPT, JSON.stringify(list));
  else localStorage.removeItem(KEPT);
  renew();
}

function say(text, ...buttons) {
  const line = document.createElement('p');
  line.append(...[text].flat());
  const said = [line, ...buttons];
  // What is set is read aloud, and each stream says again that it waits.
  if (said.map((one) => one.textContent).join('') !== place.textContent) place.replaceChildren(...said);
}

function button(text, act) {
  const one = document.createElement('button');
  one.type = 'button';
  one.textContent = text;
  one.onclick = act;
  return one;
}
