import assert from "node:assert/strict";
import test from "node:test";

import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AuthService } from "@tillbook/sdk/gen/auth/v1/auth_service";
import { LedgerService } from "@tillbook/sdk/gen/ledger/v1/ledger_service";
import { MerchantService } from "@tillbook/sdk/gen/merchant/v1/merchant_service";
import { SandboxService } from "@tillbook/sdk/gen/sandbox/v1/sandbox_service";
import { SealService } from "@tillbook/sdk/gen/seal/v1/seal_service";
import { WalletService } from "@tillbook/sdk/gen/wallet/v1/wallet_service";

import { isPublic } from "../dist/policy.js";
import { sharedServer } from "./server.js";

const transport = createConnectTransport({ baseUrl: await sharedServer() });
const services = [AuthService, LedgerService, MerchantService, SandboxService, SealService, WalletService];

/** Calls a procedure with an empty request and no credentials, and returns the code of what comes of it. */
async function probe(method: DescMethod): Promise<Code | undefined> {
  const client = createClient(method.parent, transport) as Record<string, (request: object) => unknown>;
  try {
    const answer = client[method.localName]?.({});
    const stream = answer as AsyncIterable<unknown>;
    if (stream[Symbol.asyncIterator] !== undefined) {
      await stream[Symbol.asyncIterator]().next();
    }
    await answer;
    return undefined;
  } catch (error) {
    return ConnectError.from(error).code;
  }
}

test("Credentials go to the procedures that ask for them and to no other", async () => {
  const methods = services
    .flatMap((service): readonly DescMethod[] => service.methods)
    .filter(({ methodKind }) => methodKind === "unary" || methodKind === "server_streaming"); // What fetch can do.
  assert.ok(methods.length > 40);
  for (const method of methods) {
    const asked = (await probe(method)) === Code.Unauthenticated;
    assert.equal(asked, !isPublic(method), method.toString());
  }
});
