import assert from "node:assert/strict";
import test from "node:test";

import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import { Code, type Failure, Outcome } from "@tillbook/sdk";

import { failureOf } from "../dist/error.js";
import { backoff, mayRetry, settle } from "../dist/retry.js";

const { IDEMPOTENCY_UNKNOWN: ONCE, NO_SIDE_EFFECTS: READS, IDEMPOTENT } = Level;

function failed(code: Code, more: Partial<Failure> = {}): Failure {
  return { ...failureOf(code, "", ""), maybeSent: true, ...more };
}

test("What may have arrived is repeated only if the schema allows it and it can help", () => {
  const cases: [Failure, Level, boolean][] = [
    [failed(Code.Unavailable), READS, true],
    [failed(Code.Unavailable), IDEMPOTENT, true],
    [failed(Code.Unavailable), ONCE, false],
    [failed(Code.Unavailable, { maybeSent: false }), ONCE, true],
    [failed(Code.Canceled, { maybeSent: false }), IDEMPOTENT, false],
    [failed(Code.DeadlineExceeded), IDEMPOTENT, true],
    [failed(Code.ResourceExhausted), IDEMPOTENT, false],
    [failed(Code.ResourceExhausted, { retryAfterMs: 1 }), IDEMPOTENT, true],
    [failed(Code.ResourceExhausted, { retryAfterMs: 1 }), ONCE, false],
    [failed(Code.Unknown, { reason: "OUTCOME_UNKNOWN" }), IDEMPOTENT, true],
    [failed(Code.Internal), IDEMPOTENT, false],
    [failed(Code.FailedPrecondition), IDEMPOTENT, false],
  ];
  for (const [failure, level, expected] of cases) {
    const what = `${Code[failure.code]} ${Level[level]} ${failure.maybeSent} ${failure.retryAfterMs}`;
    assert.equal(mayRetry(level, failure), expected, what);
  }
});

test("Waits double to a cap, spread by chance, on top of what the server asks for", () => {
  assert.deepEqual([1, 2, 3, 6, 7, 50].map((n) => backoff(n, 0, 1)), [100, 200, 400, 3_200, 5_000, 5_000]);
  assert.equal(backoff(3, 0, 0), 0);
  assert.equal(backoff(1, 3_000, 0.5), 3_050);
});

test("An outcome that was open stays open until a decision under the key", () => {
  const { UNSPECIFIED, NOT_EXECUTED, EXECUTED, UNKNOWN } = Outcome;
  const cases: [Failure, boolean, Outcome][] = [
    [failed(Code.Unavailable), false, UNKNOWN],
    [failed(Code.Unavailable, { maybeSent: false }), false, NOT_EXECUTED],
    [failed(Code.Unavailable, { maybeSent: false }), true, UNKNOWN],
    [failed(Code.Unavailable, { outcome: NOT_EXECUTED }), false, NOT_EXECUTED],
    [failed(Code.Unavailable, { outcome: NOT_EXECUTED }), true, UNKNOWN],
    [failed(Code.Unauthenticated), false, NOT_EXECUTED],
    [failed(Code.Unauthenticated), true, UNKNOWN],
    [failed(Code.FailedPrecondition, { outcome: NOT_EXECUTED, reason: "INSUFFICIENT_FUNDS" }), true, NOT_EXECUTED],
    [failed(Code.Unknown, { outcome: UNKNOWN, reason: "OUTCOME_UNKNOWN" }), false, UNKNOWN],
    [failed(Code.Internal, { outcome: EXECUTED }), true, EXECUTED],
    [failed(Code.Internal, { outcome: UNSPECIFIED }), false, UNKNOWN],
  ];
  for (const [failure, before, expected] of cases) {
    const what = `${Code[failure.code]} ${failure.reason} ${Outcome[failure.outcome]} ${before}`;
    const open = settle(failure, before);
    assert.equal(failure.outcome, expected, what);
    assert.equal(open, expected === UNKNOWN, what);
  }
});
