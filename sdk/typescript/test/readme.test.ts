import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

import { CheckoutState, Client, isTillbookError, Money, toUsername, WebStore } from "@tillbook/sdk";
import { WalletService } from "@tillbook/sdk/gen/wallet/v1/wallet_service";

import { join, stranger } from "./people.js";
import { sharedServer } from "./server.js";

const baseUrl = await sharedServer();

/** Collects what the README's code prints. */
class Lines {
  readonly printed: string[] = [];
  readonly log = (...values: unknown[]) => void this.printed.push(values.map(String).join(" "));
}

/** As much of a browser's localStorage as the store uses. */
class MemoryStorage {
  private readonly items = new Map<string, string>();
  getItem = (key: string) => this.items.get(key) ?? null;
  setItem = (key: string, value: string) => void this.items.set(key, value);
  removeItem = (key: string) => void this.items.delete(key);
}

test("What the README shows works", async () => {
  const { username: friend } = await join({ baseUrl });
  const { username: suffix, phoneNumber } = stranger();
  const console = new Lines();
  const storage = new MemoryStorage() as unknown as Storage;
  const askForCode = async () => {
    const sandbox = new Client({ baseUrl }).sandbox;
    return await sandbox.code(phoneNumber);
  };
  const pay = async () => {
    const client = new Client({ baseUrl });
    const challenge = await client.auth.register({ phoneNumber, username: "ada" + suffix, password: "correct horse" });
    await client.auth.verifyPhone(challenge, await askForCode());

    await client.sandbox.fund({ phoneNumber, amount: Money.parse("100 USD") });
    const paid = await client.wallet.transfer({
      recipient: toUsername(friend),
      amount: Money.parse("12.50 USD"),
      note: "Lunch",
    });
    console.log(`${Money.from(paid.balanceAfter).format("en")} left`);
    return client;
  };
  const client = await pay();

  const total = Money.parse("12.50 USD").add(Money.fromUnits(250n, { code: "USD", exponent: 2 }));
  console.log(total.toString(), total.units(2), total.compare(Money.of("20", "USD")) < 0);

  const request = { recipient: toUsername(friend), amount: Money.parse("1000 USD") };
  try {
    await client.wallet.transfer(request);
  } catch (error) {
    if (isTillbookError(error, "INSUFFICIENT_FUNDS")) {
      console.log("Nothing moved: ask for less.");
    } else if (isTillbookError(error, "OUTCOME_UNKNOWN")) {
      await client.wallet.transfer({ ...request, idempotencyKey: error.idempotencyKey }); // At any later time.
    } else if (isTillbookError(error) && error.signedOut) {
      console.log("Ask for the password.");
    } else {
      throw error;
    }
  }

  for await (const { transactionId, amount } of client.wallet.transactions({ asset: "USD" })) {
    console.log(transactionId, Money.from(amount).toString());
  }

  const controller = new AbortController();
  const { signal } = controller;
  const paying = client.wallet.transfer({ recipient: toUsername(friend), amount: Money.parse("7.50 USD") });
  const watching = async () => {
    for await (const { event } of client.wallet.watch({ signal })) {
      if (event.case === "change") {
        console.log("Now", Money.from(event.value.transaction?.balanceAfter).toString());
      }
    }
  };
  setTimeout(() => controller.abort(), 500);
  await assert.rejects(watching(), (error) => isTillbookError(error, "CANCELED"));
  await paying;

  const stayed = new Client({ baseUrl, store: new WebStore("my-shop", storage) });
  await assert.rejects(stayed.auth.me(), (error) => isTillbookError(error) && error.signedOut);

  const wallet = client.service(WalletService);
  const { balances } = await wallet.getWallet({});
  assert.equal(balances[0]?.total?.amount, "80.00");
  await sell(client, console);

  assert.deepEqual(console.printed.slice(0, 3), ["87.50 USD left", "15.00 USD 1500 true", "Nothing moved: ask for less."]);
});

/** Sells to the client until the shop has seen it, since its watch begins when it is connected. */
async function sell(client: Client, console: Lines): Promise<void> {
  await client.sandbox.fund({ phoneNumber: (await client.auth.me()).phoneNumber, amount: Money.parse("10000 USD") });
  const { client: shop } = await join({ baseUrl });
  const { merchantId } = await shop.merchants.create({ name: "Corner Coffee", country: "KE", city: "Nairobi" });
  const { storeId } = await shop.merchants.createStore({ merchantId, name: "Main Street" });
  const controller = new AbortController();
  const { signal } = controller;
  const watching = async () => {
    for await (const { event } of shop.merchants.watch(merchantId, { signal })) {
      if (event.case === "checkout" && event.value.state === CheckoutState.SUCCEEDED) {
        console.log(`${Money.from(event.value.payment?.total)} from ${event.value.payment?.maskedCustomer}`);
      }
    }
  };
  const ended = assert.rejects(watching(), (error) => isTillbookError(error, "CANCELED"));
  while (!console.printed.some((line) => line.startsWith("9.20 USD from "))) {
    const checkout = await shop.merchants.createCheckout({ merchantId, storeId, amount: Money.parse("8.40 USD"), tipOptions: { allowed: true } });
    await client.wallet.payCheckout({ checkoutId: checkout.checkoutId, tip: Money.parse("0.80 USD") });
  }
  controller.abort();
  await ended;
}

test("The README shows nothing else", async () => {
  const folder = new URL("../", import.meta.url);
  const readme = await readFile(new URL("README.md", folder), "utf8");
  const source = await readFile(new URL("test/readme.test.ts", folder), "utf8");
  const lines = new Set(source.split("\n").map((line) => line.trim()));
  const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code = ""]) => code);
  assert.ok(blocks.length >= 6);
  for (const line of blocks.join("").split("\n")) {
    assert.ok(lines.has(line.trim()) || line.trim() === "", line);
  }
});
