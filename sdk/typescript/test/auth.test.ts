import assert from "node:assert/strict";
import test from "node:test";

import { Client, type SessionStore, TillbookError } from "@tillbook/sdk";

import { Network } from "./faults.js";
import { join, PASSWORD, stranger } from "./people.js";
import { sharedServer } from "./server.js";

const baseUrl = await sharedServer();

/** Keeps the session in memory, for as many clients as like. */
class Memory implements SessionStore {
  text: string | null = null;
  load = async () => this.text;
  save = async (text: string | null) => void (this.text = text);
}

/** Returns a check that an error has a reason. */
function reason(expected: string) {
  return (error: unknown) => error instanceof TillbookError && (assert.equal(error.reason, expected), true);
}

test("Without a session, a call fails before it leaves", async () => {
  const network = new Network();
  const client = new Client({ baseUrl, fetch: network.fetch });
  await assert.rejects(client.auth.me(), (error) => reason("UNAUTHENTICATED")(error) && (error as TillbookError).signedOut);
  assert.equal(network.count(""), 0);
});

test("A wrong code is refused, and the right one taken", async () => {
  const client = new Client({ baseUrl });
  const { username, phoneNumber } = stranger();
  const challenge = await client.auth.register({ phoneNumber, username, password: PASSWORD });
  const code = await client.sandbox.code(phoneNumber);
  const wrong = code === "000000" ? "000001" : "000000";
  await assert.rejects(client.auth.verifyPhone(challenge, wrong), reason("CODE_INVALID"));
  const user = await client.auth.verifyPhone(challenge, code);
  assert.equal(user.username, username);
  assert.equal((await client.auth.me()).userId, user.userId);
});

test("Waits that the server asks for and that are long are left to the caller", async () => {
  const client = new Client({ baseUrl });
  const { username, phoneNumber } = stranger();
  const challenge = await client.auth.register({ phoneNumber, username, password: PASSWORD });
  const began = Date.now();
  await assert.rejects(client.auth.resendCode(challenge), (error) => {
    assert.ok(reason("RATE_LIMITED")(error));
    assert.ok((error as TillbookError).retryAfterMs > 20_000);
    return true;
  });
  assert.ok(Date.now() - began < 10_000);
});

test("A device that was verified signs in at once, another one with a code", async () => {
  const { client, phoneNumber } = await join({ baseUrl });
  await client.auth.logout();
  await assert.rejects(client.auth.me(), reason("UNAUTHENTICATED"));
  assert.equal(await client.auth.login({ phoneNumber, password: PASSWORD }), undefined);
  await client.auth.me();

  const other = new Client({ baseUrl });
  const challenge = await other.auth.login({ phoneNumber, password: PASSWORD });
  assert.ok(challenge !== undefined);
  await other.auth.verifyLogin(challenge, await client.sandbox.code(phoneNumber));
  const sessions = [];
  for await (const session of other.auth.sessions()) {
    sessions.push(session);
  }
  assert.deepEqual(sessions.map(({ current }) => current), [true, false]);
});

test("A revoked session ends every call until somebody signs in", async () => {
  const { client, phoneNumber } = await join({ baseUrl });
  const session = await client.session();
  await client.auth.revokeSession(session?.sessionId ?? "");
  await assert.rejects(client.auth.me(), reason("SESSION_REVOKED"));
  await assert.rejects(client.wallet.balances(), reason("SESSION_REVOKED"));
  const challenge = await client.auth.login({ phoneNumber, password: PASSWORD });
  assert.ok(challenge !== undefined, "the device must verify a code");
});

test("A store keeps the session for the next client", async () => {
  const store = new Memory();
  const { client, username } = await join({ baseUrl, store });
  const next = new Client({ baseUrl, store });
  assert.equal((await next.auth.me()).username, username);
  await client.auth.logout();
  assert.match(store.text ?? "", /"deviceToken"/);
  assert.doesNotMatch(store.text ?? "", /accessToken|refreshToken/);
});

test("A session that ends leaves alone what another client began in the same store", async () => {
  const store = new Memory();
  const { client, phoneNumber } = await join({ baseUrl, store });
  const other = new Client({ baseUrl, store });
  await other.auth.me();
  await client.auth.logout();
  await client.auth.login({ phoneNumber, password: PASSWORD });
  const begun = store.text;
  await assert.rejects(other.auth.me(), reason("SESSION_REVOKED"));
  assert.equal(store.text, begun);
  await client.auth.me();
});

test("A store that fails is told of at sign-in, and what it holds may be nonsense", async () => {
  const broken: SessionStore = {
    load: () => "nonsense",
    save: () => Promise.reject(new Error("the disk is full")),
  };
  const client = new Client({ baseUrl, store: broken });
  const { username, phoneNumber } = stranger();
  const challenge = await client.auth.register({ phoneNumber, username, password: PASSWORD });
  await assert.rejects(client.auth.verifyPhone(challenge, await client.sandbox.code(phoneNumber)), /disk is full/);
  assert.equal((await client.auth.me()).username, username);
});

test("A sign-in that may have arrived is sent once, and one that never left again", async () => {
  const network = new Network();
  const { phoneNumber } = await join({ baseUrl });
  const client = new Client({ baseUrl, fetch: network.fetch });
  network.plan("AuthService/Login", "lost answer");
  await assert.rejects(client.auth.login({ phoneNumber, password: PASSWORD }), reason("UNAVAILABLE"));
  assert.equal(network.count("AuthService/Login"), 1);
  network.plan("AuthService/Login", "unreachable", "unreachable");
  assert.ok((await client.auth.login({ phoneNumber, password: PASSWORD })) !== undefined);
  assert.equal(network.count("AuthService/Login"), 2);
});

test("Errors never show tokens", async () => {
  const network = new Network();
  const { client } = await join({ baseUrl, fetch: network.fetch, retries: 0 });
  const token = (await client.session())?.accessToken ?? "";
  network.plan("WalletService/GetWallet", "lost request");
  await assert.rejects(client.wallet.balances(), (error) => {
    assert.ok(token !== "" && !`${String(error)} ${JSON.stringify(error)}`.includes(token));
    return true;
  });
});
