/** The policy explorer: asks the server what becomes of a session under a policy and a pattern. */

import { count, phrase } from './text.js';
import { Timeline } from './timeline.js';

const TIMES = [1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1200, 1800, 2700, 3600,
  5400, 7200, 10800, 14400, 21600, 28800, 43200, 64800, 86400, 172800, 259200, 604800, 1209600, 2592000];
/** The server takes 500 requests at most. */
const MOST = 480;
const NAMES = {
  short: 'One minute', normal: 'Normal', remember_me: 'Remember me', guest: 'Guest',
  nist_aal2: 'NIST AAL2', nist_aal3: 'NIST AAL3', pci_dss: 'PCI DSS', long_lived: 'Long-lived',
};
const PATTERNS = {
  steady: 'Works without a break', pause: 'Works, takes a break, goes on', polls: 'Works, then leaves; the page polls',
};
const ENDS = {
  session_expired_idle: ['idle timeout', 'the idle timeout has passed'],
  session_expired_absolute: ['maximum lifetime', 'it has reached its maximum lifetime'],
  token_expired: ['token expired', 'its token has expired and nothing renewed it'],
};

const $ = (id) => document.getElementById(id);
const nearest = (list, value) => list.reduce((best, it) => (Math.abs(Math.log(it / value)) < Math.abs(Math.log(best / value)) ? it : best));

export class Explorer {
  #timeline = new Timeline($('explored'), 'Timeline of the explored session');
  #form = $('explore');
  #policies;
  #delay;
  #asking;

  constructor({ profiles, presets }) {
    this.#policies = [...profiles, ...presets];
    const field = (name, label, control) => {
      const row = Object.assign(document.createElement('div'), { className: 'slider' });
      const title = Object.assign(document.createElement('label'), { htmlFor: `x-${name}`, textContent: label });
      control.id = `x-${name}`;
      control.name = name;
      const value = Object.assign(document.createElement('output'), { htmlFor: control.id });
      row.append(title, value, control);
      return row;
    };
    const range = (min, max) => Object.assign(document.createElement('input'), { type: 'range', min, max, step: 1 });
    const times = () => range(0, TIMES.length - 1);
    const select = document.createElement('select');
    select.append(...Object.entries(PATTERNS).map(([value, text]) => new Option(text, value)));
    const refresh = Object.assign(document.createElement('label'), { className: 'switch' });
    refresh.append(Object.assign(document.createElement('input'), { type: 'checkbox', name: 'refresh', id: 'x-refresh', checked: true }), ' Refresh tokens');
    this.#form.append(
      field('idle', 'Idle timeout', times()),
      field('absolute', 'Absolute timeout', times()),
      field('lifetime', 'Token lifetime', times()),
      field('threshold', 'Renewed below', range(1, 20)),
      refresh,
      field('pattern', 'The user', select),
      field('gap', 'A request every', times()),
      field('pause', 'Break', times()),
    );
    const preset = $('preset');
    preset.append(...this.#policies.map(({ name }) => new Option(NAMES[name] ?? name, name)));
    preset.addEventListener('change', () => this.#take(preset.value));
    this.#form.addEventListener('input', () => this.#changed());
    this.#form.addEventListener('submit', (event) => event.preventDefault());
    this.#take(this.#policies[0].name);
  }

  #take(name) {
    const policy = this.#policies.find((it) => it.name === name);
    const { idle_timeout: idle, absolute_timeout: absolute, token_lifetime: lifetime, renew_threshold: threshold } = policy;
    const { elements } = this.#form;
    const set = (field, seconds) => { elements[field].value = TIMES.indexOf(nearest(TIMES, seconds)); };
    set('idle', idle);
    set('absolute', absolute);
    set('lifetime', lifetime);
    elements.threshold.value = Math.round((Number(threshold) || 1) * 20);
    set('gap', Math.max(absolute / MOST, Math.min(lifetime, idle) * 0.3));
    set('pause', idle);
    this.#changed();
  }

  #read() {
    const { elements } = this.#form;
    const seconds = (field) => TIMES[elements[field].value];
    return {
      idle: seconds('idle'), absolute: seconds('absolute'), lifetime: seconds('lifetime'),
      threshold: elements.threshold.value / 20, refresh: elements.refresh.checked,
      pattern: elements.pattern.value, gap: seconds('gap'), pause: seconds('pause'),
    };
  }

  #changed() {
    const { elements } = this.#form;
    const values = this.#read();
    for (const name of ['idle', 'absolute', 'lifetime', 'gap', 'pause', 'threshold']) {
      const text = name === 'threshold' ? `${Math.round(values.threshold * 100)} % of its life` : phrase(values[name]);
      elements[name].setAttribute('aria-valuetext', text);
      elements[name].previousElementSibling.textContent = text;
    }
    elements.pause.parentElement.hidden = values.pattern !== 'pause';
    clearTimeout(this.#delay);
    this.#delay = setTimeout(() => this.#explore(values), 150);
  }

  async #explore(values) {
    this.#asking?.abort();
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    const { requests, isCut } = plan(values);
    $('explored').classList.add('pending');
    try {
      const response = await fetch('explore', {
        method: 'POST', signal, headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ policy: policy(values), refresh_tokens: values.refresh, requests }),
      });
      const answer = await response.json();
      if (response.ok) this.#show(values, answer, isCut);
      else this.#fail(answer.title ?? `The server answered ${response.status}.`);
    } catch {
      if (signal.aborted) return;
      this.#fail('The explorer could not be loaded: the server did not answer. Move a slider to try again.');
    }
    $('explored').classList.remove('pending');
  }

  #fail(text) {
    $('explore-error').textContent = text;
    $('explored').hidden = true;
    $('findings').replaceChildren();
  }

  #show(values, { description, warnings, sign_in: signIn, requests, end, fixed_token: fixed }, isCut) {
    $('explore-error').textContent = '';
    $('explored').hidden = false;
    const [short, long] = ENDS[end.code] ?? [end.code, end.code];
    const renewals = requests.filter(({ renewed }) => renewed);
    const refreshes = requests.filter(({ refreshed }) => refreshed);
    const first = renewals[0]?.at;
    const sentences = [
      renewals.length ? `${count(renewals.length, 'renewal')}, the first after ${phrase(first)}.` : 'No renewal.',
      ...(refreshes.length ? [`The refresh token is exchanged ${count(refreshes.length, 'time')}.`] : []),
      `The session ends after ${phrase(end.at)}: ${long}.`,
      fixed.rejected ? `Without renewals the user would be signed out after ${phrase(fixed.until)}, before ${count(fixed.rejected, 'more request')}.`
        : 'Without renewals it would be the same for this user.',
      ...(isCut ? [`Only the first ${MOST} requests are sent.`] : []),
    ];
    const paragraph = (text, className = '') => Object.assign(document.createElement('p'), { textContent: text, className });
    const details = document.createElement('details');
    details.append(Object.assign(document.createElement('summary'), { textContent: 'The policy in words' }), paragraph(description.split('\n')[0], 'small'));
    $('findings').replaceChildren(paragraph(sentences.join(' ')), ...warnings.map((text) => paragraph(`Warning: ${text}.`, 'small warned')), details);
    const kind = ({ code, background }) => (code ? 'rejected' : background ? 'background' : 'user');
    const marks = requests.map((it) => ({ at: it.at, kind: kind(it), renewed: it.renewed || it.refreshed }));
    const steps = (deadline, full) => {
      const found = [{ at: 0, until: signIn[deadline], full }];
      for (const { at, deadlines } of requests) {
        if (deadlines[deadline] !== found.at(-1).until) found.push({ at, until: deadlines[deadline], full });
      }
      return found;
    };
    this.#timeline.draw({
      from: 0, to: Math.min(values.absolute, Math.max(end.at, values.absolute * 0.05)) * 1.04, now: null, marks,
      idle: steps('idle', values.idle), tokens: steps('token', values.lifetime), threshold: values.threshold,
      absolute: values.absolute, fixed: fixed.until, end: { at: end.at, text: short }, summary: sentences.join(' '),
    });
  }
}

/** The policy as the server reads it. */
function policy({ idle, absolute, lifetime, threshold }) {
  // As long as the policy allows, up to the default of 60 s.
  const interval = Math.min(60, Math.floor(lifetime * threshold / 2));
  return {
    idle_timeout: idle, absolute_timeout: absolute, token_lifetime: lifetime, renew_threshold: threshold,
    renew_min_interval: interval,
  };
}

/** The requests of a user until the maximum lifetime. */
function plan({ pattern, gap, pause, absolute }) {
  const requests = [];
  const leaves = absolute / 3;
  let shift = 0;
  for (let at = gap; at + shift <= absolute && requests.length < MOST; at += gap) {
    const isAfter = at > leaves;
    if (pattern === 'pause' && isAfter && shift === 0) shift = Math.max(0, pause - gap);
    requests.push({ at: at + shift, background: pattern === 'polls' && isAfter });
  }
  return { requests, isCut: requests.length === MOST };
}
