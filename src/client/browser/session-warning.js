/**
 * The element `<session-warning>`: a dialog that warns before a session ends. `session-warning.d.ts`
 * describes it. It uses the session's events and methods, and imports nothing.
 */

/** An element with attributes and children: `innerHTML` is refused where Trusted Types are required. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function makeContent() {
  const left = () => make('span', { 'data-left': '' });
  const button = (text, attributes) => make('button', { type: 'button', ...attributes }, text);
  return [
    make('h2', {}, 'You are about to be signed out'),
    make('p', { 'data-limit': 'idle' }, 'You have not been active for a while. Time left: ', left()),
    make('p', { 'data-limit': 'absolute' }, 'Your session reaches its maximum length. Save your work,'
      + ' then sign in again. Time left: ', left()),
    make('p', { 'data-failed': '', role: 'alert' }, 'The server does not answer. Try again.'),
    make('p', {},
      button('Stay signed in', { 'data-limit': 'idle', 'data-stay': '' }), ' ',
      button('Sign in again', { 'data-limit': 'absolute', 'data-signin': '' }), ' ',
      button('Close', { 'data-dismiss': '' })),
  ];
}

/** Also where the page's style gives the element another `display`. */
function show(part, isShown) {
  part.hidden = !isShown;
  part.style.display = isShown ? '' : 'none';
}

let count = 0;

/** Minutes and seconds: 4:05. */
function clock(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

export class SessionWarning extends HTMLElement {
  #session = null;
  #listening = new AbortController();
  #dialog;
  #timer;
  #title;

  get session() { return this.#session; }

  set session(session) {
    this.#stopListening();
    this.#session = session;
    if (this.isConnected) this.#listen();
  }

  connectedCallback() {
    this.#dialog ??= this.#makeDialog();
    this.#listen();
  }

  disconnectedCallback() {
    this.#stopListening();
  }

  #makeDialog() {
    const dialog = document.createElement('dialog');
    dialog.setAttribute('role', 'alertdialog');
    dialog.append(...this.childNodes);
    if (dialog.childElementCount === 0) dialog.append(...makeContent());
    const heading = dialog.querySelector('h1, h2, h3');
    if (heading) {
      count += 1;
      heading.id ||= `session-warning-${count}`;
      dialog.setAttribute('aria-labelledby', heading.id);
    }
    const onClick = (name, action) => {
      for (const button of dialog.querySelectorAll(`[data-${name}]`)) {
        button.addEventListener('click', () => action(button));
      }
    };
    onClick('stay', (button) => this.#stay(button));
    onClick('signin', () => this.#signIn());
    onClick('dismiss', () => dialog.close());
    // Escape closes a dialog, too.
    dialog.addEventListener('close', () => this.#stopCounting());
    this.append(dialog);
    return dialog;
  }

  #listen() {
    if (!this.#session) return;
    this.#stopListening();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.#session.addEventListener('warning', ({ detail }) => this.#open(detail.limit), { signal });
    this.#session.addEventListener('warningend', () => this.#dialog.close(), { signal });
    if (this.#session.warning) this.#open(this.#session.warning);
  }

  #stopListening() {
    this.#listening.abort();
    this.#dialog?.close();
    this.#stopCounting();
  }

  /** Moves the focus into the dialog; the browser puts it back when the dialog is closed. */
  #open(limit) {
    for (const part of this.#dialog.querySelectorAll('[data-limit]')) {
      show(part, part.dataset.limit === limit);
    }
    this.#showFailure(false);
    this.#title ??= document.title;
    this.#count(limit);
    if (!this.#dialog.open) this.#dialog.showModal();
    const offered = '[data-stay]:not([hidden]), [data-signin]:not([hidden])';
    this.#dialog.querySelector(offered)?.focus();
  }

  /** Shows the time that is left. It is no live region: a screen reader would count aloud. */
  #count(limit) {
    const left = clock(this.#session.left(limit) ?? 0);
    for (const part of this.#dialog.querySelectorAll('[data-left]')) part.textContent = left;
    const title = this.getAttribute('tab-title') ?? '({left}) {title}';
    document.title = title.replace('{left}', left).replace('{title}', this.#title);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#count(limit), 1000);
  }

  #stopCounting() {
    clearTimeout(this.#timer);
    if (this.#title !== undefined) document.title = this.#title;
    this.#title = undefined;
  }

  async #stay(button) {
    button.disabled = true;
    const stays = await this.#session.stay();
    button.disabled = false;
    if (!this.#dialog.open) return;
    this.#showFailure(!stays);
    button.focus();
  }

  #signIn() {
    const event = new CustomEvent('signin', { bubbles: true, cancelable: true });
    if (this.dispatchEvent(event)) this.#session.openSignIn();
  }

  #showFailure(hasFailed) {
    for (const part of this.#dialog.querySelectorAll('[data-failed]')) show(part, hasFailed);
  }
}

customElements.define('session-warning', SessionWarning);
