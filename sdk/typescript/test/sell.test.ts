import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout as delay } from "node:timers/promises";

import { type Checkout, CheckoutState, isTillbookError, Money, newIdempotencyKey, Outcome } from "@tillbook/sdk";

import { Network, Relay } from "./faults.js";
import { has, join, type Person } from "./people.js";
import { sharedServer } from "./server.js";

const baseUrl = await sharedServer();

/** Somebody with a shop. */
interface Seller extends Person {
  readonly merchantId: string;
  readonly storeId: string;
}

/** Opens a shop. */
async function open(person: Person): Promise<Seller> {
  const { merchants } = person.client;
  const { merchantId } = await merchants.create({ name: "Corner Coffee", country: "KE", city: "Nairobi", timeZone: "Africa/Nairobi" });
  const { storeId } = await merchants.createStore({ merchantId, name: "Main Street" });
  return { ...person, merchantId, storeId };
}

/** Returns what a sale of two coffees asks for. */
function coffees({ merchantId, storeId }: Seller) {
  return {
    merchantId,
    storeId,
    amount: Money.parse("8.40 USD"),
    items: [{ name: "Flat white", quantity: 2, unitPrice: Money.parse("4.20 USD") }],
    tipOptions: { allowed: true, percentages: [10] },
  };
}

test("A sale is found by its QR text, paid with a tip, seen at the counter, given back and in the day's report", async () => {
  const seller = await open(await join({ baseUrl }));
  const ada = await join({ baseUrl }, "100 USD");
  const { merchants } = seller.client;
  const made = await merchants.createCheckout(coffees(seller));
  const { checkout } = await ada.client.wallet.checkout({ case: "qrText", value: made.qrText });
  assert.equal(checkout?.checkoutId, made.checkoutId);
  assert.equal(checkout?.merchantName, "Corner Coffee");

  const paid = await ada.client.wallet.payCheckout({ checkoutId: made.checkoutId, tip: Money.parse("0.84 USD") });
  assert.equal(paid.checkout?.state, CheckoutState.SUCCEEDED);
  assert.equal(Money.from(paid.transaction?.amount).toString(), "-9.24 USD");
  const sold = await merchants.checkout(seller.merchantId, made.checkoutId);
  assert.equal(Money.from(sold.payment?.tip).toString(), "0.84 USD");

  const { transactionId } = await merchants.refundCheckout({ ...idsOf(sold), amount: Money.parse("4.20 USD") });
  assert.match(transactionId, /^txn_/);
  assert.equal(await has(ada, "USD"), "94.96");
  const date = new Intl.DateTimeFormat("en-CA", { timeZone: "Africa/Nairobi" }).format(new Date());
  const { totals } = await merchants.dayReport({ merchantId: seller.merchantId, date });
  assert.deepEqual(totals.map(({ count, gross, refunds }) => [count, gross?.amount, refunds?.amount]), [[1, "9.24", "4.20"]]);
  const csv: Uint8Array[] = [];
  for await (const piece of merchants.exportDayReport({ merchantId: seller.merchantId, date })) {
    csv.push(piece);
  }
  assert.ok(Buffer.concat(csv).toString().includes(made.checkoutId));
});

test("A counter whose connection is cut sees each of its sales become paid", async () => {
  const relay = await Relay.to(baseUrl);
  const seller = await open(await join({ baseUrl: relay.url }));
  const near = await join({ baseUrl }, "100 USD");
  const sold: string[] = [];
  const paid: string[] = [];
  const sell = () => seller.client.merchants.createCheckout(coffees(seller));
  const watch = seller.client.merchants.watch(seller.merchantId);
  // The watch begins when it is served, which only a sale after that tells.
  let begun = false;
  const first = watch.next().then(() => (begun = true));
  while (!begun) {
    await sell();
    await Promise.race([first, delay(100)]);
  }
  for (let n = 0; n < 3; n++) {
    const { checkoutId } = await sell();
    sold.push(checkoutId);
    relay.cut();
    await near.client.wallet.payCheckout({ checkoutId });
    for await (const { event } of { [Symbol.asyncIterator]: () => ({ next: () => watch.next() }) }) {
      if (event.case === "checkout" && event.value.state === CheckoutState.SUCCEEDED) {
        paid.push(event.value.checkoutId);
        break;
      }
    }
  }
  assert.deepEqual(paid, sold);
  await watch.return();
  relay.close();
});

test("A payment whose answer is lost is made once, and a canceled sale not at all", async () => {
  const seller = await open(await join({ baseUrl }));
  const network = new Network();
  const ada = await join({ baseUrl, fetch: network.fetch }, "20 USD");
  const made = await seller.client.merchants.createCheckout(coffees(seller));
  network.plan("WalletService/PayCheckout", "lost answer", "lost answer");
  const idempotencyKey = newIdempotencyKey();
  const paid = await ada.client.wallet.payCheckout({ idempotencyKey, checkoutId: made.checkoutId });
  assert.equal(paid.checkout?.state, CheckoutState.SUCCEEDED);
  assert.equal(network.count("WalletService/PayCheckout"), 3);
  assert.equal(await has(ada, "USD"), "11.60");

  const other = await seller.client.merchants.createCheckout(coffees(seller));
  await seller.client.merchants.cancelCheckout(seller.merchantId, other.checkoutId);
  await assert.rejects(ada.client.wallet.payCheckout({ checkoutId: other.checkoutId }), (error) => {
    assert.ok(isTillbookError(error, "CHECKOUT_CLOSED"), String(error));
    assert.equal(error.outcome, Outcome.NOT_EXECUTED);
    return true;
  });
  assert.equal(await has(ada, "USD"), "11.60");
});

test("Merchants, stores and checkouts are listed page after page", async () => {
  const seller = await open(await join({ baseUrl }));
  const made: string[] = [];
  for (let n = 0; n < 3; n++) {
    made.unshift((await seller.client.merchants.createCheckout(coffees(seller))).checkoutId);
  }
  const { merchants } = seller.client;
  const listed = await all(merchants.checkouts({ merchantId: seller.merchantId, pageSize: 2 }));
  assert.deepEqual(listed.map(({ checkoutId }) => checkoutId), made);
  assert.deepEqual((await all(merchants.list())).map(({ merchantId }) => merchantId), [seller.merchantId]);
  assert.deepEqual((await all(merchants.stores(seller.merchantId))).map(({ storeId }) => storeId), [seller.storeId]);
});

function idsOf({ merchantId, checkoutId }: Checkout) {
  return { merchantId, checkoutId };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) {
    list.push(item);
  }
  return list;
}
