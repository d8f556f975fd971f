import { isTillbookError, MoneyError } from "@tillbook/sdk";

/** What a person has to know of something that failed. */
export interface Problem {
  /** The API's sentence. */
  readonly text: string;
  /** What is wrong with single fields, by their names in the API. */
  readonly fields: Readonly<Record<string, string>>;
  /** The reason, for the few that the page itself acts on. */
  readonly reason: string;
  /** Whether money may have moved: nothing but the same request again tells. */
  readonly unknown: boolean;
}

/** What the page itself couldn't do, in a sentence. */
export class PageError extends Error {}

/** Describes an error. It must be one that calls or the page throw; others are bugs and go on. */
export function describe(error: unknown): Problem {
  if (error instanceof MoneyError || error instanceof PageError) {
    return { text: error.message.replace(/^tillbook: /, ""), fields: {}, reason: "", unknown: false };
  }
  if (!isTillbookError(error)) {
    throw error;
  }
  const fields: Record<string, string> = {};
  for (const { field, description } of error.fields) {
    fields[field] = sentence(description);
  }
  const wait = error.retryAfterMs > 1000 ? ` Try again in ${Math.ceil(error.retryAfterMs / 1000)} seconds.` : "";
  const unknown = error.is("OUTCOME_UNKNOWN");
  // Where no server has seen the call the browser speaks, or a proxy, and not to people.
  const text = error.reason === "UNAVAILABLE" && error.requestId === "" ? "The server can't be reached. Check your connection, and try again." : sentence(error.rawMessage) + wait;
  return { text, fields, reason: error.reason, unknown };
}

function sentence(text: string): string {
  const trimmed = text.trim();
  const begun = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
