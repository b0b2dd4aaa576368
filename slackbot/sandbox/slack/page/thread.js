// The right pane: one thread, its messages and its composer.

import { get } from "./api.js";
import { Composer } from "./composer.js";
import { h, icon, replace, toast } from "./dom.js";
import { channelTitle, currentChannel, recall, remember, state, writeHash } from "./state.js";
import { Timeline } from "./timeline.js";

const MIN_PIXELS = 320;
/** What is left of the channel, however wide the thread is drawn. */
const MIN_CHANNEL_PIXELS = 360;

export class ThreadPane {
  /** hooks: {send({text, fileIds, to, broadcast}), openThread(ts), backstage(), closed()} */
  constructor(hooks) {
    this.hooks = hooks;
    this.element = document.getElementById("thread");
    this.divider = document.getElementById("divider");
    this.timeline = new Timeline("thread", hooks, { label: "Messages of the thread", empty: () => h("p", { class: "empty" }, "This thread is empty.") });
    this.broadcast = h("input", { type: "checkbox" });
    this.composer = new Composer({
      testid: "thread-composer",
      label: "Reply in the thread",
      commands: false,
      target: () => ({ channelId: state.channelId, threadTs: state.threadTs }),
      send: (payload) => {
        const broadcast = this.broadcast.checked;
        this.broadcast.checked = false;
        return hooks.send({ ...payload, broadcast });
      },
      editLast: () => this.timeline.editLast(),
      escape: () => this.close(),
      extra: h("label", { class: "broadcast" }, this.broadcast, h("span", null, "Also to the channel")),
    });
    this.where = h("span", { class: "muted" });
    const close = h("button", { type: "button", class: "icon-button", "aria-label": "Close the thread", title: "Close (Esc)", onclick: () => this.close() }, icon("close", 18));
    replace(this.element, h("header", { class: "pane-header" }, h("h2", null, "Thread"), this.where, h("span", { class: "spacer" }), (this.behind = h("span")), close), this.timeline.element, this.composer.element);
    this.composer.acceptDrops(this.element);
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && this.close());
    this.resizable();
  }

  /** A way behind the scenes, where the sandbox can show it. */
  offerBackstage() {
    replace(this.behind, state.hasBackstage && h("button", {
      type: "button", class: "icon-button", "aria-label": "Behind the scenes", title: "Behind the scenes", dataset: { testid: "thread-backstage" }, onclick: () => this.hooks.backstage(),
    }, icon("eye", 18)));
  }

  get isOpen() {
    return !this.element.hidden;
  }

  async open(threadTs, { focus = true, from } = {}) {
    const place = `${state.userId}/${state.channelId}/${threadTs}`;
    const changed = this.place !== place || !this.isOpen;
    this.place = place;
    state.threadTs = threadTs;
    this.element.hidden = false;
    this.divider.hidden = false;
    document.getElementById("app").classList.add("with-thread");
    const channel = currentChannel();
    replace(this.where, channel?.is_im ? channelTitle(channel) : `#${channelTitle(channel)}`);
    if (changed) {
      this.timeline.clear();
      if (from) this.timeline.set([from]);
      this.composer.restore("Reply…");
    }
    writeHash();
    if (focus) this.composer.focus();
    await this.reload();
  }

  async reload() {
    const { channelId, threadTs, userId } = state;
    if (!threadTs) return;
    const answer = await get("thread", { channel_id: channelId, thread_ts: threadTs, user_id: userId });
    if (threadTs !== state.threadTs || channelId !== state.channelId || userId !== state.userId) return;
    if (!answer.messages) {
      if (answer.offline) return;
      toast(answer.error || "That thread is not there.");
      this.close();
      return;
    }
    this.timeline.set(answer.messages);
  }

  close({ keepHash = false } = {}) {
    if (!this.isOpen) return;
    const ts = state.threadTs;
    this.element.hidden = true;
    this.divider.hidden = true;
    document.getElementById("app").classList.remove("with-thread");
    state.threadTs = null;
    this.timeline.clear();
    if (!keepHash) writeHash();
    this.hooks.closed(ts);
  }

  /** The line between the panes: dragged, or moved by the arrow keys; its place is remembered. */
  resizable() {
    const { divider } = this;
    const app = document.getElementById("app");
    const set = (pixels) => {
      const most = app.getBoundingClientRect().width - document.getElementById("sidebar").offsetWidth - MIN_CHANNEL_PIXELS;
      const width = Math.round(Math.max(MIN_PIXELS, Math.min(pixels, most)));
      app.style.setProperty("--thread-width", `${width}px`);
      divider.setAttribute("aria-valuenow", String(width));
      remember({ threadWidth: width });
    };
    if (recall().threadWidth) set(recall().threadWidth);
    divider.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      divider.setPointerCapture(event.pointerId);
      const move = (moved) => set(window.innerWidth - moved.clientX);
      divider.addEventListener("pointermove", move);
      divider.addEventListener("lostpointercapture", () => divider.removeEventListener("pointermove", move), { once: true });
    });
    divider.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: 24, ArrowRight: -24 }[event.key];
      if (!step) return;
      event.preventDefault();
      set(this.element.getBoundingClientRect().width + step);
    });
    divider.addEventListener("dblclick", () => {
      app.style.removeProperty("--thread-width");
      remember({ threadWidth: null });
    });
  }
}
