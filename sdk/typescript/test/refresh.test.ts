import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Client, type SessionStore } from "@tillbook/sdk";

import { Network } from "./faults.js";
import { join } from "./people.js";
import { ownServer } from "./server.js";

const LIFE_MS = 4_000; // In which even a busy machine makes thirty calls.
const REFRESH = "AuthService/Refresh";
const baseUrl = await ownServer("--access-life", `${LIFE_MS}ms`);

/** Shared by clients that take turns, as the tabs of a browser do. */
class SharedStore implements SessionStore {
  text: string | null = null;
  saves = 0;
  private turn: Promise<unknown> = Promise.resolve();

  load() {
    return this.text;
  }

  save(text: string | null) {
    this.text = text;
    this.saves++;
  }

  lock<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(work);
    this.turn = mine.catch(() => undefined);
    return mine;
  }
}

describe("A session", { concurrency: true }, () => {
  test("Any number of calls on an expired token refresh it once", async () => {
    const network = new Network();
    const store = new SharedStore();
    const unlocked: SessionStore = { load: () => store.load(), save: (text) => store.save(text) };
    const { client } = await join({ baseUrl, fetch: network.fetch, store: unlocked });
    const before = await client.session();
    await sleep(LIFE_MS + 100);
    await Promise.all(Array.from({ length: 30 }, () => client.auth.me()));
    const after = await client.session();
    assert.equal(network.count(REFRESH), 1);
    assert.notEqual(after?.refreshToken, before?.refreshToken);
    assert.equal(after?.deviceToken, before?.deviceToken);
    assert.equal(store.saves, 2);
    assert.ok(store.text?.includes(after?.refreshToken ?? "?"));
  });

  test("A refresh whose answer is lost is repeated with the same token", async () => {
    const network = new Network();
    const { client, username } = await join({ baseUrl, fetch: network.fetch });
    await sleep(LIFE_MS + 100);
    network.plan(REFRESH, "lost answer");
    assert.equal((await client.auth.me()).username, username);
    assert.equal(network.count(REFRESH), 2);
  });

  test("A session that can't be refreshed now isn't lost", async () => {
    const network = new Network();
    const { client, username } = await join({ baseUrl, fetch: network.fetch, retries: 0 });
    await sleep(LIFE_MS + 100);
    network.plan(REFRESH, "unreachable");
    await assert.rejects(client.auth.me(), { reason: "UNAVAILABLE", maybeSent: false });
    assert.equal((await client.auth.me()).username, username);
  });

  test("Clients that share a store don't end each other's session", async () => {
    const store = new SharedStore();
    const one = new Network();
    const { client, username } = await join({ baseUrl, store, fetch: one.fetch });
    const two = new Network();
    const other = new Client({ baseUrl, store, fetch: two.fetch });
    await other.auth.me(); // A token that is soon over is replaced meanwhile.
    await sleep(LIFE_MS + 1_000);
    const before = one.count(REFRESH) + two.count(REFRESH);
    const [mine, theirs] = await Promise.all([client.auth.me(), other.auth.me()]);
    assert.deepEqual([mine.username, theirs.username], [username, username]);
    assert.equal(one.count(REFRESH) + two.count(REFRESH) - before, 1);
  });

  test("A restored session whose token has expired is refreshed before it is used", async () => {
    const store = new SharedStore();
    const { username } = await join({ baseUrl, store });
    await sleep(LIFE_MS + 100);
    const network = new Network();
    const next = new Client({ baseUrl, store, fetch: network.fetch });
    assert.equal((await next.auth.me()).username, username);
    assert.deepEqual([network.count(REFRESH), network.count("AuthService/GetMe")], [1, 1]);
  });

  test("A closed client doesn't refresh", async () => {
    const { client } = await join({ baseUrl });
    await sleep(LIFE_MS + 100);
    client.close();
    await assert.rejects(client.auth.me(), { reason: "CANCELED" });
  });
});
