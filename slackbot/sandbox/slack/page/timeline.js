// A list of messages in order of time, with day lines and grouping; it stays at its end while the reader is there.

import { h, icon } from "./dom.js";
import { MessageView } from "./message.js";
import { dayKey, dayLabel } from "./time.js";

const GROUP_SECONDS = 300;
const NEAR_PIXELS = 90;

const byTime = (a, b) => (a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : 0);

export class Timeline {
  /** place: "channel" or "thread"; hooks as of MessageView; `empty`: nodes for a list without messages */
  constructor(place, hooks, { label, empty }) {
    this.place = place;
    this.hooks = { ...hooks, removed: (ts) => this.remove(ts) };
    this.empty = empty;
    this.views = new Map();
    this.days = new Map();
    this.list = h("div", { class: "messages", role: "group", "aria-label": label });
    this.scroller = h("div", { class: "scroller", tabindex: "-1" }, this.list);
    this.jump = h("button", { type: "button", class: "jump", hidden: true, onclick: () => this.toEnd(true) }, "New messages", icon("down", 14));
    this.element = h("div", { class: "timeline" }, this.scroller, this.jump);
    this.stuck = true;
    this.scroller.addEventListener("scroll", () => {
      // Where the list or the window changed since, it was not the reader who left the end: the observers go back to it.
      if (this.stuck && this.extent !== this.measure()) return;
      this.stuck = this.atEnd();
      if (this.stuck) this.jump.hidden = true;
    });
    new ResizeObserver(() => this.stuck && this.toEnd()).observe(this.list);
    new ResizeObserver(() => this.stuck && this.toEnd()).observe(this.scroller);
    this.list.addEventListener("keydown", (event) => this.walk(event));
  }

  measure() {
    return `${this.scroller.scrollHeight} ${this.scroller.clientHeight}`;
  }

  atEnd() {
    return this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight < NEAR_PIXELS;
  }

  toEnd(smooth = false) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior: smooth && !calm ? "smooth" : "instant" });
    this.stuck = true;
    this.extent = this.measure();
    this.jump.hidden = true;
  }

  /** Shows exactly these messages; views of the same ts are kept. `truncated`: there are older ones. */
  set(messages, truncated = false) {
    this.truncated = truncated;
    const kept = new Map();
    for (const message of messages) {
      const view = this.views.get(message.ts);
      if (view) view.update(message);
      kept.set(message.ts, view || new MessageView(message, this.place, this.hooks));
    }
    this.views = kept;
    this.layout();
    this.toEnd();
  }

  has(ts) {
    return this.views.has(ts);
  }

  message(ts) {
    return this.views.get(ts)?.message;
  }

  /** Adds or changes a message; `mine` scrolls to it. Returns true when it is new. */
  upsert(message, { mine = false } = {}) {
    const view = this.views.get(message.ts);
    if (view) {
      view.update(message);
      return false;
    }
    const stay = this.stuck || mine;
    const fresh = new MessageView(message, this.place, this.hooks);
    fresh.element.classList.add("arriving");
    this.views.set(message.ts, fresh);
    this.layout();
    if (stay) this.toEnd(false);
    else this.jump.hidden = false;
    return true;
  }

  remove(ts) {
    if (!this.views.delete(ts)) return;
    this.layout();
  }

  clear() {
    this.views.clear();
    this.layout();
  }

  layout() {
    const views = [...this.views.values()].sort((a, b) => byTime(a.message, b.message));
    const order = [];
    const days = new Map();
    let before = null;
    for (const view of views) {
      const { message } = view;
      const day = dayKey(message.ts);
      const newDay = !before || dayKey(before.ts) !== day;
      if (newDay) {
        const line = this.days.get(day) || h("div", { class: "day", role: "separator" }, h("span"));
        line.firstChild.textContent = dayLabel(message.ts);
        days.set(day, line);
        order.push(line);
      }
      view.setGrouped(!newDay && groups(before, message));
      order.push(view.element);
      before = message;
    }
    this.days = days;
    if (this.truncated && views.length) order.unshift((this.olderNode ||= h("p", { class: "older" }, "Older messages are kept, but this page shows the newest ones only.")));
    if (!views.length && this.empty) order.push((this.emptyNode ||= this.empty()));
    const wanted = new Set(order);
    for (const node of [...this.list.children]) if (!wanted.has(node)) node.remove();
    order.forEach((node, index) => {
      if (this.list.children[index] !== node) this.list.insertBefore(node, this.list.children[index] || null);
    });
    for (const view of views) view.element.tabIndex = -1;
    const last = views.at(-1);
    if (last) last.element.tabIndex = 0;
  }

  /** Up and down go from message to message. */
  walk(event) {
    if (!event.target.classList?.contains("message") || !["ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
    const items = [...this.list.querySelectorAll(".message")];
    const now = items.indexOf(event.target);
    const next = { ArrowUp: now - 1, ArrowDown: now + 1, Home: 0, End: items.length - 1 }[event.key];
    event.preventDefault();
    if (items[next]) {
      items[now].tabIndex = -1;
      items[next].tabIndex = 0;
      items[next].focus();
    }
  }

  /** Opens the editor of the newest message of this person; false when there is none. */
  editLast() {
    const views = [...this.views.values()].sort((a, b) => byTime(b.message, a.message));
    const view = views.find((candidate) => candidate.isMine && !candidate.message.deleted);
    view?.edit();
    view?.element.scrollIntoView({ block: "nearest" });
    return Boolean(view);
  }

  reveal(ts) {
    const view = this.views.get(ts);
    if (!view) return;
    view.element.scrollIntoView({ block: "center" });
    view.element.classList.add("revealed");
    setTimeout(() => view.element.classList.remove("revealed"), 1600);
  }
}

function groups(before, message) {
  return before && before.user_id === message.user_id && before.name === message.name && Boolean(before.bot) === Boolean(message.bot)
    && !before.is_ephemeral && !message.is_ephemeral && !before.deleted && !(before.reply_count > 0) && message.thread_ts !== before.ts
    && Number(message.ts) - Number(before.ts) < GROUP_SECONDS;
}
