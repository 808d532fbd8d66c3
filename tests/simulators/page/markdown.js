// Uspacy's message texts are Markdown, and so is what a business writes on the channel `webhook`. This is the
// subset that matters in a chat: bold, italic, strike, code, links, escapes. Anything else stays as it was
// written; line breaks are kept by the style sheet.
import { h, safeUrl } from "./dom.js";

const FENCE = /^```[^\n`]*\n([\s\S]*?)\n?^```[ \t]*$\n?/gm;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const LINK = /\[((?:\\.|[^\\[\]])+)\]\((https?:\/\/(?:\\.|[^\s<>()\\]|\([^\s<>()]*\))+)\)/y;
const AUTOLINK = /<(https?:\/\/[^\s<>]+)>/y;
const BARE_LINK = /https?:\/\/[^\s<>]*[^\s<>.,:;!?'")\]]/g;
const TAGS = { "**": "strong", __: "strong", "*": "em", _: "em", "~~": "s" };
const MAX_DEPTH = 12;

/** Nodes of a Markdown text. */
export function markdown(text) {
  const nodes = [];
  let end = 0;
  for (const fence of text.matchAll(FENCE)) {
    nodes.push(
      ...inline(text.slice(end, fence.index).replace(/\n$/, "")),
      h("pre", {}, h("code", {}, `${fence[1]}\n`)),
    );
    end = fence.index + fence[0].length;
  }
  return [...nodes, ...inline(text.slice(end))];
}

/** Nodes of a plain text, with its addresses clickable. */
export function linkified(text) {
  const nodes = [];
  let end = 0;
  for (const { 0: address, index } of text.matchAll(BARE_LINK)) {
    nodes.push(text.slice(end, index), link(address, [address]));
    end = index + address.length;
  }
  return [...nodes, text.slice(end)];
}

function link(address, label) {
  const href = safeUrl(address);
  return href ? h("a", { href, target: "_blank", rel: "noopener noreferrer" }, ...label) : label.join("");
}

function inline(text, depth = 0, inLink = false) {
  const nodes = [];
  const unclosed = new Set(); // delimiters known to have no partner further on: keeps the work linear
  let plain = "";
  let at = 0;

  const flush = () => {
    nodes.push(...(inLink ? [plain] : linkified(plain)));
    plain = "";
  };

  while (at < text.length) {
    const span =
      codeSpan(text, at) ?? matchLink(text, at, depth, inLink) ?? emphasis(text, at, depth, inLink, unclosed);
    if (span) {
      flush();
      nodes.push(span.node);
      at += span.length;
    } else if (text[at] === "\\" && at + 1 < text.length && PUNCTUATION.test(text[at + 1])) {
      plain += text[at + 1];
      at += 2;
    } else if (text[at] === "\\" && text[at + 1] === "\n") at += 1;
    else plain += text[at++];
  }
  flush();
  return nodes;
}

function codeSpan(text, at) {
  if (text[at] !== "`") return null;
  const fence = runAt(text, at);
  for (let close = text.indexOf(fence, at + fence.length); close > 0;) {
    const run = runAt(text, close);
    if (run.length === fence.length) {
      const code = text.slice(at + fence.length, close);
      return { node: h("code", {}, code.replace(/^ (.*\S.*) $/s, "$1")), length: close + fence.length - at };
    }
    close = text.indexOf(fence, close + run.length);
  }
  return { node: fence, length: fence.length };
}

function matchLink(text, at, depth, inLink) {
  const pattern = { "[": LINK, "<": AUTOLINK }[text[at]];
  if (!pattern || inLink) return null;
  pattern.lastIndex = at;
  const match = pattern.exec(text);
  if (!match) return null;
  if (pattern === AUTOLINK) return { node: link(match[1], [match[1]]), length: match[0].length };
  const address = match[2].replace(/\\([!-/:-@[-`{-~])/g, "$1");
  return { node: link(address, inline(match[1], depth + 1, true)), length: match[0].length };
}

function emphasis(text, at, depth, inLink, unclosed) {
  if (depth > MAX_DEPTH) return null;
  for (const mark of [text.slice(at, at + 2), text[at]]) {
    if (!Object.hasOwn(TAGS, mark) || unclosed.has(mark)) continue;
    const start = at + mark.length;
    if (/\s/.test(text[start] ?? " ") || (mark[0] === "_" && /\w/.test(text[at - 1] ?? ""))) continue;
    const end = closing(text, start, mark);
    if (end < 0) unclosed.add(mark);
    else if (end > start) {
      const inner = inline(text.slice(start, end), depth + 1, inLink);
      return { node: h(TAGS[mark], {}, ...inner), length: end + mark.length - at };
    }
  }
  return null;
}

/** Where the delimiter `mark` closes, or -1. Three in a row close the inner one first. */
function closing(text, start, mark) {
  for (let at = start; at < text.length;) {
    if (text[at] === "\\") at += 2;
    else if (text[at] === "`") at += codeSpan(text, at).length;
    else if (text[at] !== mark[0]) at += 1;
    else {
      const { length } = runAt(text, at);
      const fits = length === mark.length || length === 3;
      const inWord = mark[0] === "_" && /\w/.test(text[at + length] ?? "");
      if (fits && at > start && !/\s/.test(text[at - 1]) && !inWord) return at + length - mark.length;
      at += length;
    }
  }
  return -1;
}

function runAt(text, at) {
  let end = at;
  while (text[end] === text[at]) end += 1;
  return text.slice(at, end);
}
