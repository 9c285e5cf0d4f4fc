// "Tell me when a seat is free": wishes are kept in this browser, told by its stream, and answered by a notification,
// or by a banner where that is refused.

import { renew, wishes } from './live.js';

const KEPT = 'tkbd-wishes';
// After so long a server that had no room for a wish is asked again.
const LATER = 180_000;

const place = document.getElementById('alert');
const words = place.dataset;
const tell = document.getElementById('tell');
const told = new Set();
let isWaiting;

// Another tab wished, or took it back. What was told here stays.
addEventListener('storage', ({ key }) => key === KEPT && (isWaiting || wishes().length) && show());

// A list has one token, which is its place in the queue.
const token = () => wishes()[0]?.split(';')[0] ?? draw();

const draw = () =>
  btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');

// Wants a seat: of a room, or as the filters say it.
export async function ask(query) {
  const tags = query.getAll('tag').slice(0, 8);
  const [room, system, minutes] = ['room', 'system', 'minutes'].map((name) => query.get(name));
  const fields = { room, tag: tags.join(), system, minutes };
  add(Object.entries(fields).filter(([, value]) => value).map(([name, value]) => `;${name}:${value}`).join(''));
  // Only at a click is it polite to ask, and browsers allow it only then.
  if (self.Notification?.permission === 'default') await Notification.requestPermission();
}

// Says that there are wishes, and lets them be taken back.
export function show() {
  tell.hidden = isWaiting = wishes().length > 0;
  place.hidden = !isWaiting;
  if (isWaiting) say(words.waits, button(words.stop, () => (keep([]), show())));
}

export function hear(message) {
  if (message.type === 'seat') return seat(message);
  if (message.state === 'waits') return show();
  // It is refused.
  if (message.reason === 'full') setTimeout(renew, LATER);
  else keep(wishes().filter((wish) => wish !== message.wish));
  say(message.text);
}

function seat({ wish, key, title, text }) {
  const [token, ...fields] = wish.split(';');
  // Each tab is told; what one has forgotten is not brought back by another.
  if (told.has(token)) return;
  told.add(token);
  isWaiting = false;
  const isFirst = wishes().some((one) => one.startsWith(token));
  if (isFirst) keep([]);
  const lang = new URLSearchParams(location.search).get('lang');
  const url = `/rooms/${key}${lang ? `?lang=${lang}` : ''}`;
  const link = document.createElement('a');
  link.href = url;
  link.textContent = title;
  const again = button(words.again, () => add(fields.map((field) => `;${field}`).join('')));
  say([link, ` ${text}`], again, button(words.close, () => (place.hidden = true)));
  if (!isFirst || self.Notification?.permission !== 'granted') return;
  notify(title, { body: text, tag: 'tkbd-seat', data: { url }, requireInteraction: true });
}

async function notify(title, options) {
  const registration = await navigator.serviceWorker?.getRegistration();
  // Phones take notifications from a worker only.
  if (registration) return registration.showNotification(title, options);
  new Notification(title, options).onclick = () => location.assign(options.data.url);
}

function add(fields) {
  const wish = token() + fields;
  if (!wishes().includes(wish)) keep([...wishes(), wish]);
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
  place.replaceChildren(line, ...buttons);
  place.hidden = false;
}

function button(text, act) {
  const one = document.createElement('button');
  one.type = 'button';
  one.textContent = text;
  one.onclick = act;
  return one;
}
