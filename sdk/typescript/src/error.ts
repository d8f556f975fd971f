import { Code } from "@connectrpc/connect";

import { type ErrorReason, Outcome } from "./gen/tillbook/error/v1/error_pb.js";
import { isDecided } from "./retry.js";

/**
 * Why a call failed, in one word, such as "INSUFFICIENT_FUNDS". A newer server may
 * have reasons that aren't listed here; they come through as they are.
 */
export type Reason = Exclude<keyof typeof ErrorReason, "UNSPECIFIED">;

/** A field that breaks a rule. */
export interface FieldViolation {
  /** The path of the field, such as "amount.asset". */
  readonly field: string;
  /** The rule that it breaks. */
  readonly description: string;
}

/** What is known about a failed call. */
export interface Failure {
  /** The call that failed, such as "WalletService/Transfer". */
  procedure: string;
  /** The Connect (and gRPC) status code. */
  code: Code;
  /**
   * Precisely why. It may be empty if whatever answered wasn't a Tillbook server
   * but, for instance, a proxy.
   */
  reason: Reason | "" | (string & {});
  /** It in a sentence for people, in English. */
  rawMessage: string;
  /** The fields that break a rule. */
  fields: readonly FieldViolation[];
  /** How long the server asks to wait; 0 if it doesn't say. */
  retryAfterMs: number;
  /**
   * What became of a request with an idempotency key, after all attempts of this
   * call. It is unspecified for every other call. Of an earlier call with the same
   * key, whose outcome was unknown, only success and a decision on the money, such
   * as INSUFFICIENT_FUNDS, say anything.
   */
  outcome: Outcome;
  /**
   * The key under which the request was sent, the caller's or the one that was
   * made up. To find out what became of an unknown outcome, send the same request
   * with this key.
   */
  idempotencyKey: string;
  /**
   * What else the server says about the reason, such as limit_id, remaining and
   * reset_time of LIMIT_EXCEEDED.
   */
  metadata: Readonly<Record<string, string>>;
  /** Finds the call in the server's log; empty if it never got there. */
  requestId: string;
  /** Whether the server can have begun to execute the call. */
  maybeSent: boolean;
  /** What the error was made from. */
  cause: unknown;
}

/** What every failed call throws. */
export class TillbookError extends Error implements Readonly<Failure> {
  override readonly name = "TillbookError";
  override readonly cause: unknown;
  readonly procedure: string;
  readonly code: Code;
  readonly reason: Reason | "" | (string & {});
  readonly rawMessage: string;
  readonly fields: readonly FieldViolation[];
  readonly retryAfterMs: number;
  readonly outcome: Outcome;
  readonly idempotencyKey: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly requestId: string;
  readonly maybeSent: boolean;

  constructor(failure: Readonly<Failure>) {
    super(describe(failure));
    this.cause = failure.cause;
    this.procedure = failure.procedure;
    this.code = failure.code;
    this.reason = failure.reason;
    this.rawMessage = failure.rawMessage;
    this.fields = failure.fields;
    this.retryAfterMs = failure.retryAfterMs;
    this.outcome = failure.outcome;
    this.idempotencyKey = failure.idempotencyKey;
    this.metadata = failure.metadata;
    this.requestId = failure.requestId;
    this.maybeSent = failure.maybeSent;
  }

  /**
   * Whether the call failed for this reason. OUTCOME_UNKNOWN matches every error
   * whose outcome is unknown.
   */
  is(reason: Reason): boolean {
    return this.reason === reason || (reason === "OUTCOME_UNKNOWN" && this.outcome === Outcome.UNKNOWN);
  }

  /**
   * Whether this says what became of every request with its idempotency key, those
   * of earlier calls with an unknown outcome included.
   */
  get decided(): boolean {
    return isDecided(this);
  }

  /** Whether only signing in again helps. */
  get signedOut(): boolean {
    return (SIGNED_OUT as readonly string[]).includes(this.reason);
  }
}

/** Whether something that was caught is a {@link TillbookError}, for this reason if one is given. */
export function isTillbookError(error: unknown, reason?: Reason): error is TillbookError {
  return error instanceof TillbookError && (reason === undefined || error.is(reason));
}

const SIGNED_OUT: readonly Reason[] = ["UNAUTHENTICATED", "SESSION_REVOKED", "REFRESH_TOKEN_INVALID"];

/** Tells a failure from what a call gives otherwise. */
export function isFailure(result: object | string): result is Failure {
  return typeof result === "object" && "maybeSent" in result;
}

/** Returns a failure about which nothing else is known. */
export function failureOf(code: Code, reason: Reason | "", rawMessage: string, cause?: unknown): Failure {
  return {
    procedure: "",
    code,
    reason,
    rawMessage,
    fields: [],
    retryAfterMs: 0,
    outcome: Outcome.UNSPECIFIED,
    idempotencyKey: "",
    metadata: {},
    requestId: "",
    maybeSent: false,
    cause,
  };
}

function describe(failure: Readonly<Failure>): string {
  const why = failure.reason || Code[failure.code];
  const parts = ["tillbook", failure.procedure, why, failure.rawMessage].filter((part) => part);
  const fields = failure.fields.map(({ field, description }) => `; ${field}: ${description}`).join("");
  const wait = failure.retryAfterMs > 0 ? ` (try again in ${failure.retryAfterMs / 1000} s)` : "";
  const unknown = failure.outcome === Outcome.UNKNOWN ? " (it isn't known whether it was executed)" : "";
  return parts.join(": ") + fields + wait + unknown;
}
