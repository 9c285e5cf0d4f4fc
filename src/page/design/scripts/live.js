// What the server tells, by one stream for all tabs: that which holds a lock has it, and tells the others. Where a
// browser cannot do that, each tab has its own.

// Without two beats, of 15 s each, the link is dead, whatever the browser thinks.
const DEAD = 40_000;
const SLOWEST = 30_000;
// So long a tab that nobody sees keeps its place.
const UNSEEN = 300_000;

const { lang } = document.body.dataset;
const lock = `tkbd-live-${lang}`;
const others = self.BroadcastChannel && navigator.locks && new BroadcastChannel(lock);

// A position is BOOT.NUMBER; numbers compare within a boot.
const boot = (id) => id.slice(0, id.lastIndexOf('.'));
const number = (id) => Number(id.slice(id.lastIndexOf('.') + 1));
const covers = (id, other) => boot(id) === boot(other) && number(id) >= number(other);

let tell, position, heard, watch, unseen;
let isHere, isLeading, release;
let hello, link = { type: 'link', state: 'connecting' };
// Of the leader: its stream, from where and up to where it was told, and the last of each room in between.
let stream, retry, tries = 0, base, told, batch, isWhole;
const known = new Map();

// Tells of rows (pairs of a key and HTML or null, and whether these are all), the link, and hello, beat, wish and seat as
// the server has them. `from` is the position of the page.
export function connect(from, to) {
  position = from;
  tell = to;
  if (others) others.onmessage = ({ data }) => receive(data);
  addEventListener('pagehide', leave);
  addEventListener('pageshow', join);
  addEventListener('online', hurry);
  addEventListener('storage', ({ key }) => key === 'tkbd-wishes' && renew());
  document.addEventListener('visibilitychange', look);
  join();
}

function look() {
  clearTimeout(unseen);
  if (document.hidden) unseen = setTimeout(() => wishes().length || leave(), UNSEEN);
  else if (isHere) hurry();
  else join();
}

// For another list of wishes: a stream says them when it is opened.
export const renew = () => isLeading && open(told);

export function wishes() {
  try {
    return JSON.parse(localStorage.getItem('tkbd-wishes')) ?? [];
  } catch {
    return [];
  }
}

function join() {
  if (isHere) return;
  isHere = true;
  alive();
  if (!others) return lead();
  queue();
  ask();
}

const ask = () => others.postMessage({ type: 'join', since: position });

// Refused where locks are forbidden; ends when another tab, to which this one seemed dead, takes the lock.
const queue = (options = {}) =>
  navigator.locks.request(lock, options, lead).catch(() => (isLeading ? (leave(), join()) : lead()));

function lead() {
  // It left the page while it was in the queue.
  if (!isHere || isLeading) return;
  isLeading = true;
  known.clear();
  open(position);
  others?.postMessage({ type: 'lead' });
  return new Promise((done) => (release = done));
}

function leave() {
  isHere = isLeading = false;
  stream?.close();
  [watch, retry].forEach(clearTimeout);
  release?.();
}

function open(since) {
  stream?.close();
  clearTimeout(retry);
  base = told = since;
  batch = [];
  const query = new URLSearchParams({ lang, since });
  for (const wish of wishes()) query.append('wish', wish);
  stream = new EventSource(`/live?${query}`);
  const on = (type, act) =>
    stream.addEventListener(type, ({ data, lastEventId }) => (alive(), act(JSON.parse(data), lastEventId)));
  on('hello', (data) => {
    tries = 0;
    isWhole = data.whole;
    publish({ type: 'link', state: 'live' });
    publish({ ...data, type: 'hello' });
  });
  on('row', ({ key, html }, id) => add([key, html], id));
  on('gone', ({ key }, id) => add([key, null], id));
  on('none', (_, id) => end(id));
  for (const type of ['beat', 'wish', 'seat']) on(type, (data) => publish({ ...data, type }));
  // A browser gives up for good at an answer that is no stream.
  stream.onerror = fail;
  rest();
}

// Rows wait for the last of their batch, which has the id: half a state is none.
function add(row, id) {
  batch.push(row);
  if (id && id !== told) end(id);
}

function end(id) {
  for (const [key, html] of batch) known.set(key, [html, id]);
  publish({ type: 'rows', rows: batch, after: told, id, all: isWhole });
  if (isWhole) known.clear(), (base = id);
  told = id;
  isWhole = false;
  batch = [];
}

function publish(message) {
  others?.postMessage(message);
  receive(message);
}

function receive(message) {
  const { type, since } = message;
  if (!isHere) return;
  if (type === 'join') return isLeading && welcome(since);
  if (!isLeading) alive();
  if (type === 'lead') return ask();
  if (type === 'rows') return take(message);
  if (type === 'link') link = message;
  if (type === 'hello') hello = message;
  tell(message);
}

function take({ rows, after, id, all }) {
  if (covers(position, id)) return;
  if (!all && !covers(position, after)) return isLeading ? open(position) : ask();
  position = id;
  tell({ type: 'rows', rows, all });
}

// For a tab that came with what there was up to `since`.
function welcome(since) {
  if (!covers(since, base)) return open(since);
  const rows = [...known].filter(([, [, id]]) => !covers(since, id)).map(([key, [html]]) => [key, html]);
  if (rows.length) others.postMessage({ type: 'rows', rows, after: since, id: told });
  others.postMessage(link);
  if (hello) others.postMessage(hello);
}

function alive() {
  heard = Date.now();
  rest();
}

function rest() {
  clearTimeout(watch);
  watch = setTimeout(isLeading ? fail : takeOver, isLeading ? DEAD : DEAD + 5000);
}

function fail() {
  stream.close();
  [watch, retry].forEach(clearTimeout);
  if (link.state !== 'down') publish({ type: 'link', state: 'down', since: hello && heard });
  // Not all at the same moment, when a daemon is back.
  retry = setTimeout(() => open(told), Math.min(SLOWEST, 500 * 2 ** tries++) * (0.5 + Math.random() / 2));
}

// The leader is silent: frozen, perhaps. A tab that nobody sees may be so itself.
const takeOver = () => (document.hidden ? alive() : queue({ steal: true }));

// Somebody looks, or the network is back: what seems dead is tried at once.
function hurry() {
  const silence = Date.now() - heard;
  if (!isLeading) return silence > DEAD && takeOver();
  if (link.state === 'live' && silence < DEAD / 2) return;
  tries = 0;
  open(told);
}
