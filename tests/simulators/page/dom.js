// Building blocks of the page. Everything is made of DOM nodes: data never becomes HTML.

export const $ = (selector, within = document) => within.querySelector(selector);

/** An element with attributes (`onclick` and the like become listeners) and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter(Boolean));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "use"));
  svg.firstChild.setAttribute("href", `#icon-${name}`);
  return svg;
}

const shown = new WeakMap();

/** Fills `element` from `build()` only when `value` differs from the last time: keeps focus and images. */
export function fill(element, value, build) {
  const signature = JSON.stringify(value);
  if (shown.get(element) === signature) return;
  shown.set(element, signature);
  element.replaceChildren(...[build()].flat().filter(Boolean));
}

/** Makes `parent` hold one element per item, in order; keeps those it already has, and the focus. */
export function arrange(parent, items, { key, create, update }) {
  const focused = document.activeElement;
  const wanted = new Set(items.map((item) => String(key(item))));
  const known = new Map();
  for (const element of [...parent.children]) {
    if (wanted.has(element.dataset.key)) known.set(element.dataset.key, element);
    else element.remove();
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    const id = String(key(item));
    const element = known.get(id) ?? create(item);
    element.dataset.key = id;
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
    update(element, item);
  }
  if (parent.contains(focused)) focused.focus({ preventScroll: true }); // moving an element drops its focus
}

/** `url` if it is safe to open or show, else null. */
export function safeUrl(url) {
  if (!url) return null;
  try {
    const { protocol, href } = new URL(url, location.href);
    return protocol === "https:" || protocol === "http:" ? href : null;
  } catch {
    return null;
  }
}

export function avatar(name, pictureUrl) {
  const words = (name || "?").trim().split(/\s+/);
  const initials = words
    .slice(0, 2)
    .map((word) => [...word][0] ?? "")
    .join("")
    .toUpperCase();
  const element = h("span", { class: "avatar", "aria-hidden": "true" }, initials || "?");
  const hue = [...(name ?? "")].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  element.style.setProperty("--hue", hue);
  const source = safeUrl(pictureUrl);
  if (source) {
    const picture = h("img", { src: source, alt: "", referrerpolicy: "no-referrer" });
    picture.addEventListener("error", () => picture.remove());
    element.append(picture);
  }
  return element;
}

const format = (options) => new Intl.DateTimeFormat("en-GB", options);
const CLOCK = format({ hour: "2-digit", minute: "2-digit" });
const DAY = format({ day: "numeric", month: "short" });
const LONG_DAY = format({ weekday: "long", day: "numeric", month: "long" });
const FULL = format({ dateStyle: "medium", timeStyle: "medium" });

export const clock = (at) => CLOCK.format(at);
export const fullTime = (at) => FULL.format(at);

const midnight = (at) => new Date(at).setHours(0, 0, 0, 0);
const daysAgo = (at) => Math.round((midnight(Date.now()) - midnight(at)) / 86_400_000);

/** "now", "5 min", "14:32", "Yesterday" or "12 Nov". */
export function shortTime(at) {
  const minutes = Math.floor((Date.now() - at) / 60_000);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} min`;
  if (daysAgo(at) === 0) return clock(at);
  return daysAgo(at) === 1 ? "Yesterday" : DAY.format(at);
}

export function dayName(at) {
  return ["Today", "Yesterday"][daysAgo(at)] ?? LONG_DAY.format(at);
}

export function fileSize(bytes) {
  if (!Number.isFinite(bytes)) return "";
  if (bytes < 1024) return `${bytes} B`;
  const [value, unit] = bytes < 1024 ** 2 ? [bytes / 1024, "KB"] : [bytes / 1024 ** 2, "MB"];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** Shows a sentence for a few seconds. */
export function toast(sentence) {
  const element = h("div", { class: "toast" }, h("span", {}, sentence));
  const close = () => element.remove();
  element.append(
    h(
      "button",
      { class: "icon-button", type: "button", "aria-label": "Dismiss", onclick: close },
      icon("close"),
    ),
  );
  document.getElementById("toasts").append(element);
  setTimeout(close, 8000);
}

/** Tells screen readers something that appeared elsewhere on the page. */
export function announce(sentence) {
  document.getElementById("announcer").textContent = sentence;
}
