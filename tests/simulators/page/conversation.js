// One conversation on the page: a head, a log of messages and a composer.
import { Composer } from "./composer.js";
import { $, avatar, fill, h, icon } from "./dom.js";
import { Log } from "./log.js";
import { markdown } from "./markdown.js";
import { attempt, deleteMessage, editMessage, sendMessage } from "./server.js";

/**
 * Fills the element `thread` for one `side` ("customer" or "operator"). `send(key)` names the addressee of a
 * conversation in the control API; the other options are those of `Log`.
 */
export function conversation(side, { thread, label, nameOf, format, statusOf, send }) {
  thread.append($("#conversation").content.cloneNode(true));
  const log = new Log(thread, {
    ownSide: side,
    nameOf,
    format,
    statusOf,
    actions: {
      reply: (message) => composer.reply(message),
      edit: (message) => composer.startEdit(message),
      delete: (message) => attempt(deleteMessage(side, message.id)),
    },
  });
  log.element.ariaLabel = label;
  log.element.dataset.testid = `${side}-log`;
  const composer = new Composer(thread, {
    side,
    label: `Write as the ${side}`,
    dropZone: thread,
    describe: (message) => log.excerpt(message),
    onSent: () => log.toEnd(),
    send: (key, draft) => sendMessage(side, send(key), draft),
    edit: (message, text) => editMessage(side, message.id, text),
  });

  /** Shows the conversation `key`, or, when that is null, the sentence `empty` in its place. */
  function show({ key, messages = [], name = "", pictureUrl, detail = "", notice = "", empty = "" }) {
    thread.classList.toggle("vacant", key === null);
    fill($(".slot-avatar", thread), [name, pictureUrl], () => avatar(name, pictureUrl));
    $(".slot-name", thread).textContent = name;
    $(".slot-detail", thread).textContent = detail;
    fill($(".notice", thread), notice, () => notice);
    $(".notice", thread).hidden = !notice;
    log.show(key, messages);
    composer.open(key);
    composer.check((message) => messages.some(({ id, deleted }) => id === message.id && !deleted));
    const placeholder = $(".empty", thread);
    placeholder.hidden = messages.length > 0;
    fill(placeholder, empty, () => [icon("chat"), h("span", {}, ...markdown(empty))]);
  }
  return { show, composer };
}
