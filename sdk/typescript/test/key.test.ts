import assert from "node:assert/strict";
import test from "node:test";

import { create } from "@bufbuild/protobuf";
import { newIdempotencyKey } from "@tillbook/sdk";
import { GetAccountRequestSchema, PostTransactionsRequestSchema } from "@tillbook/sdk/gen/ledger/v1/ledger_service";
import { TransferRequestSchema } from "@tillbook/sdk/gen/wallet/v1/wallet_service";

import { isKeyed, withKeys } from "../dist/key.js";

test("A request without a key gets one in a copy, and one with a key keeps it", () => {
  const request = create(TransferRequestSchema, { note: "Lunch" });
  const { message, key } = withKeys(TransferRequestSchema, request);
  assert.match(key, /^[0-9a-f]{32}$/);
  assert.deepEqual([message.idempotencyKey, message.note, request.idempotencyKey], [key, "Lunch", ""]);
  assert.equal(withKeys(TransferRequestSchema, message).key, key);
});

test("Each item of a bulk has a key of its own", () => {
  const request = create(PostTransactionsRequestSchema, { items: [{}, { idempotencyKey: "mine" }, {}] });
  const keys = withKeys(PostTransactionsRequestSchema, request).message.items.map(({ idempotencyKey }) => idempotencyKey);
  assert.equal(keys[1], "mine");
  assert.equal(new Set(keys).size, 3);
  assert.deepEqual(request.items.map(({ idempotencyKey }) => idempotencyKey), ["", "mine", ""]);
});

test("What only reads takes no key", () => {
  assert.ok(isKeyed(TransferRequestSchema) && isKeyed(PostTransactionsRequestSchema));
  assert.ok(!isKeyed(GetAccountRequestSchema));
});

test("Keys are what the API takes, and never the same", () => {
  const keys = Array.from({ length: 1_000 }, newIdempotencyKey);
  assert.equal(new Set(keys).size, keys.length);
  assert.ok(keys.every((key) => /^[!-~]{1,64}$/.test(key)));
});
