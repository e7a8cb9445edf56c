/** The three clocks of a session: idle, absolute, token. */

import { digits, phrase, renewShare } from './text.js';

const NAMES = { idle: 'Idle', absolute: 'Absolute', token: 'Token' };

export class Clocks {
  #items = {};

  constructor(list) {
    for (const [kind, name] of Object.entries(NAMES)) {
      const item = document.createElement('li');
      item.className = `clock ${kind}`;
      const title = Object.assign(document.createElement('h3'), { id: `clock-${kind}`, textContent: name });
      const time = Object.assign(document.createElement('p'), { className: 'time' });
      const track = Object.assign(document.createElement('div'), { className: 'track' });
      for (const [key, value] of Object.entries({
        role: 'meter', 'aria-labelledby': title.id, 'aria-valuemin': 0, 'aria-valuemax': 100,
      })) track.setAttribute(key, value);
      const zone = Object.assign(document.createElement('div'), { className: 'zone' });
      const bar = Object.assign(document.createElement('div'), { className: 'bar' });
      track.append(zone, bar);
      const note = Object.assign(document.createElement('p'), { className: 'note small soft' });
      item.append(title, time, track, note);
      list.append(item);
      this.#items[kind] = { item, time, track, zone, bar, note };
    }
  }

  /** `left` and `full` by kind, in seconds; `first`: the limit that comes first. */
  draw({ left, full, first, policy }) {
    for (const [kind, { item, time, track, zone, bar, note }] of Object.entries(this.#items)) {
      const seconds = left[kind] ?? 0;
      const share = Math.min(1, Math.max(0, seconds / full[kind]));
      item.classList.toggle('first', kind === first);
      item.classList.toggle('low', kind === first && share < 0.26);
      time.textContent = digits(seconds);
      bar.style.width = `${share * 100}%`;
      zone.style.width = kind === 'token' ? `${renewShare(policy) * 100}%` : '0';
      track.setAttribute('aria-valuenow', Math.round(share * 100));
      track.setAttribute('aria-valuetext', `${phrase(Math.ceil(seconds))} left`);
      note.textContent = this.#note(kind, left, full, policy);
    }
  }

  /** Highlights a clock that a response has reset. */
  flash(kind) {
    const { item } = this.#items[kind];
    item.classList.remove('fresh');
    void item.offsetWidth; // Restarts the animation.
    item.classList.add('fresh');
  }

  #note(kind, left, full, policy) {
    if (kind === 'idle') return `Activity resets it to ${phrase(policy.idle_timeout)}.`;
    if (kind === 'absolute') return 'Nothing resets it.';
    if (left.token <= 0) return 'Expired. The next request exchanges the refresh token first.';
    if (left.absolute !== null && left.token > left.absolute - 1.5) {
      return 'Lasts until the absolute deadline: no renewal can prolong it.';
    }
    const share = renewShare(policy);
    if (share === 0) return 'Renewals are off.';
    const due = left.token - share * full.token;
    return due > 0 ? `Due for renewal in ${phrase(Math.ceil(due))}.` : 'Due: the next activity renews it.';
  }
}
