/** The form in which an owner sets the timeouts of the account. */

import { $, busy, count, el } from './dom.js';

const STANDARD = { idle_timeout_minutes: 1440, absolute_timeout_minutes: 7 * 1440 };
const DEFAULT = { idle_timeout_minutes: null, absolute_timeout_minutes: null };
const FIELDS = { idle_timeout_minutes: 'Idle timeout', absolute_timeout_minutes: 'Absolute timeout' };
const UNITS = [['days', 1440], ['hours', 60], ['minutes', 1]];

function phrase(minutes) {
  const [unit, size] = UNITS.find(([, it]) => minutes >= it && minutes % it === 0) ?? UNITS[2];
  return count(minutes / size, unit.slice(0, -1));
}

const describe = ({ idle_timeout_minutes: idle, absolute_timeout_minutes: absolute }) => `${phrase(idle)} without activity, ${phrase(absolute)} at most`;
const plan = () => document.querySelector('input[name=plan]:checked')?.value;

export class Timeouts {
  #send;
  #settings = null;
  /** Whether the fields have been checked once: from then on they are at each edit. */
  #isChecked = false;

  /** `send(method, path, body)` resolves to `{ ok, status, body }`, or to null once signed out. */
  constructor(send) {
    this.#send = send;
    for (const [field, text] of Object.entries(FIELDS)) $('custom').append(this.#measure(field, text));
    for (const radio of document.querySelectorAll('input[name=plan]')) radio.addEventListener('change', () => this.#unfold());
    const form = $('timeouts');
    form.addEventListener('input', () => { $('saved').textContent = ''; });
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit(form.querySelector('[type=submit]'));
    });
  }

  /** Shows what the server has said, and leaves what the owner is editing. */
  show(settings) {
    this.#settings = settings;
    $('default-text').textContent = describe(settings.defaults);
    $('standard-text').textContent = describe(STANDARD);
    const isAllowed = Object.entries(STANDARD).every(([field, minutes]) => {
      const { min, max } = settings.bounds[field];
      return min <= minutes && minutes <= max;
    });
    document.querySelector('input[value=standard]').parentElement.hidden = !isAllowed;
    const { idle_timeout_minutes: idle, absolute_timeout_minutes: absolute } = settings.effective;
    $('in-force').textContent = `Effective: ${phrase(idle)} / ${phrase(absolute)}`;
    for (const field of Object.keys(FIELDS)) {
      const { min, max } = settings.bounds[field];
      $(`${field}-bound`).textContent = `From ${phrase(min)} to ${phrase(max)}`;
    }
  }

  /** Fills the form with the current settings. */
  fill() {
    const own = Object.keys(FIELDS).map((field) => this.#settings[field]);
    const isStandard = Object.keys(FIELDS).every((field) => this.#settings[field] === STANDARD[field]);
    const name = own.every((it) => it === null) ? 'default' : isStandard ? 'standard' : 'custom';
    document.querySelector(`input[value=${name}]`).checked = true;
    for (const field of Object.keys(FIELDS)) {
      const minutes = this.#settings.effective[field];
      const [unit, size] = UNITS.find(([, it]) => minutes % it === 0);
      $(field).value = minutes / size;
      $(`${field}-unit`).value = unit;
    }
    this.#unfold();
  }

  #measure(field, text) {
    const input = el('input', { type: 'text', inputMode: 'numeric', id: field, autocomplete: 'off' });
    const unit = el('select', { id: `${field}-unit`, ariaLabel: `${text}: unit` }, ...UNITS.map(([name]) => el('option', { value: name }, name)));
    input.setAttribute('aria-describedby', `${field}-bound ${field}-error`);
    for (const part of [input, unit]) part.addEventListener('input', () => this.#isChecked && this.#check());
    return el('div', { className: 'measure' }, el('label', { htmlFor: field }, text), el('div', { className: 'row' }, input, unit),
      el('p', { className: 'small soft', id: `${field}-bound` }), el('p', { className: 'error', id: `${field}-error` }));
  }

  #unfold() {
    $('custom').hidden = plan() !== 'custom';
    this.#isChecked = false;
    this.#complain({});
  }

  #complain(errors) {
    for (const field of Object.keys(FIELDS)) {
      $(`${field}-error`).textContent = errors[field] ?? '';
      if (errors[field]) $(field).setAttribute('aria-invalid', 'true');
      else $(field).removeAttribute('aria-invalid');
    }
    $('form-error').textContent = errors[''] ?? '';
  }

  /** The values of the custom fields in minutes; null if one is invalid, with a message beside it. */
  #check() {
    this.#isChecked = true;
    const minutes = {};
    const errors = {};
    for (const field of Object.keys(FIELDS)) {
      const text = $(field).value.trim();
      const [, size] = UNITS.find(([unit]) => unit === $(`${field}-unit`).value);
      const { min, max } = this.#settings.bounds[field];
      minutes[field] = Number(text) * size;
      if (!/^\d+$/.test(text)) errors[field] = 'Enter a whole number.';
      else if (minutes[field] < min) errors[field] = `At least ${phrase(min)}.`;
      else if (minutes[field] > max) errors[field] = `At most ${phrase(max)}.`;
    }
    const { idle_timeout_minutes: idle, absolute_timeout_minutes: absolute } = minutes;
    if (Object.keys(errors).length === 0 && idle > absolute) errors.idle_timeout_minutes = `At most the absolute timeout, ${phrase(absolute)}.`;
    this.#complain(errors);
    return Object.keys(errors).length > 0 ? null : minutes;
  }

  #submit(button) {
    const settings = { default: () => DEFAULT, standard: () => STANDARD, custom: () => this.#check() }[plan()]();
    if (!settings) {
      this.#focusError();
      return;
    }
    busy(button, async () => {
      const answer = await this.#send('PATCH', 'auth/security', settings);
      if (answer?.ok) {
        this.show(answer.body);
        this.fill();
        $('saved').textContent = 'Saved';
      } else if (answer?.status === 422) {
        this.#refused(answer.body.errors ?? []);
      }
    });
  }

  #refused(refusals) {
    const errors = {};
    for (const { field, bound, message } of refusals) {
      const isShown = field in FIELDS && !$('custom').hidden;
      const text = bound?.min !== undefined && bound.max === undefined ? `At least ${phrase(bound.min)}.`
        : bound?.max !== undefined && bound.min === undefined ? `At most ${phrase(bound.max)}.` : message;
      errors[isShown ? field : ''] = isShown ? text : `${FIELDS[field] ?? field}: ${text}`;
    }
    this.#complain(errors);
    this.#focusError();
  }

  #focusError() {
    document.querySelector('#custom [aria-invalid]')?.focus();
  }
}
