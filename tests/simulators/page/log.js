// The messages of one conversation: keyed bubbles that change in place.
import { announce, arrange, clock, dayName, fileSize, fill, fullTime, h, icon, safeUrl } from "./dom.js";

const STATUSES = {
  pending: ["waiting", "Waiting for the app"],
  sending: ["waiting", "Sending"],
  sent: ["sent", "Sent"],
  accepted: ["sent", "Accepted"],
  delivered: ["delivered", "Delivered"],
  read: ["delivered", "Read"],
  refused: ["error", "Refused"],
  error: ["error", "Not delivered"],
};
const FAILED = new Set(["error", "refused"]);
const NEAR_END = 48; // pixels: closer to the end than this, the log follows new messages

export class Log {
  /**
   * `ownSide`: whose bubbles stand on the right · `nameOf(message)`: who wrote it · `format(message)`: its text
   * as nodes · `statusOf(message)`: a status or null · `actions`: what `reply`, `edit` and `delete` do with it.
   */
  constructor(frame, options) {
    Object.assign(this, options);
    this.element = frame.querySelector(".log");
    this.toEndButton = frame.querySelector(".to-end");
    this.conversation = null;
    this.messages = new Map();
    this.follows = true;

    this.element.addEventListener("scroll", () => this.#scrolled());
    this.element.addEventListener("load", () => this.#keepEnd(), true); // pictures arrive late
    new ResizeObserver(() => this.#keepEnd()).observe(this.element);
    this.element.addEventListener("keydown", (event) => this.#walk(event));
    this.element.addEventListener("focusin", (event) => this.#activate(event.target.closest(".bubble")));
    this.toEndButton.addEventListener("click", () => this.toEnd());
  }

  /** Shows the messages of a conversation; coming from another one it starts at the end. */
  show(conversation, messages) {
    const opened = conversation !== this.conversation;
    const before = this.messages;
    this.conversation = conversation;
    this.messages = new Map(messages.map((message) => [String(message.id), message]));
    if (opened) this.element.replaceChildren();

    arrange(this.element, this.#rows(messages), {
      key: (row) => row.key,
      create: (row) => (row.day ? h("p", { class: "day" }) : bubble(row.message)),
      update: (element, row) =>
        row.day ? fill(element, row.day, () => row.day) : this.#update(element, row.message, row.first),
    });
    if (!this.element.contains(document.activeElement)) this.#activate(this.element.lastElementChild);

    if (opened) this.toEnd();
    else this.#arrived(messages.filter((message) => !before.has(String(message.id))));
    this.#keepEnd();
  }

  toEnd() {
    this.follows = true;
    this.toEndButton.hidden = true;
    this.#keepEnd();
  }

  #rows(messages) {
    const rows = [];
    let previous = null;
    for (const message of messages) {
      const day = dayName(message.at);
      const newDay = !previous || dayName(previous.at) !== day;
      if (newDay) rows.push({ key: `day before ${message.id}`, day });
      const first =
        newDay || previous.side !== message.side || this.nameOf(previous) !== this.nameOf(message);
      rows.push({ key: message.id, message, first });
      previous = message;
    }
    return rows;
  }

  #update(element, message, first) {
    const own = message.side === this.ownSide;
    const status = this.statusOf(message);
    const name = this.nameOf(message);
    element.classList.toggle("own", own);
    element.classList.toggle("first", first);
    element.classList.toggle("failed", FAILED.has(status));
    element.classList.toggle("deleted", Boolean(message.deleted));
    const [author, quote, text, files, meta] = element.firstChild.children;
    const { deleted } = message;

    fill(
      author,
      first && message.side !== "system" && name,
      () => first && message.side !== "system" && name,
    );
    const quoted = deleted ? null : message.reply_to && this.#summary(message.reply_to);
    fill(quote, [message.reply_to, quoted], () => quoted && this.#quote(message.reply_to, quoted));
    fill(text, [deleted, message.text], () => (deleted ? "Message deleted" : this.format(message)));
    fill(files, deleted ? [] : message.files, () => (deleted ? [] : (message.files ?? []).map(fileNode)));
    fill(meta, [message.at, message.edited, deleted, status, message.status_text], () => [
      message.edited && !deleted && h("span", {}, "edited"),
      h(
        "time",
        { datetime: new Date(message.at).toISOString(), title: fullTime(message.at) },
        clock(message.at),
      ),
      status && statusNode(status, message.status_text),
    ]);
    if (element.children[1]) this.#updateActions(element, own && !deleted, !deleted);
    setTabStop(element, element === this.active);
    element.setAttribute("aria-label", [name, plain(element)].filter(Boolean).join(": "));
  }

  #updateActions(element, mayChange, mayReply) {
    const actions = element.children[1];
    const hadFocus = actions.contains(document.activeElement);
    const id = element.dataset.id;
    const action = (name, label) => {
      const run = () => this.actions[name](this.messages.get(id));
      const attributes = {
        class: "icon-button",
        type: "button",
        "data-testid": name,
        "aria-label": label,
        title: label,
      };
      return h("button", { ...attributes, onclick: run }, icon(name));
    };
    fill(actions, [mayChange, mayReply], () => [
      mayReply && action("reply", "Reply"),
      mayChange && action("edit", "Edit"),
      mayChange && action("delete", "Delete"),
    ]);
    if (hadFocus && !actions.contains(document.activeElement)) element.focus();
  }

  /** What a quote shows of a message: [who, what]. */
  #summary(id) {
    const message = this.messages.get(String(id));
    if (!message) return ["", "An earlier message"];
    return [this.nameOf(message), this.excerpt(message)];
  }

  excerpt(message) {
    if (message.deleted) return "Message deleted";
    const text = h("span", {}, ...this.format(message)).textContent.trim();
    return text.slice(0, 140) || (message.files ?? []).map((file) => file.name).join(", ") || "Message";
  }

  #quote(id, [name, excerpt]) {
    const open = () => {
      const target = this.#bubbleOf(id);
      target?.scrollIntoView({ block: "center", behavior: "smooth" });
      target?.focus({ preventScroll: true });
      target?.animate([{ backgroundColor: "var(--flash)" }, { backgroundColor: "transparent" }], 1200);
    };
    return h(
      "button",
      { class: "quote", type: "button", onclick: open },
      h("strong", {}, name),
      h("span", {}, excerpt),
    );
  }

  #bubbleOf(id) {
    return [...this.element.children].find((element) => element.dataset.id === String(id));
  }

  #arrived(messages) {
    const foreign = messages.filter((message) => message.side !== this.ownSide);
    if (!foreign.length) return;
    announce(foreign.map((message) => `${this.nameOf(message)}: ${this.excerpt(message)}`).join("\n"));
    this.toEndButton.hidden = this.follows;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    this.follows = scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (this.follows) this.toEndButton.hidden = true;
  }

  #keepEnd() {
    if (this.follows) this.element.scrollTop = this.element.scrollHeight;
  }

  // One bubble at a time is a tab stop; the arrow keys walk between them.
  #activate(element) {
    if (!element || element === this.active) return;
    if (this.active) setTabStop(this.active, false);
    setTabStop(element, true);
    this.active = element;
  }

  #walk(event) {
    const current = event.target.closest(".bubble");
    const bubbles = [...this.element.querySelectorAll(".bubble")];
    const place = bubbles.indexOf(current);
    const next = { ArrowUp: place - 1, ArrowDown: place + 1, Home: 0, End: bubbles.length - 1 }[event.key];
    if (next === undefined || !bubbles[next]) return;
    event.preventDefault();
    bubbles[next].focus();
  }
}

function setTabStop(element, reachable) {
  for (const stop of [element, ...element.querySelectorAll("button, a")]) stop.tabIndex = reachable ? 0 : -1;
}

function bubble({ id, side }) {
  const parts = [
    h("p", { class: "author" }),
    h("div"),
    h("div", { class: "text", dir: "auto" }),
    h("div", { class: "files" }),
    h("p", { class: "meta" }),
  ];
  const attributes = {
    class: "bubble",
    role: "article",
    tabindex: -1,
    "data-testid": "bubble",
    "data-id": id,
    "data-side": side,
  };
  return h(
    "div",
    attributes,
    h("div", { class: "box" }, ...parts),
    side !== "system" && h("div", { class: "actions" }),
  );
}

function statusNode(status, reason) {
  const [picture, label] = STATUSES[status] ?? ["waiting", status];
  const failed = FAILED.has(status);
  const words = failed && reason ? `${label}: ${reason}` : label;
  const attributes = {
    class: "status",
    "data-testid": "status",
    "data-status": status,
    title: failed ? null : words,
  };
  return h("span", attributes, icon(picture), h("span", { class: failed ? null : "visually-hidden" }, words));
}

function fileNode({ name, size, mime_type: type, url }) {
  const href = safeUrl(url);
  const title = name || "File";
  const link = (...content) =>
    href
      ? h("a", { href, target: "_blank", rel: "noopener noreferrer", ...content[0] }, ...content.slice(1))
      : h("span", ...content);
  const row = () =>
    link(
      { class: "file" },
      icon("file"),
      h("span", {}, h("strong", {}, title), h("small", {}, fileSize(size))),
    );
  if (!href || !type?.startsWith("image/")) return row();
  const picture = h("img", { src: href, alt: title, referrerpolicy: "no-referrer" });
  const shown = link({ class: "picture" }, picture);
  picture.addEventListener("error", () => shown.replaceWith(row()));
  return shown;
}

const plain = (element) =>
  [...element.firstChild.children]
    .slice(2)
    .map((part) => part.textContent.trim())
    .filter(Boolean)
    .join(", ");
