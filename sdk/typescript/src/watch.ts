import { Code } from "@connectrpc/connect";

import { failureOf, TillbookError } from "./error.js";
import { backoff, RETRY_AFTER_CAP_MS } from "./retry.js";
import { Scope, sleep } from "./scope.js";

/** How long a stream may say nothing. The server says something every 15 seconds. */
const MAX_SILENCE_MS = 45_000;
/**
 * Added to the wait before a stream is opened again, at random, so that the clients
 * of a replica that goes away don't all arrive at the next one at once.
 */
const WATCH_BACKOFF_MS = 1_000;
/** How often in a row a watch meets an error that doesn't look like a passing one before it believes it. */
const MAX_REPEATS = 5;

/** Where a watch begins, and what ends it. */
export interface WatchOptions {
  /**
   * Ends the watch, which then throws an error with the reason CANCELED. Breaking
   * out of the loop ends it too, but only once something has come.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * The resumeToken of the last event that was seen, to go on behind it as a
   * program does that kept it before it was restarted. By default, the watch begins
   * with how things stand.
   */
  readonly resumeToken?: string | undefined;
}

/**
 * Yields what a stream with resume tokens brings, heartbeats included, for as long
 * as one likes. It opens the stream again by itself when the connection is lost,
 * the server moves it elsewhere or nothing is heard for 45 seconds, and goes on
 * where it was: nothing is missed and nothing repeated.
 *
 * It ends with an error that trying again can't mend, such as SESSION_REVOKED or
 * RESUME_TOKEN_INVALID. An unreachable server is waited for.
 */
export async function* resuming<T extends { readonly resumeToken: string }>(
  open: (resumeToken: string, signal: AbortSignal) => AsyncIterable<T>,
  options: WatchOptions = {},
): AsyncGenerator<T, never> {
  let resumeToken = options.resumeToken ?? "";
  let failures = 0; // Streams in a row that brought nothing.
  let repeats = 0; // Of these, how many ended with something unexpected.
  for (;;) {
    const stream = new Stream(open, resumeToken, options.signal);
    try {
      for (let next = await stream.next(); next !== undefined; next = await stream.next()) {
        failures = repeats = 0;
        resumeToken = next.resumeToken || resumeToken;
        yield next;
      }
    } finally {
      stream.end();
    }
    const lost = stream.lost();
    const verdict = judge(lost);
    failures++;
    repeats += verdict === "unexpected" ? 1 : 0;
    if (verdict === "final" || repeats >= MAX_REPEATS || !(await sleep(waitFor(failures, lost), options.signal))) {
      throw options.signal?.aborted ? new TillbookError({ ...lost, ...CANCELED }) : lost;
    }
  }
}

/** One stream of a watch. */
class Stream<T> {
  private readonly scope: Scope;
  private readonly iterator: AsyncIterator<T>;
  private failure: unknown;
  private silent = false;

  constructor(open: (resumeToken: string, signal: AbortSignal) => AsyncIterable<T>, resumeToken: string, signal?: AbortSignal) {
    this.scope = new Scope(signal);
    this.iterator = open(resumeToken, this.scope.signal)[Symbol.asyncIterator]();
  }

  /** Returns what comes next; undefined once the stream is lost. Between two calls the caller may take its time. */
  async next(): Promise<T | undefined> {
    const silence = setTimeout(() => {
      this.silent = true;
      this.scope.end();
    }, MAX_SILENCE_MS);
    try {
      const result = await this.iterator.next();
      return result.done ? undefined : result.value;
    } catch (error) {
      this.failure = error;
      return undefined;
    } finally {
      clearTimeout(silence);
    }
  }

  /** Closes the stream. */
  end(): void {
    this.scope.end();
  }

  /** Returns what ended the stream. */
  lost(): TillbookError {
    if (this.failure instanceof TillbookError && !this.silent) {
      return this.failure;
    }
    const message = this.silent ? `nothing was heard for ${MAX_SILENCE_MS / 1000} s` : "the server ended the stream";
    return new TillbookError(failureOf(Code.Unavailable, "UNAVAILABLE", message, this.failure));
  }
}

/** Decides whether another stream is worth opening after an error. */
function judge(error: TillbookError): "passing" | "unexpected" | "final" {
  switch (error.code) {
    case Code.Unavailable:
    case Code.ResourceExhausted:
      return "passing";
    case Code.Internal:
    case Code.Unknown:
    case Code.Aborted:
    case Code.Canceled:
    case Code.DeadlineExceeded:
      return "unexpected";
    default:
      return error.reason === "TOKEN_EXPIRED" ? "unexpected" : "final";
  }
}

/** Returns how long to wait before the next stream. */
function waitFor(failures: number, error: TillbookError): number {
  const asked = Math.min(error.retryAfterMs, RETRY_AFTER_CAP_MS);
  return backoff(failures, asked, Math.random()) + Math.random() * WATCH_BACKOFF_MS;
}

const CANCELED = { code: Code.Canceled, reason: "CANCELED", rawMessage: "the watch was canceled", fields: [] };
