/** A moment as messages carry it. */
export interface Timestamp {
  readonly seconds: bigint;
  readonly nanos: number;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** Returns a moment as a Date, without what is smaller than a millisecond. */
export function dateOf({ seconds, nanos }: Timestamp): Date {
  return new Date(Number(seconds) * 1000 + Math.floor(nanos / 1e6));
}

/** Writes the time of a day. */
export function clock(time: Timestamp | undefined): string {
  return time === undefined ? "" : CLOCK.format(dateOf(time));
}

/** Writes a moment in full. */
export function moment(time: Timestamp | undefined): string {
  return time === undefined ? "" : FULL.format(dateOf(time));
}

/** Names a day as people do. */
export function day(time: Timestamp | undefined): string {
  if (time === undefined) {
    return "";
  }
  const date = dateOf(time);
  const today = new Date();
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (date.toDateString() === today.toDateString()) {
    return "Today";
  }
  return date.toDateString() === yesterday.toDateString() ? "Yesterday" : DAY.format(date);
}
