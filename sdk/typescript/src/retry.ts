import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";

import type { Failure } from "./error.js";
import { Outcome } from "./gen/tillbook/error/v1/error_pb.js";

/** The longest wait before the first retry; it doubles with each further one. */
const BACKOFF_BASE_MS = 100;
/** Bounds the doubling. */
const BACKOFF_CAP_MS = 5_000;
/**
 * The longest wait that a server can ask for. An error that asks for more is
 * thrown at once, with retryAfterMs, rather than hold the caller.
 */
export const RETRY_AFTER_CAP_MS = 15_000;

/**
 * Decides whether a call may be sent again after a failure. Nothing that the
 * server can have seen is repeated unless the schema says that repeating it
 * changes nothing.
 */
export function mayRetry(level: Level, failure: Failure): boolean {
  if (!failure.maybeSent) {
    return failure.code === Code.Unavailable;
  }
  if (level !== Level.NO_SIDE_EFFECTS && level !== Level.IDEMPOTENT) {
    return false;
  }
  switch (failure.code) {
    case Code.Unavailable:
    case Code.DeadlineExceeded: // The attempt's: the caller's is looked at apart.
      return true;
    case Code.ResourceExhausted:
      return failure.retryAfterMs > 0;
    default:
      return failure.reason === "OUTCOME_UNKNOWN";
  }
}

/**
 * Returns how many milliseconds to wait before retry number n (1, 2, 3 …): full
 * jitter, where random is in [0, 1), on top of what the server asks for.
 */
export function backoff(n: number, retryAfterMs: number, random: number): number {
  const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (n - 1));
  return retryAfterMs + random * ceiling;
}

/**
 * Fills in what became of a request with an idempotency key. It returns whether
 * that is open after this attempt, given that it was or wasn't before. A refusal
 * says what became of its own attempt; only a decision under the key speaks for
 * the earlier ones too.
 */
export function settle(failure: Failure, unknown: boolean): boolean {
  if (isDecided(failure)) {
    unknown = false;
  } else if (failure.outcome === Outcome.UNKNOWN) {
    unknown = true;
  } else if (failure.outcome === Outcome.UNSPECIFIED && failure.maybeSent) {
    unknown ||= !refusedOutside(failure.code);
  }
  if (unknown) {
    failure.outcome = Outcome.UNKNOWN;
  } else if (failure.outcome === Outcome.UNSPECIFIED) {
    failure.outcome = Outcome.NOT_EXECUTED;
  }
  return unknown;
}

/** Whether a failure says what became of all requests with its idempotency key, earlier ones included. */
export function isDecided(failure: Pick<Failure, "reason" | "outcome">): boolean {
  return DECISIONS.has(failure.reason) || failure.outcome === Outcome.EXECUTED;
}

/**
 * The refusals that come from a look at the idempotency key and then at the money:
 * none of them is given for a request that was executed before.
 */
const DECISIONS: ReadonlySet<string> = new Set([
  "INSUFFICIENT_FUNDS",
  "LIMIT_EXCEEDED",
  "RECIPIENT_LIMIT_EXCEEDED",
  "HOLD_EXPIRED",
  "HOLD_CLOSED",
  "HOLD_EXCEEDED",
  "REFUND_EXCEEDED",
  "PAYMENT_REQUEST_EXPIRED",
  "PAYMENT_REQUEST_CLOSED",
]);

/** Whether an answer without an outcome comes from something that let the request go no further. */
function refusedOutside(code: Code): boolean {
  return code === Code.Unauthenticated || code === Code.PermissionDenied || code === Code.Unimplemented;
}
