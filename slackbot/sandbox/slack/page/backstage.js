// The drawer below the panes: the open thread's session as it is stored, its task, the bot's process, and the calls as they come.

import { get, post } from "./api.js";
import { h, icon, replace, toast } from "./dom.js";
import { recall, remember, state } from "./state.js";

const SHOWN_CALLS = 150;
const LOOK_MS = 2500;
const QUIET = new Set(["apps.connections.open", "auth.test"]);
const TABS = [["session", "Session"], ["process", "Task and bot"], ["calls", "Calls to Slack"]];
const WORDS = { started: "started as process", killed: "kill -9 to process", ended: "gone: process" };

const time = (seconds) => new Date(Number(seconds) * 1000).toLocaleTimeString();

export class Backstage {
  constructor() {
    this.element = document.getElementById("backstage");
    this.isThere = false;
    this.calls = [];
    this.before = new Map();
    this.everything = false;
    this.timer = 0;
    this.build();
  }

  get isOpen() {
    return !this.element.hidden;
  }

  build() {
    this.item = h("div", { class: "backstage-item", tabindex: "0", role: "region", "aria-label": "The stored session", dataset: { testid: "backstage-item" } });
    this.where = h("span", { class: "muted" });
    this.task = h("div", { class: "backstage-facts", dataset: { testid: "backstage-task" } });
    this.past = h("ol", { class: "backstage-past", dataset: { testid: "backstage-past" } });
    this.botLine = h("p", { class: "backstage-bot", role: "status", dataset: { testid: "backstage-bot" } });
    this.kill = h("button", { type: "button", class: "button danger-solid", dataset: { testid: "kill-bot" }, onclick: () => this.killBot() }, icon("bolt", 16), h("span", { class: "button-label" }, "Kill the bot"));
    this.rows = h("ol", { class: "backstage-calls", tabindex: "0", role: "log", "aria-label": "Calls to Slack", dataset: { testid: "backstage-calls" } });
    const only = h("input", { type: "checkbox", onchange: () => { this.everything = only.checked; this.drawCalls(); } });
    this.tabs = h("div", { class: "tabs backstage-tabs", role: "tablist", "aria-label": "Behind the scenes" },
      TABS.map(([name, label]) => h("button", { type: "button", class: "tab", role: "tab", dataset: { tab: name }, "aria-selected": "false", onclick: () => this.choose(name) }, label)));
    const grip = h("div", { class: "backstage-grip", role: "separator", "aria-orientation": "horizontal", "aria-label": "Height of the drawer; use the up and down arrow keys", tabindex: "0" });
    this.resizable(grip);
    replace(this.element, grip,
      h("header", { class: "backstage-head" }, icon("pulse", 17), h("h2", null, "Behind the scenes"), this.where, h("span", { class: "spacer" }), this.tabs,
        h("button", { type: "button", class: "icon-button", "aria-label": "Close the drawer", onclick: () => this.toggle(false) }, icon("close", 18))),
      h("div", { class: "backstage-columns" },
        h("section", { dataset: { part: "session" } }, h("h3", null, "Session item", h("small", null, "as the table holds it")), this.item),
        h("section", { dataset: { part: "process" } },
          h("h3", null, "Bot"), this.botLine, this.kill,
          h("p", { class: "muted" }, "kill -9, as an outage would. It is started again; whatever was stored goes on: prompts, answers, tasks."),
          this.past, h("h3", null, "Task"), this.task),
        h("section", { dataset: { part: "calls" } }, h("h3", null, "Calls to Slack", h("label", { class: "backstage-all" }, only, "of all threads")), this.rows)));
    this.choose(recall().backstageTab || "session");
  }

  choose(name) {
    this.element.dataset.tab = name;
    for (const tab of this.tabs.children) tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
    remember({ backstageTab: name });
  }

  /** `isThere`: whether this sandbox can show it. */
  offer(isThere) {
    this.isThere = isThere;
    if (isThere && recall().backstage) this.toggle(true, { quiet: true });
  }

  toggle(open = !this.isOpen, { quiet = false } = {}) {
    this.element.hidden = !open;
    document.getElementById("app").classList.toggle("with-backstage", open);
    if (!quiet) remember({ backstage: open });
    clearInterval(this.timer);
    if (!open) return;
    this.look();
    this.readCalls();
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  /** Another thread is shown, or something happened in it. */
  moved() {
    if (!this.isOpen) return;
    this.drawCalls();
    this.soon();
  }

  soon() {
    if (!this.isOpen || this.waiting) return;
    this.waiting = setTimeout(() => {
      this.waiting = 0;
      this.look();
    }, 120);
  }

  async look() {
    const { channelId, threadTs, userId } = state;
    const answer = await get("backstage", { user_id: userId, channel_id: channelId || "", thread_ts: threadTs || "" });
    if (channelId !== state.channelId || threadTs !== state.threadTs || !this.isOpen) return;
    if (answer.ok === false) return;
    this.drawItem(answer, threadTs);
    this.drawTask(answer);
    this.drawBot(answer.bot);
  }

  drawItem(answer, threadTs) {
    const { item } = answer;
    this.where.textContent = answer.session_id ? `session ${answer.session_id.slice(0, 8)}` : "";
    if (!item) {
      this.key = null;
      this.before.clear();
      replace(this.item, h("p", { class: "muted" }, answer.note || (threadTs ? "No session is stored for this thread." : "Open a thread to see its session.")));
      return;
    }
    const key = answer.session_id;
    const text = JSON.stringify(item);
    if (this.key === key && this.text === text) return;
    const first = this.key !== key;
    const now = new Map();
    flatten(item, "", now);
    const scroll = this.item.scrollTop;
    replace(this.item, h("dl", null, order(item).map((name) => this.entry(name, item[name], now, first))));
    this.item.scrollTop = first ? 0 : scroll;
    this.key = key;
    this.text = text;
    this.before = now;
  }

  entry(name, value, now, first) {
    const changed = !first && [...now].some(([path, seen]) => (path === name || path.startsWith(`${name}.`)) && this.before.get(path) !== seen);
    const nested = value !== null && typeof value === "object";
    const count = nested ? (Array.isArray(value) ? value.length : Object.keys(value).length) : 0;
    const open = nested && (name === "slack" || name === "task" || name === "history" || changed);
    const shown = nested
      ? h("details", { open }, h("summary", null, Array.isArray(value) ? `list of ${count}` : `map of ${count}`), h("pre", null, JSON.stringify(value, null, 2)))
      : h("code", null, typeof value === "string" ? value : JSON.stringify(value));
    return [h("dt", { class: changed ? "changed" : undefined }, name), h("dd", { class: changed ? "changed" : undefined }, shown, timeOf(name, value))];
  }

  drawTask({ item, task }) {
    const facts = task || item?.task;
    if (!item || !facts) return void replace(this.task, h("p", { class: "muted" }, "No task."));
    const lines = Object.entries(facts).filter(([name]) => !["session_id", "cluster_arn", "task_definition_arn"].includes(name));
    replace(this.task, h("dl", null, lines.map(([name, value]) => [h("dt", null, name), h("dd", null, h("code", { title: String(value) }, String(value)), timeOf(name, value))])));
  }

  drawBot(bot) {
    if (!bot) return;
    const heard = bot.is_running && state.connections > 0;
    this.botLine.dataset.state = heard ? "on" : bot.is_running ? "starting" : "off";
    replace(this.botLine, h("span", { class: "dot", "aria-hidden": "true" }), bot.is_running ? `Process ${bot.pid}${heard ? ", hears Slack" : ", is starting"}` : "Not running; it is started again");
    this.kill.disabled = !bot.is_running;
    replace(this.past, [...bot.past].reverse().map((event) => h("li", { class: event.what }, h("time", null, time(event.at)), `${WORDS[event.what] || event.what} ${event.pid ?? ""}`)));
  }

  async killBot() {
    this.kill.disabled = true;
    const answer = await post("backstage/kill_bot", { user_id: state.userId });
    if (answer.ok === false) toast(answer.error);
    this.look();
  }

  async readCalls() {
    const answer = await get("calls");
    this.calls = (answer.calls || []).filter((call) => !QUIET.has(call.method)).slice(-SHOWN_CALLS);
    this.drawCalls();
  }

  called(call) {
    if (!this.isOpen || QUIET.has(call.method)) return;
    this.calls.push(call);
    if (this.calls.length > SHOWN_CALLS) this.calls.shift();
    if (this.everything || concerns(call)) {
      this.rows.querySelector(".muted")?.remove();
      this.rows.prepend(callRow(call, true));
      while (this.rows.children.length > SHOWN_CALLS) this.rows.lastChild.remove();
    }
    this.soon();
  }

  drawCalls() {
    const shown = this.calls.filter((call) => this.everything || concerns(call)).reverse();
    replace(this.rows, shown.length ? shown.map((call) => callRow(call, false)) : h("li", { class: "muted" }, state.threadTs ? "No calls about this thread yet." : "Open a thread, or look at the calls of all."));
  }

  resizable(grip) {
    const set = (pixels) => {
      const height = Math.round(Math.min(Math.max(pixels, 160), window.innerHeight * 0.75));
      document.documentElement.style.setProperty("--backstage-height", `${height}px`);
      remember({ backstageHeight: height });
    };
    if (recall().backstageHeight) set(recall().backstageHeight);
    grip.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      grip.setPointerCapture(event.pointerId);
      const move = (moved) => set(window.innerHeight - moved.clientY);
      grip.addEventListener("pointermove", move);
      grip.addEventListener("pointerup", () => grip.removeEventListener("pointermove", move), { once: true });
    });
    grip.addEventListener("keydown", (event) => {
      const step = { ArrowUp: 24, ArrowDown: -24 }[event.key];
      if (!step) return;
      event.preventDefault();
      set(this.element.offsetHeight + step);
    });
  }
}

/** What people look for first; then the rest by name. */
function order(item) {
  const first = ["status", "user_id", "repository_owner", "repository_name", "branch_name", "pr_number", "ecs_task_arn", "history", "slack", "task", "write_version", "due_at", "lease"];
  return [...first.filter((name) => name in item), ...Object.keys(item).filter((name) => !first.includes(name)).sort()];
}

function flatten(value, path, into) {
  if (value !== null && typeof value === "object") for (const [name, inner] of Object.entries(value)) flatten(inner, path ? `${path}.${name}` : name, into);
  else into.set(path, JSON.stringify(value));
}

function timeOf(name, value) {
  const seconds = name === "launch" ? Number(value) / 1000 : Number(value);
  return (/_at$|^ttl$|^launch$/.test(name) && seconds > 1e9) ? h("small", null, time(seconds)) : null;
}

function concerns(call) {
  const args = call.args || {};
  if (!state.threadTs) return false;
  if (args.channel !== state.channelId && args.channel_id !== state.channelId) return false;
  const text = JSON.stringify(args);
  return text.includes(state.threadTs) || Boolean(args.timestamp || args.ts);
}

function callRow(call, fresh) {
  const args = call.args || {};
  const error = call.error || call.answer?.error;
  const about = String(args.text || args.name || args.status || "").replaceAll("\n", " ");
  return h("li", { class: fresh ? "fresh" : undefined }, h("details", null,
    h("summary", null, h("time", null, time(call.at)), h("code", null, call.method), error ? h("span", { class: "refused" }, error) : null, h("span", { class: "backstage-about" }, about.slice(0, 120))),
    h("pre", null, JSON.stringify(pretty(args), null, 2))));
}

/** Arguments that came as JSON in a form field, readable. */
function pretty(args) {
  return Object.fromEntries(Object.entries(args).map(([name, value]) => {
    if (typeof value === "string" && /^[[{]/.test(value)) {
      try {
        return [name, JSON.parse(value)];
      } catch {
        return [name, value];
      }
    }
    return [name, value];
  }));
}
