// The control API of the simulator: one function per request, and a live view of its state.

import { toast } from "./dom.js";

export class RequestError extends Error {}

/** The answer of the control API as an object; throws RequestError with a readable sentence. */
export async function request(method, path, body) {
  const options = { method };
  if (body instanceof FormData) options.body = body;
  else if (body) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  let response;
  try {
    response = await fetch(`/control/${path}`, options);
  } catch {
    throw new RequestError("The simulator does not answer.");
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new RequestError(answer?.error || `The simulator answered ${response.status}.`);
  return answer;
}

/** Sends a message of either side; with files it travels as multipart, else as JSON. */
export function sendMessage(side, target, { text, replyTo, files }) {
  const fields = { ...target, text };
  if (replyTo) fields.reply_to = replyTo;
  if (!files.length) return request("POST", `${side}/messages`, fields);
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (const file of files) form.append("file", file);
  return request("POST", `${side}/messages`, form);
}

export const editMessage = (side, id, text) =>
  request("PATCH", `${side}/messages/${encodeURIComponent(id)}`, { text });

export const deleteMessage = (side, id) => request("DELETE", `${side}/messages/${encodeURIComponent(id)}`);

/** Awaits a request; what went wrong becomes a toast, and the answer null. */
export async function attempt(promise) {
  try {
    return await promise;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    toast(error.message);
    return null;
  }
}

const DEBOUNCE_MS = 60;
const RETRY_MS = 1500;

/** Calls `onState` with the state now and after every change, `onConnection` with whether that holds. */
export function watch(onState, onConnection) {
  let timer = null;
  let loading = false;
  let again = false;
  let listening = true;

  function refresh(delay = DEBOUNCE_MS) {
    timer ??= setTimeout(load, delay);
  }

  // One request at a time, so an older answer can never overwrite a newer one.
  async function load() {
    timer = null;
    if (loading) {
      again = true;
      return;
    }
    loading = true;
    const state = await request("GET", "state").catch(() => null);
    loading = false;
    if (!state) refresh(RETRY_MS);
    else if (again) refresh();
    again = false;
    onConnection(listening && state !== null);
    if (state) onState(state);
  }

  function listen() {
    const events = new EventSource("/control/events");
    events.addEventListener("open", () => {
      listening = true;
      refresh();
    });
    events.addEventListener("change", () => refresh());
    events.addEventListener("error", () => {
      events.close(); // reopened by hand: after an HTTP error the browser would not
      listening = false;
      onConnection(false);
      setTimeout(listen, RETRY_MS);
    });
  }

  listen();
  refresh(0);
}
