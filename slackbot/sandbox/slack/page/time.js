// Slack timestamps ("1700000000.000100", seconds) in words for people.

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const longDay = new Intl.DateTimeFormat("en", { weekday: "long", month: "long", day: "numeric" });
const longDayYear = new Intl.DateTimeFormat("en", { weekday: "long", month: "long", day: "numeric", year: "numeric" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export const toDate = (ts) => new Date(Number(ts) * 1000);
export const clockTime = (ts) => clock.format(toDate(ts));
export const fullTime = (ts) => full.format(toDate(ts));
export const dayKey = (ts) => toDate(ts).toDateString();

export function dayLabel(ts) {
  const date = toDate(ts);
  const now = new Date();
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (date.toDateString() === now.toDateString()) return "Today";
  if (date.toDateString() === yesterday.toDateString()) return "Yesterday";
  return (date.getFullYear() === now.getFullYear() ? longDay : longDayYear).format(date);
}

export function ago(ts) {
  const seconds = Math.max(0, Date.now() / 1000 - Number(ts));
  if (seconds < 45) return "just now";
  if (seconds < 3600) return relative.format(-Math.max(1, Math.round(seconds / 60)), "minute");
  if (seconds < 86400) return relative.format(-Math.round(seconds / 3600), "hour");
  return relative.format(-Math.round(seconds / 86400), "day");
}

const pad = (number) => String(number).padStart(2, "0");

/** Slack's <!date^SECONDS^{date_short} at {time}^url|fallback> tokens. */
export function formatDateToken(seconds, format) {
  const date = toDate(seconds);
  const day = (options) => new Intl.DateTimeFormat("en", options).format(date);
  const long = { weekday: "long", year: "numeric", month: "long", day: "numeric" };
  const medium = { year: "numeric", month: "long", day: "numeric" };
  const short = { year: "numeric", month: "short", day: "numeric" };
  const pretty = (options) => {
    const label = dayLabel(seconds);
    return label === "Today" || label === "Yesterday" ? label.toLowerCase() : day(options);
  };
  const parts = {
    date_num: () => `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`,
    date_slash: () => `${pad(date.getMonth() + 1)}/${pad(date.getDate())}/${date.getFullYear()}`,
    date: () => day(medium),
    date_short: () => day(short),
    date_long: () => day(long),
    date_pretty: () => pretty(medium),
    date_short_pretty: () => pretty(short),
    date_long_pretty: () => pretty(long),
    day_divider_pretty: () => dayLabel(seconds),
    time: () => clock.format(date),
    time_secs: () => date.toLocaleTimeString(),
    ago: () => ago(seconds),
  };
  return format.replace(/\{(\w+)\}/g, (whole, name) => (parts[name] ? parts[name]() : whole));
}
