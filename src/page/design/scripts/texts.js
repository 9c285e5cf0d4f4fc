// Texts come with the page, in its language; their placeholders stand in braces.

export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

// As the server compares names: without accents, in lower case.
export const fold = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();

// A time of day where the rooms are, with the day where that is not today.
export function time(at) {
  const { lang, tz } = document.body.dataset;
  const told = (when, options) => new Intl.DateTimeFormat(lang, { timeZone: tz, ...options }).format(when);
  const day = { weekday: 'short', day: 'numeric', month: 'short' };
  const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  return told(at, told(at, day) === told(Date.now(), day) ? clock : { ...day, ...clock });
}

// What stands behind the links to rooms where the language was chosen.
export const lang = new URLSearchParams(location.search).has('lang') ? `?lang=${document.body.dataset.lang}` : '';
