// A display on a wall: the overview, awake, with the time.

import './overview.js';
import { time } from './texts.js';

const clock = document.getElementById('clock');

// A browser lets go of the lock when it is covered.
async function stayAwake() {
  if (!document.hidden) await navigator.wakeLock?.request('screen').catch(() => {});
}

// It goes on when the link is down, so that the age of what is shown is seen beside it.
setInterval(() => (clock.textContent = time(Date.now())), 1000);
document.addEventListener('visibilitychange', stayAwake);
stayAwake();
