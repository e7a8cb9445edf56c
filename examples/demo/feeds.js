/** The feeds of the page: what a session has opened ends with it. */

import { count } from './text.js';

const KINDS = [
  { name: 'GET /events', how: 'server-sent events over fetch, with the token', open: read },
  { name: 'GET /events?ticket', how: 'EventSource, which sends no header, with a ticket', open: listen },
  { name: 'GET /socket', how: 'WebSocket, with the token as a subprotocol', open: echo },
];
const ENDED = 'Ended with the session';

/** Each opens a feed, and returns what closes it. `feed` is told of each message and of the end. */
async function read(streams, session, feed) {
  const aborter = new AbortController();
  const run = async () => {
    for await (const { type } of streams.events(session, 'events', { signal: aborter.signal })) {
      if (type === 'tick') feed.message();
    }
    feed.end(aborter.signal.aborted ? 'Closed' : ENDED);
  };
  run().catch(() => feed.end('Failed'));
  return () => aborter.abort();
}

async function listen(streams, session, feed) {
  // Below a proxy the server sees another path than the browser.
  const source = new EventSource(await streams.url(session, 'events', { root: './' }));
  const end = (how) => {
    source.close();
    feed.end(how);
  };
  source.addEventListener('tick', () => feed.message());
  source.addEventListener('session-ended', () => {
    end(ENDED);
    session.check();
  });
  // It would come back with a ticket that was used.
  source.onerror = () => end('Lost');
  return () => end('Closed');
}

async function echo(streams, session, feed) {
  const socket = await streams.socket(session, 'socket');
  let sent = 0;
  const send = () => socket.send(`message ${sent += 1}`);
  let timer;
  socket.onopen = () => {
    send();
    timer = setInterval(send, 1000);
  };
  socket.onmessage = () => feed.message();
  socket.onclose = ({ code }) => {
    clearInterval(timer);
    feed.end({ 1000: 'Closed', 3000: ENDED }[code] ?? 'Lost');
  };
  return () => socket.close(1000);
}

class Feed {
  #kind;
  #button = document.createElement('button');
  #state = document.createElement('span');
  #messages = 0;
  #close = null;
  #tell;

  constructor(list, kind, tell) {
    this.#kind = kind;
    this.#tell = tell;
    const [item, name, how] = ['li', 'code', 'span'].map((tag) => document.createElement(tag));
    name.textContent = kind.name;
    Object.assign(how, { className: 'small soft', textContent: kind.how });
    Object.assign(this.#button, { type: 'button', disabled: true, textContent: 'Open' });
    this.#state.className = 'state';
    this.#button.setAttribute('aria-label', `Open ${kind.name}`);
    item.append(this.#button, name, how, this.#state);
    list.append(item);
  }

  /** What a click does while `session` is signed in. */
  offer(streams, session) {
    this.#button.disabled = false;
    this.#show('', '');
    this.#button.onclick = () => (this.#close ? this.#close() : this.#open(streams, session));
  }

  withdraw() {
    this.#button.disabled = true;
  }

  async #open(streams, session) {
    if (this.#button.getAttribute('aria-disabled') === 'true') return;
    this.#button.setAttribute('aria-disabled', 'true');
    this.#messages = 0;
    this.#show('Opening', '');
    try {
      this.#close = await this.#kind.open(streams, session, this);
      this.#label('Close');
    } catch {
      this.end('Failed');
    } finally {
      this.#button.removeAttribute('aria-disabled');
    }
  }

  message() {
    this.#messages += 1;
    this.#show(count(this.#messages, 'message'), 'open');
  }

  end(how) {
    this.#close = null;
    this.#label('Open');
    const text = `${how} after ${count(this.#messages, 'message')}`;
    this.#show(text, how === 'Closed' ? '' : 'over');
    this.#tell(this.#kind.name, `${text}.`, how === 'Closed' ? '' : 'bad');
  }

  #label(verb) {
    this.#button.textContent = verb;
    this.#button.setAttribute('aria-label', `${verb} ${this.#kind.name}`);
  }

  #show(text, look) {
    this.#state.textContent = text;
    this.#state.className = `state ${look}`;
  }
}

export class Feeds {
  #feeds;

  /** `tell` logs the end of a feed. */
  constructor(list, streams, session, tell) {
    this.#feeds = KINDS.map((kind) => new Feed(list, kind, tell));
    session.addEventListener('signedin', () => {
      for (const feed of this.#feeds) feed.offer(streams, session);
    });
    session.addEventListener('ended', () => {
      for (const feed of this.#feeds) feed.withdraw();
    });
  }
}
