/** The interface of `session-warning.js`. */

import type { Session } from './session.js';

/**
 * `<session-warning>`: a dialog that warns before a session ends. It is in the light DOM and has no
 * style of its own.
 *
 * Its content may be replaced. In it, `[data-left]` shows the time that is left; buttons with
 * `data-stay`, `data-signin` and `data-dismiss` do what they are named after; `[data-failed]` is shown
 * when the server did not answer. `[data-limit="idle"]` and `[data-limit="absolute"]` are shown for
 * that limit only.
 *
 * The attribute `tab-title` is the title of the tab meanwhile, where `{left}` and `{title}` are
 * replaced. Default: `({left}) {title}`.
 *
 * `data-signin` fires the event `signin`, which bubbles; unless it is prevented, the sign-in page of
 * the session is opened.
 */
export class SessionWarning extends HTMLElement {
  session: Session | null;
}
