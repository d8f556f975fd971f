import assert from "node:assert/strict";
import test from "node:test";

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  Code,
  Money,
  newIdempotencyKey,
  Outcome,
  StatementFormat,
  TillbookError,
  toPhone,
  toUsername,
  TransactionKind,
} from "@tillbook/sdk";
import { WalletService } from "@tillbook/sdk/gen/wallet/v1/wallet_service";

import { Network } from "./faults.js";
import { has, join } from "./people.js";
import { sharedServer } from "./server.js";

const TRANSFER = "WalletService/Transfer";
const baseUrl = await sharedServer();
const ben = await join({ baseUrl });

/** Returns a payment to Ben. */
function payment(amount = "12.50 USD") {
  return { recipient: toUsername(ben.username), amount: Money.parse(amount), note: "Lunch" };
}

/** Returns the error that a call fails with. */
async function failure(call: Promise<unknown>): Promise<TillbookError> {
  const error = await call.then(
    () => assert.fail("the call succeeded"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof TillbookError, String(error));
  return error;
}

for (const format of ["json", "binary"] as const) {
  test(`Somebody registers with the code, gets money and pays, as ${format}`, async () => {
    const ada = await join({ baseUrl, format }, "100 USD", "5 JPY");
    const resolved = await ada.client.wallet.resolve(toPhone(ben.phoneNumber));
    assert.match(resolved.userId, /^usr_/);
    const paid = await ada.client.wallet.transfer(payment());
    assert.equal(Money.from(paid.amount).toString(), "-12.50 USD");
    assert.equal(Money.from(paid.balanceAfter).toString(), "87.50 USD");
    assert.equal(paid.kind, TransactionKind.TRANSFER);
    assert.deepEqual(await ada.client.wallet.transaction(paid.transactionId), paid);
    assert.equal(await has(ada, "USD"), "87.50");
    assert.equal(await has(ada, "JPY"), "5");
  });
}

test("Lists fetch page after page", async () => {
  const network = new Network();
  const ada = await join({ baseUrl, fetch: network.fetch }, "3 USD");
  for (const note of ["1", "2", "3"]) {
    await ada.client.wallet.transfer({ ...payment("1 USD"), note });
  }
  const notes: string[] = [];
  for await (const { note } of ada.client.wallet.transactions({ pageSize: 2, kind: TransactionKind.TRANSFER })) {
    notes.push(note);
  }
  assert.deepEqual(notes, ["3", "2", "1"]);
  assert.equal(network.count("WalletService/ListTransactions"), 2);
});

test("A refusal says exactly why, and that nothing moved", async () => {
  const ada = await join({ baseUrl }, "5 USD");
  const refusals = [
    [payment(), "INSUFFICIENT_FUNDS", Code.FailedPrecondition],
    [payment("0.001 USD"), "AMOUNT_TOO_PRECISE", Code.InvalidArgument],
    [payment("0 USD"), "AMOUNT_NOT_POSITIVE", Code.InvalidArgument],
    [payment("1 NOSUCH"), "ASSET_NOT_FOUND", Code.NotFound],
    [{ ...payment(), recipient: toUsername("nobody.here") }, "RECIPIENT_NOT_FOUND", Code.NotFound],
    [{ ...payment(), recipient: toUsername(ada.username) }, "SELF_TRANSFER", Code.InvalidArgument],
  ] as const;
  for (const [request, reason, code] of refusals) {
    const error = await failure(ada.client.wallet.transfer(request));
    assert.equal(error.reason, reason);
    assert.equal(error.code, code, reason);
    assert.equal(error.outcome, Outcome.NOT_EXECUTED, reason);
    assert.notEqual(error.idempotencyKey, "");
    assert.notEqual(error.requestId, "");
    assert.ok(error.is(reason) && !error.is("OUTCOME_UNKNOWN") && !error.signedOut);
    assert.equal(error.decided, reason === "INSUFFICIENT_FUNDS", reason); // The others come before the key.
    assert.match(error.message, new RegExp(`^tillbook: ${TRANSFER}: ${reason}: `));
  }
  assert.equal(await has(ada, "USD"), "5.00");
});

test("A field that breaks a rule is named", async () => {
  const ada = await join({ baseUrl });
  const error = await failure(ada.client.wallet.transfer({ ...payment(), note: "two\nlines" }));
  assert.equal(error.reason, "INVALID_ARGUMENT");
  assert.deepEqual(error.fields.map(({ field }) => field), ["note"]);
});

test("What can't be written is refused before it leaves", async () => {
  const network = new Network();
  const ada = await join({ baseUrl, fetch: network.fetch });
  const amount = { asset: "USD", amount: 12.5 as unknown as string };
  const error = await failure(ada.client.wallet.transfer({ ...payment(), amount }));
  assert.deepEqual([error.reason, error.outcome], ["INVALID_ARGUMENT", Outcome.NOT_EXECUTED]);
  assert.equal(network.count(TRANSFER), 0);
});

test("A retry with the same key is one payment, and another request with it is refused", async () => {
  const ada = await join({ baseUrl }, "100 USD");
  const request = { ...payment(), idempotencyKey: newIdempotencyKey() };
  const first = await ada.client.wallet.transfer(request);
  const second = await ada.client.wallet.transfer(request);
  assert.equal(second.transactionId, first.transactionId);
  assert.equal(await has(ada, "USD"), "87.50");
  const error = await failure(ada.client.wallet.transfer({ ...request, note: "Dinner" }));
  assert.equal(error.reason, "IDEMPOTENCY_KEY_REUSED");
  assert.equal(error.idempotencyKey, request.idempotencyKey);
});

test("Each payment has a key of its own, and the request stays as it was", async () => {
  const ada = await join({ baseUrl }, "100 USD");
  const request = payment();
  await ada.client.wallet.transfer(request);
  await ada.client.service(WalletService).transfer(request); // As with every service of the API.
  assert.ok(!("idempotencyKey" in request));
  assert.equal(await has(ada, "USD"), "75.00");
});

test("A lost answer is asked for again under the same key", async () => {
  const network = new Network();
  const ada = await join({ baseUrl, fetch: network.fetch }, "100 USD");
  network.plan(TRANSFER, "lost answer", "bad gateway", "lost request", "lost answer");
  await ada.client.wallet.transfer(payment());
  assert.equal(network.count(TRANSFER), 5);
  assert.equal(await has(ada, "USD"), "87.50");
});

test("An unknown outcome is resolved with the error's key", async () => {
  const network = new Network();
  const ada = await join({ baseUrl, fetch: network.fetch, retries: 1 }, "100 USD");
  network.plan(TRANSFER, "lost answer", "lost request");
  const error = await failure(ada.client.wallet.transfer(payment()));
  assert.equal(error.outcome, Outcome.UNKNOWN);
  assert.ok(error.is("OUTCOME_UNKNOWN") && error.is("UNAVAILABLE"));
  network.plan(TRANSFER, "lost request", "unreachable"); // The second says nothing of the first.
  const again = await failure(ada.client.wallet.transfer({ ...payment(), idempotencyKey: error.idempotencyKey }));
  assert.deepEqual([again.outcome, again.maybeSent, again.decided], [Outcome.UNKNOWN, false, false]);
  network.plan(TRANSFER, "unreachable", "unreachable");
  const away = await failure(ada.client.wallet.transfer({ ...payment(), idempotencyKey: error.idempotencyKey }));
  assert.deepEqual([away.outcome, away.decided], [Outcome.NOT_EXECUTED, false]); // This call, not the first one.
  await ada.client.wallet.transfer({ ...payment(), idempotencyKey: error.idempotencyKey });
  assert.equal(await has(ada, "USD"), "87.50");
});

test("A payment that never left moved nothing, and is sent again", async () => {
  const network = new Network();
  const ada = await join({ baseUrl, fetch: network.fetch, retries: 1 }, "100 USD");
  network.plan(TRANSFER, "unreachable", "unreachable");
  const error = await failure(ada.client.wallet.transfer(payment()));
  assert.deepEqual([error.reason, error.outcome], ["UNAVAILABLE", Outcome.NOT_EXECUTED]);
  network.plan(TRANSFER, "unreachable");
  await ada.client.wallet.transfer(payment());
  assert.equal(network.count(TRANSFER), 1);
});

test("A caller who gives up is told at once, and that the outcome is open", async () => {
  const network = new Network();
  const ada = await join({ baseUrl, fetch: network.fetch, retries: 10 }, "100 USD");
  network.plan(TRANSFER, ...Array<"lost answer">(11).fill("lost answer"));
  const began = Date.now();
  const canceled = await failure(ada.client.wallet.transfer(payment(), { signal: AbortSignal.timeout(300) }));
  assert.deepEqual([canceled.reason, canceled.outcome], ["CANCELED", Outcome.UNKNOWN]);
  const late = await failure(ada.client.wallet.transfer(payment(), { timeoutMs: 1 }));
  assert.notEqual(late.outcome, Outcome.EXECUTED);
  assert.ok(Date.now() - began < 3_000);
});

test("Requests for money, refunds and statements work", async () => {
  const ada = await join({ baseUrl }, "100 USD");
  const asked = await ben.client.wallet.requestPayment({
    payer: toUsername(ada.username),
    amount: Money.parse("3 USD"),
    note: "Tea",
  });
  const paid = await ada.client.wallet.payRequest({ paymentRequestId: asked.paymentRequestId });
  await ben.client.wallet.refund({ transactionId: paid.transactionId, amount: Money.parse("1 USD") });
  assert.equal(await has(ada, "USD"), "98.00");
  const receipt = await ada.client.wallet.receipt(paid.transactionId);
  assert.ok(receipt.checkpoint.length > 0);
  let statement = "";
  const startTime = timestampFromMs(Date.now() - 60_000);
  for await (const piece of ada.client.wallet.exportStatement({ asset: "USD", format: StatementFormat.CSV, startTime })) {
    statement += new TextDecoder().decode(piece);
  }
  assert.ok(statement.includes(paid.transactionId), statement);
});
