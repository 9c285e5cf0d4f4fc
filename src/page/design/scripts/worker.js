// Keeps the last pages for when there is no network. While there is one it answers nothing itself, but for files whose
// address has their edition in it: those never change.

const PAGES = 'pages';
const FILES = 'files';
// Of rooms that were looked at, too.
const MOST = 30;

const { origin } = self.location;
const isPage = ({ pathname, searchParams }) => /^\/($|kiosk$|rooms\/)/.test(pathname) && !searchParams.has('m') && !searchParams.has('c');
const address = ({ url }) => url.split('#')[0];
const isFile = ({ pathname }) => pathname.startsWith('/assets/');

self.addEventListener('install', () => self.skipWaiting());

// Whoever is here already came without us: what was shown to them is kept now.
self.addEventListener('activate', (event) => event.waitUntil(begin()));

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== origin) return;
  if (request.mode === 'navigate' && isPage(url)) event.respondWith(page(event));
  // A page that is shown asks for itself as it is now.
  else if (isPage(url) && request.headers.get('accept') === 'text/html') event.respondWith(renewed(event));
  else if (isFile(url)) event.respondWith(file(request));
});

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(look(event.notification.data.url));
});

async function begin() {
  // Where there is a network a page is asked for at once, not only when this has woken.
  await self.registration.navigationPreload?.enable();
  await self.clients.claim();
  const clients = await self.clients.matchAll({ type: 'window' });
  const pages = clients.map(({ url }) => url).filter((url) => isPage(new URL(url)));
  await Promise.allSettled(pages.map(async (url) => keepPage(url, await fetch(url, { headers: { accept: 'text/html' } }))));
}

async function page(event) {
  const url = address(event.request);
  try {
    const answer = (await event.preloadResponse) ?? (await fetch(event.request));
    // A proxy whose daemon is away says so: then the last that it said is better, with its age on it.
    if (![502, 503, 504].includes(answer.status)) {
      if (!answer.redirected) event.waitUntil(keepPage(url, answer.clone()));
      return answer;
    }
    return (await kept(url)) ?? answer;
  } catch (error) {
    const last = await kept(url);
    if (last) return last;
    throw error;
  }
}

async function renewed(event) {
  const answer = await fetch(event.request);
  if (!answer.redirected) event.waitUntil(keepPage(address(event.request), answer.clone()));
  return answer;
}

// That page, or else the same with other filters, which its scripts apply, or else the overview; of several the last that
// was kept, in the language that was chosen if there is one.
async function kept(url) {
  const pages = await caches.open(PAGES);
  const keys = (await pages.keys()).map((key) => key.url).reverse();
  const lang = (one) => new URL(one).searchParams.get('lang');
  const of = (path) => {
    const all = keys.filter((one) => new URL(one).pathname === path);
    return all.find((one) => lang(one) === lang(url)) ?? all[0];
  };
  const best = keys.includes(url) ? url : of(new URL(url).pathname) ?? of('/');
  return best && pages.match(best);
}

async function keepPage(url, answer) {
  if (!answer.ok) return;
  const pages = await caches.open(PAGES);
  const text = await answer.clone().text();
  await pages.delete(url);
  await pages.put(url, answer);
  const keys = await pages.keys();
  await Promise.all(keys.slice(0, -MOST).map((key) => pages.delete(key)));
  await keepFiles(text);
}

// All files of an edition, since scripts name others.
async function keepFiles(text) {
  const files = await caches.open(FILES);
  const named = [...text.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path]) => path);
  const seen = new Set();
  while (named.length) {
    const path = named.pop();
    if (seen.has(path)) continue;
    seen.add(path);
    const answer = (await files.match(path)) ?? (await fetched(files, path));
    if (!path.endsWith('.js') || !answer) continue;
    const script = await answer.text();
    for (const [, name] of script.matchAll(/['"](\.\/[\w-]+\.js)['"]/g)) named.push(new URL(name, origin + path).pathname);
  }
  await sweep(files);
}

// Files of editions of which no page is kept are of no use any more.
async function sweep(files) {
  const edition = (path) => path.split('/')[2];
  const keys = (await files.keys()).map(({ url }) => new URL(url).pathname);
  if (new Set(keys.map(edition)).size < 2) return;
  const pages = await caches.open(PAGES);
  const texts = (await pages.keys()).map(async (key) => (await pages.match(key)).text());
  const used = (await Promise.all(texts)).join();
  await Promise.all(keys.filter((path) => !used.includes(`/assets/${edition(path)}/`)).map((path) => files.delete(path)));
}

async function file(request) {
  const files = await caches.open(FILES);
  return (await files.match(request)) ?? fetch(request);
}

async function fetched(files, path) {
  const answer = await fetch(path);
  if (!answer.ok) return;
  await files.put(path, answer.clone());
  return answer;
}

async function look(url) {
  const [client] = await self.clients.matchAll({ type: 'window' });
  if (!client) return self.clients.openWindow(url);
  await client.focus();
  return client.navigate(url);
}
