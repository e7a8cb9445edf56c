/** Draws a session over time: requests, idle time left, token life left, and a token without renewal. */

import { phrase } from './text.js';

const SVG = 'http://www.w3.org/2000/svg';
const LABELS = 76;
const ROWS = { requests: [8, 22], idle: [44, 44], token: [102, 44], fixed: [160, 26] };
const AXIS = 204;
const HEIGHT = 224;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];

/**
 * One chart in `place`. A model has, in seconds after sign-in:
 * `from`, `to`; `now` (null: the whole session is known); `marks` `{ at, kind, renewed }`, kind one
 * of `user`, `background`, `failed`, `rejected`; `idle` and `tokens` `{ at, until, full }`, in order;
 * `threshold`; `absolute`; `fixed`; `end`; `summary`, its text for those who do not see it.
 */
export class Timeline {
  #place;
  #svg;
  #name;
  #hatch;
  #model = null;

  constructor(place, name) {
    this.#place = place;
    this.#svg = element('svg', { role: 'img', height: HEIGHT, 'aria-label': name });
    this.#name = name;
    this.#hatch = `${place.id}-hatch`;
    place.append(this.#svg, legend());
    new ResizeObserver(() => this.#model && this.draw(this.#model)).observe(place);
  }

  draw(model) {
    this.#model = model;
    const width = Math.max(280, this.#place.clientWidth);
    const scale = (width - LABELS - 10) / (model.to - model.from);
    const x = (at) => LABELS + (Math.min(model.to, Math.max(model.from, at)) - model.from) * scale;
    this.#svg.setAttribute('width', width);
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    this.#svg.setAttribute('aria-label', `${this.#name}. ${model.summary}`);
    this.#svg.replaceChildren(
      hatch(this.#hatch),
      ...axis(model, x, width),
      ...requests(model, x),
      ...sawtooth('idle', 'Idle', model.idle, model, x),
      ...sawtooth('token', 'Token', model.tokens, model, x),
      ...fixed(model, x, this.#hatch),
      ...verticals(model, x),
    );
  }
}

function element(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

const rowLabel = (row, text, more = '') => {
  const [top, height] = ROWS[row];
  const label = element('text', { x: 0, y: top + height / 2 + (more ? -2 : 4), class: 'label' }, text);
  if (!more) return [label];
  return [label, element('text', { x: 0, y: top + height / 2 + 12, class: 'tick' }, more)];
};

function hatch(id) {
  const defs = element('defs', {});
  const pattern = element('pattern', { id, width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' });
  pattern.append(element('rect', { width: 6, height: 6, class: 'hatch-ground' }), element('rect', { width: 2, height: 6, class: 'hatch-line' }));
  defs.append(pattern);
  return defs;
}

function axis({ from, to }, x, width) {
  const most = Math.max(3, Math.floor((width - LABELS) / 70));
  const step = STEPS.find((size) => (to - from) / size <= most) ?? (to - from) / most;
  const nodes = [element('line', { x1: LABELS, x2: width - 10, y1: AXIS, y2: AXIS, class: 'axis' })];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    nodes.push(element('line', { x1: x(at), x2: x(at), y1: 6, y2: AXIS, class: 'grid' }));
    const anchor = at === 0 ? 'start' : x(at) > width - 40 ? 'end' : 'middle';
    nodes.push(element('text', { x: x(at), y: HEIGHT - 4, 'text-anchor': anchor, class: 'tick' }, at === 0 ? 'sign-in' : phrase(at)));
  }
  return nodes;
}

function requests({ marks, from, to }, x) {
  const [top, height] = ROWS.requests;
  const middle = top + height / 2;
  const nodes = rowLabel('requests', 'Requests');
  for (const { at, kind, renewed } of marks) {
    if (at < from || at > to) continue;
    if (kind === 'background') {
      nodes.push(element('circle', { cx: x(at), cy: middle, r: 3.5, class: 'mark background' }));
    } else if (kind === 'rejected') {
      nodes.push(element('path', { d: `M${x(at) - 4} ${middle - 4}l8 8m0-8l-8 8`, class: 'mark rejected' }));
    } else {
      nodes.push(element('line', { x1: x(at), x2: x(at), y1: top + 3, y2: top + height, class: `mark ${kind}` }));
    }
    if (renewed) {
      nodes.push(element('path', { d: `M${x(at)} ${top - 3}l5 5l-5 5l-5-5z`, class: 'mark renewed' }));
    }
  }
  return nodes;
}

/** How much is left of a time that is reset at `at` and runs out at `until`. */
function sawtooth(kind, label, steps, { from, to, now, end, threshold }, x) {
  const [top, height] = ROWS[kind];
  const base = top + height;
  const nodes = rowLabel(kind, label, 'left');
  nodes.push(element('line', { x1: x(from), x2: x(to), y1: base, y2: base, class: 'base' }));
  if (kind === 'token' && threshold > 0) {
    nodes.push(element('rect', { x: x(from), width: x(to) - x(from), y: base - height * threshold, height: height * threshold, class: 'due' }));
  }
  const stop = Math.min(to, end?.at ?? Infinity);
  const past = Math.min(now ?? stop, stop);
  const y = (left, full) => base - height * Math.min(1, Math.max(0, left / full));
  let solid = '';
  let area = '';
  steps.forEach(({ at, until, full }, index) => {
    const next = Math.min(steps[index + 1]?.at ?? past, past);
    if (next < from || at > past) return;
    const [start, zero] = [Math.max(at, from), Math.min(next, until)];
    const line = `M${x(start)} ${y(until - start, full)}L${x(zero)} ${y(until - zero, full)}${next > zero ? `L${x(next)} ${base}` : ''}`;
    solid += line;
    area += `${line}L${x(next)} ${base}L${x(start)} ${base}Z`;
  });
  nodes.push(element('path', { d: area, class: `area ${kind}` }), element('path', { d: solid, class: `line ${kind}` }));
  const last = steps.at(-1);
  if (last && past < stop && last.until > past) {
    const zero = Math.min(last.until, stop);
    nodes.push(element('path', { d: `M${x(past)} ${y(last.until - past, last.full)}L${x(zero)} ${y(last.until - zero, last.full)}`, class: `line ahead ${kind}` }));
  }
  return nodes;
}

function fixed({ from, to, now, end, fixed: until }, x, pattern) {
  const [top, height] = ROWS.fixed;
  const nodes = rowLabel('fixed', 'No renewal');
  const stop = Math.min(to, end?.at ?? to);
  if (until > from) {
    nodes.push(element('rect', { x: x(from), width: Math.max(0, x(Math.min(until, to)) - x(from)), y: top, height, class: 'fixed' }));
  }
  if (until < stop) {
    const width = x(stop) - x(until);
    nodes.push(element('rect', { x: x(until), width, y: top, height, fill: `url(#${pattern})` }));
    const isPast = now === null || now >= until;
    const text = `${isPast ? 'signed out' : 'would be signed out'} at ${phrase(until)}`;
    if (width > text.length * 7) {
      nodes.push(element('text', { x: x(Math.max(until, from)) + 6, y: top + height / 2 + 4, class: 'told' }, text));
    }
  }
  return nodes;
}

function verticals({ from, to, now, absolute, end }, x) {
  const nodes = [];
  const line = (at, kind, text) => {
    if (at < from || at > to) return;
    nodes.push(element('line', { x1: x(at), x2: x(at), y1: 6, y2: AXIS, class: `vertical ${kind}` }));
    if (text) {
      const isRight = x(at) > x(to) - 90;
      nodes.push(element('text', { x: x(at) + (isRight ? -5 : 5), y: 38, 'text-anchor': isRight ? 'end' : 'start', class: `vertical-text ${kind}` }, text));
    }
  };
  line(absolute, 'absolute', 'absolute deadline');
  if (end) line(end.at, 'end', end.text);
  else if (now !== null) line(now, 'now');
  return nodes;
}

function legend() {
  const list = Object.assign(document.createElement('ul'), { className: 'legend small soft' });
  for (const [kind, text] of [['user', 'activity'], ['failed', 'failed'], ['background', 'background'], ['renewed', 'new token'], ['due', 'due for renewal']]) {
    const item = document.createElement('li');
    const svg = element('svg', { width: 12, height: 14, 'aria-hidden': 'true' });
    const shapes = {
      user: () => element('line', { x1: 6, x2: 6, y1: 1, y2: 13, class: 'mark user' }),
      failed: () => element('line', { x1: 6, x2: 6, y1: 1, y2: 13, class: 'mark failed' }),
      background: () => element('circle', { cx: 6, cy: 7, r: 3.5, class: 'mark background' }),
      renewed: () => element('path', { d: 'M6 2l5 5l-5 5l-5-5z', class: 'mark renewed' }),
      due: () => element('rect', { x: 0, y: 2, width: 12, height: 10, class: 'due' }),
    };
    svg.append(shapes[kind]());
    item.append(svg, text);
    list.append(item);
  }
  return list;
}
