// Where one side writes: text, files, a reply or an edit. Every conversation keeps its own draft.
import { h, icon, toast } from "./dom.js";
import { RequestError } from "./server.js";

const MAX_HEIGHT = 140; // pixels, then the text scrolls
const HINT = "Enter sends, Shift+Enter makes a new line";

const blank = () => ({ text: "", files: [], replyTo: null });

export class Composer {
  /**
   * `send(conversation, draft)` and `edit(message, text)` return promises · `describe(message)` names a
   * message in one line · `onSent()` runs when something leaves the composer · `dropZone` takes files.
   */
  constructor(frame, { side, label, dropZone, ...options }) {
    Object.assign(this, options);
    this.form = frame.querySelector(".composer");
    this.context = frame.querySelector(".composer-context");
    this.chips = frame.querySelector(".chips");
    this.hint = frame.querySelector(".composer-hint");
    this.textarea = frame.querySelector("textarea");
    this.fileInput = frame.querySelector("input[type=file]");
    this.attachButton = frame.querySelector(".attach");
    this.previews = new WeakMap();
    this.drafts = new Map();
    this.editing = null; // the message whose text stands in the box instead of the draft
    this.queue = Promise.resolve();
    this.underway = 0;

    Object.assign(this.textarea, { placeholder: label, ariaLabel: label });
    this.textarea.dataset.testid = `${side}-input`;
    this.fileInput.dataset.testid = `${side}-file`;
    frame.querySelector(".send").dataset.testid = `${side}-send`;
    this.hint.textContent = HINT;

    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.form.addEventListener("keydown", (event) => this.#key(event));
    this.textarea.addEventListener("input", () => this.#typed());
    this.textarea.addEventListener("paste", (event) => this.#paste(event));
    this.attachButton.addEventListener("click", () => this.fileInput.click());
    this.fileInput.addEventListener("change", () => {
      this.#attach(this.fileInput.files);
      this.fileInput.value = "";
    });
    this.context.querySelector("button").addEventListener("click", () => this.#dropContext());
    acceptDrops(dropZone, (files) => this.#attach(files));
  }

  /** Continues the draft of `conversation` (null: there is nobody to write to). */
  open(conversation) {
    if (conversation === this.conversation) return;
    this.conversation = conversation;
    this.editing = null;
    this.#show();
  }

  /** Forgets an edit or a reply whose message is gone. */
  check(isAlive) {
    const { draft, editing } = this;
    if (editing && !isAlive(editing)) this.editing = null;
    else if (!editing && draft.replyTo && !isAlive(draft.replyTo)) draft.replyTo = null;
    else return;
    this.#show();
  }

  reply(message) {
    this.editing = null;
    this.draft.replyTo = message;
    this.#show();
    this.textarea.focus();
  }

  startEdit(message) {
    this.editing = message;
    this.#show();
    this.textarea.focus();
    this.textarea.select();
  }

  get draft() {
    if (!this.drafts.has(this.conversation)) this.drafts.set(this.conversation, blank());
    return this.drafts.get(this.conversation);
  }

  #submit() {
    if (this.conversation === null) return;
    const text = this.textarea.value.trim();
    if (this.editing) this.#submitEdit(this.editing, text);
    else if (text || this.draft.files.length) this.#submitDraft({ ...this.draft, text });
    this.textarea.focus();
  }

  #submitEdit(message, text) {
    const { conversation } = this;
    if (!text && !message.files?.length) return;
    this.editing = null;
    this.#show();
    if (text === message.text) return;
    this.#enqueue(
      () => this.edit(message, text),
      () => {
        if (this.conversation !== conversation) return;
        this.editing = { ...message, text };
        this.#show();
      },
    );
  }

  #submitDraft(draft) {
    const { conversation } = this;
    this.drafts.set(conversation, blank());
    this.#show();
    this.onSent();
    this.#enqueue(
      () => this.send(conversation, { ...draft, replyTo: draft.replyTo?.id }),
      () => {
        const newer = this.drafts.get(conversation);
        const text = [draft.text, newer.text].filter(Boolean).join("\n");
        this.drafts.set(conversation, { ...draft, text, files: [...draft.files, ...newer.files] });
        if (this.conversation === conversation && !this.editing) this.#show();
      },
    );
  }

  // One request after the other: what was written first is sent first.
  #enqueue(work, undo) {
    this.#count(1);
    this.queue = this.queue
      .then(work)
      .catch((error) => {
        undo();
        if (!(error instanceof RequestError)) throw error;
        toast(error.message);
      })
      .finally(() => this.#count(-1));
  }

  #count(change) {
    this.underway += change;
    const words = this.underway ? "Sending…" : HINT;
    clearTimeout(this.hintTimer);
    this.hintTimer = setTimeout(() => (this.hint.textContent = words), this.underway ? 400 : 0);
  }

  #typed() {
    if (!this.editing) this.draft.text = this.textarea.value;
    this.#grow();
  }

  #key(event) {
    if (event.key === "Escape" && (this.editing || this.draft.replyTo)) this.#dropContext();
    const plainEnter = event.key === "Enter" && !event.shiftKey && !event.isComposing;
    if (!plainEnter || event.target !== this.textarea) return;
    event.preventDefault();
    this.#submit();
  }

  #paste(event) {
    if (!event.clipboardData.files.length || event.clipboardData.getData("text")) return;
    event.preventDefault();
    this.#attach(event.clipboardData.files);
  }

  #attach(files) {
    if (this.conversation === null || this.editing) return;
    this.draft.files.push(...files);
    this.#show();
    this.textarea.focus();
  }

  #detach(file) {
    this.draft.files = this.draft.files.filter((other) => other !== file);
    this.#show();
    this.textarea.focus();
  }

  #dropContext() {
    if (this.editing) this.editing = null;
    else this.draft.replyTo = null;
    this.#show();
    this.textarea.focus();
  }

  #show() {
    const { editing, draft, context } = this;
    this.textarea.value = (editing ?? draft).text ?? "";
    const subject = editing ?? draft.replyTo;
    context.hidden = !subject;
    if (subject) {
      context.querySelector("strong").textContent = editing ? "Editing" : "Replying to";
      context.querySelector("span").textContent = this.describe(subject);
      context.querySelector("button").ariaLabel = editing ? "Cancel editing" : "Cancel the reply";
    }
    const files = editing ? [] : draft.files;
    this.chips.hidden = !files.length;
    this.chips.replaceChildren(...files.map((file) => this.#chip(file)));
    this.attachButton.disabled = Boolean(editing);
    this.#grow();
  }

  #chip(file) {
    if (!this.previews.has(file)) this.previews.set(file, previewOf(file));
    const remove = {
      class: "icon-button",
      type: "button",
      "aria-label": `Remove ${file.name}`,
      onclick: () => this.#detach(file),
    };
    return h(
      "li",
      { class: "chip" },
      this.previews.get(file),
      h("span", {}, file.name),
      h("button", remove, icon("close")),
    );
  }

  #grow() {
    this.textarea.style.height = "auto";
    this.textarea.style.height = `${Math.min(this.textarea.scrollHeight, MAX_HEIGHT)}px`;
  }
}

function previewOf(file) {
  if (!file.type.startsWith("image/")) return icon("file");
  const url = URL.createObjectURL(file);
  const picture = h("img", { src: url, alt: "" });
  picture.addEventListener("load", () => URL.revokeObjectURL(url));
  return picture;
}

function acceptDrops(zone, onFiles) {
  const carriesFiles = (event) => event.dataTransfer.types.includes("Files");
  zone.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    zone.classList.add("dropping");
  });
  zone.addEventListener("dragleave", (event) => {
    if (!zone.contains(event.relatedTarget)) zone.classList.remove("dropping");
  });
  zone.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    zone.classList.remove("dropping");
    onFiles(event.dataTransfer.files);
  });
}
