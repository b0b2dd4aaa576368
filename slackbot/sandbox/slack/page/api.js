// The page's one way to its server: JSON calls under /sandbox/api/ and the stream of events, which reconnects by itself.

const BASE = "/sandbox/api/";

async function read(response) {
  let data = null;
  try {
    data = await response.json();
  } catch {
    data = null;
  }
  if (data && typeof data === "object") {
    if (!response.ok && data.ok === undefined) return { ...data, ok: false, error: data.error || `The server answered ${response.status}.` };
    return data;
  }
  return { ok: false, error: `The sandbox answered ${response.status} ${response.statusText}. Its terminal says more.` };
}

async function call(path, options) {
  try {
    return await read(await fetch(BASE + path, options));
  } catch {
    return { ok: false, offline: true, error: "The sandbox cannot be reached. Is it still running in its terminal?" };
  }
}

export function get(path, query = {}) {
  return call(`${path}?${new URLSearchParams(query)}`, { headers: { Accept: "application/json" } });
}

export function post(path, body) {
  return call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

export function upload(file, query) {
  return call(`upload?${new URLSearchParams({ ...query, filename: file.name || "pasted.png" })}`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: file,
  });
}

/**
 * Follows the events meant for one person, from the event `after` on. `onEvent(event)` gets each; `onState(true|false)`
 * tells when the stream opens or is lost. After a loss it goes on where it ended; the server sends "resync" if it cannot.
 */
export function follow(userId, after, { onEvent, onState }) {
  let source = null;
  let timer = 0;
  let delay = 400;
  let last = after;
  let closed = false;

  function open() {
    clearTimeout(timer);
    if (closed) return;
    source?.close();
    const query = { user_id: userId, ...(last ? { last_event_id: last } : {}) };
    source = new EventSource(`${BASE}events?${new URLSearchParams(query)}`);
    source.onopen = () => {
      delay = 400;
      onState(true);
    };
    source.onmessage = (message) => {
      last = message.lastEventId || last;
      let event;
      try {
        event = JSON.parse(message.data);
      } catch {
        return;
      }
      onEvent(event);
    };
    source.onerror = () => {
      if (closed) return;
      source.close();
      onState(false);
      timer = setTimeout(open, delay);
      delay = Math.min(delay * 1.7, 5000);
    };
  }

  const wake = () => {
    if (!closed && source?.readyState === EventSource.CLOSED) open();
  };
  window.addEventListener("online", wake);
  document.addEventListener("visibilitychange", wake);
  open();
  return () => {
    closed = true;
    clearTimeout(timer);
    source?.close();
    window.removeEventListener("online", wake);
    document.removeEventListener("visibilitychange", wake);
  };
}
