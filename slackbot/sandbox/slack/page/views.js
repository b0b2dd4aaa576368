// What the middle pane shows beside messages: the App Home tab of the bot, and the list of its Web API calls.

import { get, post } from "./api.js";
import { renderBlock } from "./blocks.js";
import { h, replace } from "./dom.js";
import { codeBlock } from "./mrkdwn.js";
import { state } from "./state.js";
import { fullTime } from "./time.js";

const SHOWN_CALLS = 200;

/** Asks for the Home tab (the bot hears app_home_opened) and draws what it has published so far. */
export class Home {
  constructor() {
    this.element = h("div", { class: "scroller home", tabindex: "-1" });
  }

  async open() {
    this.draw();
    const { userId } = state;
    const answer = await post("home", { user_id: userId });
    if (userId !== state.userId) return;
    if (answer.view) state.homeView = answer.view;
    this.draw();
  }

  draw() {
    const view = state.homeView;
    if (!view?.blocks) {
      replace(this.element, h("p", { class: "empty" }, `${state.bot.name} has not published its Home for you yet.`));
      return;
    }
    const readers = {};
    const context = {
      surface: "home",
      source: { view_id: view.id },
      register: (blockId, actionId, read) => ((readers[blockId] ||= {})[actionId] = read),
      values: () => Object.fromEntries(Object.entries(readers).map(([block, actions]) => [block, Object.fromEntries(Object.entries(actions).map(([action, read]) => [action, read()]))])),
    };
    replace(this.element, h("div", { class: "home-blocks" }, view.blocks.map((block, index) => renderBlock(block, context, index))));
  }
}

/** What the bot asked of Slack's Web API, the newest first: a window into the stand-in. */
export class Calls {
  constructor() {
    this.rows = h("tbody");
    this.count = h("p", { class: "muted" });
    this.element = h("div", { class: "scroller calls", tabindex: "-1" },
      h("p", { class: "muted" }, "Every call the bot makes to the Slack Web API, as this stand-in received and answered it. The newest is on top."),
      this.count,
      h("table", null, h("thead", null, h("tr", null, ["Time", "Method", "Answer", "Arguments"].map((title) => h("th", { scope: "col" }, title)))), this.rows));
  }

  async open() {
    const answer = await get("calls");
    const calls = (answer.calls || []).slice(-SHOWN_CALLS);
    this.count.textContent = answer.calls ? (calls.length ? "" : "No calls yet.") : answer.error || "";
    replace(this.rows, calls.reverse().map(row));
  }

  add(call) {
    this.count.textContent = "";
    this.rows.prepend(row(call));
    while (this.rows.children.length > SHOWN_CALLS) this.rows.lastChild.remove();
  }
}

function row(call) {
  const at = call.at ?? call.ts ?? call.time;
  const error = call.error || call.response?.error || (call.ok === false ? "refused" : null);
  const details = call.arguments ?? call.args ?? call.params ?? {};
  const text = JSON.stringify(details);
  return h("tr", null,
    h("td", { class: "nowrap", title: at ? fullTime(at) : undefined }, at ? new Date(Number(at) * 1000).toLocaleTimeString() : ""),
    h("td", { class: "nowrap" }, h("code", null, call.method || call.name || "?")),
    h("td", { class: error ? "refused" : "accepted" }, error || "ok"),
    h("td", null, h("details", null, h("summary", null, text.length > 90 ? `${text.slice(0, 90)}…` : text), codeBlock(JSON.stringify(details, null, 2)))));
}
