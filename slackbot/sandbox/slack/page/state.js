// What the page knows and where the person stands: filled from /sandbox/api/bootstrap, remembered in localStorage and the URL hash.

export const state = {
  userId: null,
  team: { id: "", name: "Sandbox" },
  bot: { user_id: "", name: "DevFlow" },
  people: new Map(),
  channels: new Map(),
  commands: [],
  shortcuts: [],
  links: [],
  connections: 0,
  online: true,
  channelId: null,
  threadTs: null,
  /** "messages", "home" (App Home tab of the bot) or "calls" (what the bot asked of the Web API) */
  view: "messages",
  unread: new Map(),
  homeView: null,
  hasBackstage: false,
};

const KEY = "devflow-sandbox";

export function recall() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) || {};
  } catch {
    return {};
  }
}

export function remember(changes) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...recall(), ...changes }));
  } catch {
    // private windows may refuse storage; the page works without it
  }
}

export function applyBootstrap(data) {
  state.team = data.team || state.team;
  state.people = new Map((data.people || []).map((person) => [person.user_id, person]));
  state.bot = data.bot || state.bot;
  state.bot = { ...state.bot, name: state.people.get(state.bot.user_id)?.real_name || state.bot.name };
  state.channels = new Map((data.channels || []).map((channel) => [channel.channel_id, channel]));
  state.commands = data.commands || [];
  state.shortcuts = data.shortcuts || [];
  state.links = data.links || [];
  state.connections = data.socket_connections || 0;
  state.hasBackstage = Boolean(data.has_backstage);
}

export const humans = () => [...state.people.values()].filter((person) => !person.is_bot);
export const currentChannel = () => state.channels.get(state.channelId);

export function personName(userId) {
  const person = state.people.get(userId);
  if (person) return person.real_name || person.name;
  if (userId && userId === state.bot.user_id) return state.bot.name;
  return userId || "Someone";
}

export function isBot(userId) {
  return userId === state.bot.user_id || Boolean(state.people.get(userId)?.is_bot);
}

/** The other person of a direct message; its channel carries that person's name. */
export function imPartner(channel) {
  if (!channel?.is_im) return null;
  return [...state.people.values()].find((person) => person.user_id === channel.user_id || person.name === channel.name) || null;
}

export function channelTitle(channel) {
  if (!channel) return "";
  if (!channel.is_im) return channel.name;
  const other = imPartner(channel);
  return other?.user_id === state.bot.user_id ? state.bot.name : other?.real_name || channel.name || state.bot.name;
}

/** "#general/1700.1" -> {channelId, threadTs, view}; channels may be named by id or by name. Permalinks are "#channel=C1&thread=1700.1". */
export function readHash(hash = location.hash) {
  if (hash.startsWith("#channel=")) {
    const query = new URLSearchParams(hash.slice(1));
    return readHash(`#${query.get("channel")}/${query.get("thread") || ""}`);
  }
  const [first, second] = decodeURIComponent(hash.replace(/^#/, "")).split("/");
  if (!first || first === "main") return null;
  if (first === "calls") return { view: "calls" };
  const channel = state.channels.get(first) || [...state.channels.values()].find((known) => known.name === first && !known.is_im);
  if (!channel) return null;
  return {
    channelId: channel.channel_id,
    threadTs: second && /^\d+\.\d+$/.test(second) ? second : null,
    view: second === "home" ? "home" : "messages",
  };
}

export function writeHash() {
  let hash = `#${state.channelId}`;
  if (state.view === "calls") hash = "#calls";
  else if (state.view === "home") hash += "/home";
  else if (state.threadTs) hash += `/${state.threadTs}`;
  if (location.hash !== hash) history.pushState(null, "", hash);
  remember({ userId: state.userId, channelId: state.channelId, threadTs: state.threadTs });
}
