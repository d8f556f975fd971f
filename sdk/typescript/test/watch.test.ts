import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Client, Money, resuming, toUsername, type WalletEvent } from "@tillbook/sdk";
import { WalletService } from "@tillbook/sdk/gen/wallet/v1/wallet_service";

import { Network, Relay } from "./faults.js";
import { join, type Person } from "./people.js";
import { ownServer } from "./server.js";

// Streams move every second, and tokens expire every two.
const baseUrl = await ownServer("--stream-age", "1s", "--access-life", "2s");

/** Pays a dollar for each number from first to last, one after the other. */
async function pay(payer: Person, shop: Person, first: number, last: number, pauseMs = 0): Promise<void> {
  for (let n = first; n <= last; n++) {
    await payer.client.wallet.transfer({
      recipient: toUsername(shop.username),
      amount: Money.parse("1 USD"),
      note: String(n),
    });
    await sleep(pauseMs);
  }
}

/** Reads changes, each of which must be the next, until the last one came. */
async function follow(events: AsyncIterable<WalletEvent>, last: number, seen: (n: number) => void): Promise<void> {
  let n = 0;
  for await (const { event } of events) {
    if (event.case === "snapshot") {
      assert.equal(n, 0, "the snapshot came again");
      seen(0);
    } else if (event.case === "change") {
      n++;
      assert.equal(event.value.transaction?.note, String(n));
      assert.equal(event.value.transaction?.balanceAfter?.amount, `${n}.00`);
      seen(n);
    }
    if (n === last) {
      return;
    }
  }
}

describe("Watching", { concurrency: true }, () => {
  test("A watch goes on where it was when its connection is cut, and misses and repeats nothing", async () => {
    const relay = await Relay.to(baseUrl);
    const network = new Network();
    const payer = await join({ baseUrl }, "100 USD");
    const shop = await join({ baseUrl: relay.url, fetch: network.fetch });
    let paying = Promise.resolve();
    let cuts = 0;
    await follow(shop.client.wallet.watch(), 40, (n) => {
      if (n % 10 === 5) {
        cuts++;
        relay.cut();
      } else if (n % 10 === 0 && n < 40) {
        paying = paying.then(() => pay(payer, shop, n + 1, n + 10)); // Seen by a stream after the cut.
      }
    });
    await paying;
    relay.close();
    assert.equal(cuts, 4);
    assert.ok(network.count("WalletService/WatchWallet") >= cuts);
  });

  test("A watch outlives its token and moves when the server asks it to", async () => {
    const network = new Network();
    const payer = await join({ baseUrl }, "100 USD");
    const shop = await join({ baseUrl, fetch: network.fetch });
    const paying = sleep(100).then(() => pay(payer, shop, 1, 7, 500));
    await follow(shop.client.wallet.watch(), 7, () => undefined);
    await paying;
    assert.ok(network.count("WalletService/WatchWallet") > 2);
  });

  test("A kept resume token goes on in another client", async () => {
    const payer = await join({ baseUrl }, "100 USD");
    const shop = await join({ baseUrl });
    const watch = shop.client.wallet.watch();
    const snapshot = (await watch.next()).value;
    await watch.return();
    assert.equal(snapshot?.event.case, "snapshot");
    await pay(payer, shop, 1, 3);
    await follow(shop.client.wallet.watch({ resumeToken: snapshot?.resumeToken }), 3, () => undefined);
  });

  test("A watch that is aborted says so, and one whose token is nonsense ends at once", async () => {
    const { client } = await join({ baseUrl });
    const caller = new AbortController();
    const watch = client.wallet.watch({ signal: caller.signal });
    assert.equal((await watch.next()).value?.event.case, "snapshot");
    const next = watch.next();
    caller.abort();
    await assert.rejects(next, { reason: "CANCELED" });
    await assert.rejects(client.wallet.watch({ resumeToken: "nonsense" }).next(), { reason: "RESUME_TOKEN_INVALID" });
  });

  test("A watch ends when its session is revoked, or when there is none", async () => {
    const { client } = await join({ baseUrl });
    const watch = client.wallet.watch();
    await watch.next();
    await client.auth.revokeSession((await client.session())?.sessionId ?? "");
    await assert.rejects(watch.next(), { reason: "SESSION_REVOKED", procedure: "WalletService/WatchWallet" });
    await assert.rejects(new Client({ baseUrl }).wallet.watch().next(), { reason: "UNAUTHENTICATED" });
  });

  test("A watch waits for a server that is away", async () => {
    const network = new Network();
    const { client } = await join({ baseUrl, fetch: network.fetch });
    network.plan("WalletService/WatchWallet", "unreachable", "bad gateway", "lost request");
    const event = (await client.wallet.watch().next()).value;
    assert.equal(event?.event.case, "snapshot");
    assert.ok(network.count("WalletService/WatchWallet") >= 3);
  });

  test("Streams of any service can be followed", async () => {
    const { client } = await join({ baseUrl });
    const wallet = client.service(WalletService);
    for await (const event of resuming((resumeToken, signal) => wallet.watchWallet({ resumeToken }, { signal }))) {
      assert.equal(event.event.case, "snapshot");
      break;
    }
  });
});
