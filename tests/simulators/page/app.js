// The page of the simulator: the customer's messenger on the left, the operator's external lines on the right.
import { conversation } from "./conversation.js";
import { $, announce, arrange, avatar, fill, h, shortTime } from "./dom.js";
import { linkified, markdown } from "./markdown.js";
import { attempt, request, watch } from "./server.js";

const find = (items, id) => items.find((item) => String(item.id) === String(id));

const STORE = "simulator";
const choice = { messenger: null, customer: null, line: "", chat: null, readsAtOnce: true };
Object.assign(choice, JSON.parse(sessionStorage.getItem(STORE) ?? "{}"));

let state = null;

function choose(changes) {
  Object.assign(choice, changes);
  sessionStorage.setItem(STORE, JSON.stringify(choice));
  render();
}

// ---- The customer's messenger ----

const customerSide = conversation("customer", {
  thread: $("#customer-thread"),
  label: "The customer's messages",
  nameOf: ({ side }) => (side === "customer" ? "You" : "Business"),
  format: ({ side, text }) => (side === "business" ? markdown(text ?? "") : linkified(text ?? "")),
  statusOf: ({ side, status }) => (side === "customer" ? status : null),
  send: (key) => {
    const [messenger, customer] = JSON.parse(key);
    return { messenger, customer };
  },
});
const customerRead = new Map(); // conversation -> what was unread when it was last reported as read

function renderCustomer() {
  const messenger = find(state.messengers, choice.messenger) ?? state.messengers[0];
  const customer = messenger && (find(messenger.customers, choice.customer) ?? messenger.customers[0]);
  options(
    $("#messenger"),
    messenger?.id,
    state.messengers.map(({ id, name, connected }) => ({
      value: id,
      label: connected ? name : `${name} (not connected)`,
    })),
    "No messenger",
  );
  options(
    $("#customer"),
    customer?.id,
    (messenger?.customers ?? []).map(({ id, name, blocked }) => ({
      value: id,
      label: blocked ? `${name} (blocked)` : name,
    })),
    "Nobody yet",
  );
  $("#new-customer").disabled = !messenger;

  if (!messenger) {
    customerSide.show({ key: null, empty: "No messenger is connected yet: run `make demo` to get one." });
    return;
  }
  const head = { name: messenger.name, notice: customerNotice(messenger, customer) };
  if (!customer) {
    customerSide.show({
      ...head,
      key: null,
      empty: "No customer yet: choose “New customer” to write as one.",
    });
    return;
  }
  const key = JSON.stringify([messenger.id, customer.id]);
  const { messages } = state.conversations.find(
    (one) => one.messenger === messenger.id && one.customer === customer.id,
  ) ?? { messages: [] };
  const detail = `You are ${customer.name}`;
  customerSide.show({
    ...head,
    key,
    messages,
    detail,
    empty: "Write the first message, and it becomes a chat in Uspacy.",
  });
  readAsCustomer(key, messages);
}

function customerNotice(messenger, customer) {
  if (!messenger.connected) return "No line is connected to this messenger, so nobody will see the messages.";
  return customer?.blocked ? "This customer has blocked the business: its messages are refused." : "";
}

function readAsCustomer(key, messages) {
  const unread = messages.filter(({ side, status }) => side === "business" && status !== "read");
  const seen = unread.map(({ id, status }) => `${id} ${status}`).join();
  if (!choice.readsAtOnce || !seen || customerRead.get(key) === seen) return;
  customerRead.set(key, seen);
  const [messenger, customer] = JSON.parse(key);
  attempt(request("POST", "customer/read", { messenger, customer }));
}

$("#messenger").addEventListener("change", ({ target }) =>
  choose({ messenger: target.value, customer: null }),
);
$("#customer").addEventListener("change", ({ target }) => choose({ customer: target.value }));
$("#reads-at-once").checked = choice.readsAtOnce;
$("#reads-at-once").addEventListener("change", ({ target }) => choose({ readsAtOnce: target.checked }));

const dialog = $("#customer-dialog");
$("#new-customer").addEventListener("click", () => {
  dialog.returnValue = "";
  $("form", dialog).reset();
  dialog.showModal();
});
$("[value=cancel]", dialog).addEventListener("click", () => dialog.close(""));
dialog.addEventListener("close", async () => {
  if (dialog.returnValue !== "add") return;
  const messenger = find(state.messengers, $("#messenger").value);
  const name = $("input", dialog).value.trim();
  const customer = await attempt(request("POST", "customers", { messenger: messenger.id, name }));
  if (!customer) return;
  const known = find(state.messengers, messenger.id).customers;
  if (!find(known, customer.id)) known.push({ name, ...customer }); // the next state has it too
  choose({ messenger: messenger.id, customer: customer.id });
  customerSide.composer.textarea.focus();
});

// ---- The operator's external lines ----

const operatorSide = conversation("operator", {
  thread: $("#operator-thread"),
  label: "The messages of the open chat",
  nameOf: ({ author, side }) =>
    author || { customer: "Customer", operator: "Operator", system: "Uspacy" }[side],
  format: ({ text }) => markdown(text ?? ""),
  statusOf: ({ side, status }) => (side === "operator" ? (status ?? "pending") : null),
  send: (key) => ({ chat_id: key }),
});
const operatorRead = new Map(); // chat -> what was unread when it was last reported as read
const ALL_LINES = "";

const lineKey = (portal, lineId) => JSON.stringify([portal, String(lineId)]);

function renderOperator() {
  const lines = state.portals.flatMap((portal) => portal.lines.map((line) => ({ ...line, portal })));
  const lineOf = new Map(lines.map((line) => [lineKey(line.portal.domain, line.id), line]));
  if (!lineOf.has(choice.line)) choice.line = ALL_LINES;
  options(
    $("#line"),
    choice.line,
    lines.length === 0
      ? []
      : [
          { value: ALL_LINES, label: "All lines" },
          ...lines.map(({ id, name, portal }) => ({
            value: lineKey(portal.domain, id),
            label: name,
            group: portal.installed ? portal.domain : `${portal.domain} (app not installed)`,
          })),
        ],
    "No lines",
  );

  const chats = state.chats
    .filter((chat) => !choice.line || lineKey(chat.portal, chat.line_id) === choice.line)
    .sort((a, b) => (b.last_message_at ?? 0) - (a.last_message_at ?? 0));
  const open = find(chats, choice.chat);
  const messagesOf = Map.groupBy(state.messages, (message) => message.chat_id);
  const several = lines.length > 1 && !choice.line;

  fill($("#chats-empty"), chats.length, () => "No chats");
  $("#chats-empty").hidden = chats.length > 0;
  arrange($("#chat-list"), chats, {
    key: (chat) => chat.id,
    create: chatRow,
    update: (row, chat) =>
      updateChatRow(row, chat, {
        last: messagesOf.get(chat.id)?.at(-1),
        line: several ? lineOf.get(lineKey(chat.portal, chat.line_id)) : null,
        open: chat === open,
      }),
  });
  $(".desk").classList.toggle("chat-open", Boolean(open));
  if (!open) {
    operatorSide.show({ key: null, empty: operatorEmpty(lines, chats) });
    return;
  }
  const line = lineOf.get(lineKey(open.portal, open.line_id));
  operatorSide.show({
    key: open.id,
    messages: messagesOf.get(open.id) ?? [],
    name: open.name,
    pictureUrl: open.picture_url,
    detail: [line?.name, open.portal].filter(Boolean).join(" · "),
    notice: line?.portal.installed === false ? "The app is not installed in this portal any more." : "",
    empty: "No messages in this chat yet.",
  });
  readAsOperator(open, messagesOf.get(open.id)?.at(-1));
}

function operatorEmpty(lines, chats) {
  if (!state.portals.some((portal) => portal.installed)) {
    return "No portal is installed yet: run `make demo`, and its external lines appear here.";
  }
  if (!lines.length) return "No line is connected yet: connect one with `POST /api/lines/` of the app.";
  if (!chats.length) return "No chats yet: write as the customer, and the message appears here.";
  return "Choose a chat to read and answer it.";
}

function chatRow(chat) {
  const parts = ["chat-picture", "chat-name", "chat-time", "chat-last", "chat-unread", "chat-line"];
  const button = h(
    "button",
    { type: "button", onclick: () => openChat(chat.id) },
    ...parts.map((name) => h("span", { class: name })),
  );
  return h("li", { "data-id": chat.id }, button);
}

function updateChatRow(row, chat, { last, line, open }) {
  const button = row.firstChild;
  const [picture, name, time, excerpt, unread, lineName] = button.children;
  button.setAttribute("aria-current", open);
  fill(picture, [chat.name, chat.picture_url], () => avatar(chat.name, chat.picture_url));
  name.textContent = chat.name;
  time.textContent = chat.last_message_at ? shortTime(chat.last_message_at) : "";
  fill(excerpt, last ?? null, () => (last ? lastWords(last) : "No messages yet"));
  fill(
    unread,
    chat.unread,
    () => chat.unread > 0 && [String(chat.unread), h("span", { class: "visually-hidden" }, " unread")],
  );
  lineName.textContent = line ? line.name : "";
}

function lastWords({ side, text, files, deleted }) {
  if (deleted) return "Message deleted";
  const words =
    h("span", {}, ...markdown(text ?? "")).textContent || (files ?? []).map((file) => file.name).join(", ");
  return side === "operator" ? `You: ${words}` : words;
}

function openChat(id) {
  choose({ chat: id });
  const keyboard = matchMedia("(hover: hover)").matches; // on a phone it would pop up uncalled
  if (keyboard) operatorSide.composer.textarea.focus();
}

function readAsOperator(chat, last) {
  const unread = `${chat.unread} ${last?.id}`;
  if (!chat.unread || document.hidden || operatorRead.get(chat.id) === unread) return;
  operatorRead.set(chat.id, unread);
  attempt(request("POST", "operator/read", { chat_id: chat.id }));
}

$("#line").addEventListener("change", ({ target }) => choose({ line: target.value }));
$("#back").addEventListener("click", () => choose({ chat: null }));

// ---- The page ----

/** Fills a select with `{value, label, group?}`; keeps it untouched while nothing changed. */
function options(select, value, items, nothing = "") {
  fill(select, [items, nothing], () => {
    if (!items.length) return h("option", {}, nothing);
    const groups = Map.groupBy(items, (item) => item.group ?? "");
    return [...groups].flatMap(([label, members]) => {
      const entries = members.map((item) => h("option", { value: item.value }, item.label));
      return label ? h("optgroup", { label }, ...entries) : entries;
    });
  });
  select.disabled = !items.length;
  if (items.length) select.value = value;
}

function render() {
  if (!state) return;
  renderCustomer();
  renderOperator();
  const unread = state.chats.reduce((sum, chat) => sum + chat.unread, 0);
  document.title = unread ? `(${unread}) Messenger simulator` : "Messenger simulator";
  $("#app-link").hidden = !state.app_url;
  if (state.app_url) $("#app-link").href = state.app_url;
}

let bannerTimer = null;
function showConnection(live) {
  clearTimeout(bannerTimer);
  const banner = $("#banner");
  if (live && !banner.hidden) announce("Connected again.");
  if (live) banner.hidden = true;
  else bannerTimer = setTimeout(() => (banner.hidden = false), 700); // a blip needs no words
}

function showState(fresh) {
  state = fresh;
  render();
}

watch(showState, showConnection);
setInterval(render, 30_000); // relative times
document.addEventListener("visibilitychange", render);
