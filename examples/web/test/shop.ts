import assert from "node:assert/strict";
import { test } from "node:test";

import { film } from "./camera.js";
import { addMoney, cutOff, findOut, hasBalance, register, stranger } from "./people.js";
import { DARK_DESKTOP, DARK_PHONE, DESKTOP, type Device, PHONE, Visitor } from "./stage.js";

/** The customer's device, and the shop's. */
const PAIRS: readonly (readonly [customer: Device, shop: Device])[] = [
  [PHONE, DESKTOP],
  [DARK_DESKTOP, DARK_PHONE],
];

/** What customers and shops do together. There is one camera, so they do it one after the other. */
export function playShop(): void {
  for (const [customer, shop] of PAIRS) {
    test(`a customer on a ${customer.name} pays at a counter on a ${shop.name}`, { timeout: 150_000 }, () => sell(customer, shop));
  }
}

async function sell(customerDevice: Device, shopDevice: Device): Promise<void> {
  const [customer, shop] = await Promise.all([Visitor.come(customerDevice), Visitor.come(shopDevice, "/shop")]);
  await Promise.all([
    register(customer, stranger("cus")).then(() => addMoney(customer)),
    register(shop, stranger("shop")).then(() => openShop(shop)),
  ]);
  await refuse(customer, shop);
  await payByPicture(customer, shop);
  await giveBack(customer, shop);
  await report(shop);
  await Promise.all([customer.leave(), shop.leave()]);
}

async function openShop(shop: Visitor): Promise<void> {
  const { page } = shop;
  await page.getByRole("link", { name: "Counter" }).click();
  await page.getByRole("heading", { name: "Open a shop" }).waitFor();
  await page.getByLabel("Name").fill("Corner Coffee");
  await page.getByLabel("Store").fill("Main Street");
  await page.getByLabel("Town").fill("Nairobi");
  await shop.look("10-setup");
  await page.getByRole("button", { name: "Open the shop" }).click();
  await page.getByText("Tap what the customer takes.").waitFor();
}

/** What costs more than the customer has isn't paid, and the shop takes it back. */
async function refuse(customer: Visitor, shop: Visitor): Promise<void> {
  await shop.page.getByRole("textbox", { name: "Something else" }).fill("Grinder");
  await shop.page.getByLabel("Price").fill("249,90");
  await shop.page.getByRole("button", { name: "Add", exact: true }).click();
  await shop.page.getByRole("button", { name: "Charge" }).click();
  const code = (await shop.page.getByTestId("code").textContent()) ?? "";

  await customer.page.getByRole("link", { name: "Pay", exact: true }).click();
  await customer.look("11-pay");
  await customer.page.getByLabel("Or by hand").fill(code);
  await customer.page.getByRole("button", { name: "Find it" }).click();
  await customer.page.getByRole("button", { name: "Pay 249.90 USD" }).click();
  await customer.page.getByRole("alert").getByText("The account hasn't enough available funds.").waitFor();
  await customer.page.getByText("You have 100.00 USD.").waitFor();
  await customer.look("12-refused");

  await shop.page.getByRole("button", { name: "Cancel the sale" }).click();
  await shop.page.getByRole("heading", { name: "Canceled" }).waitFor();
  assert.equal(await isGreen(shop), false);
  await customer.page.getByRole("button", { name: "Pay 249.90 USD" }).click();
  await customer.page.getByRole("alert").getByText(/canceled/i).waitFor();
  await hasNothingMoved(customer);
  await shop.page.getByRole("button", { name: "Next sale" }).click();
}

/** Whether the verdict is on green ground. */
async function isGreen({ page }: Visitor): Promise<boolean> {
  const ground = await page.getByTestId("verdict").evaluate((verdict) => getComputedStyle(verdict).backgroundImage);
  const [red = 0, green = 0, blue = 0] = (/rgb\((\d+), (\d+), (\d+)\)/.exec(ground) ?? []).slice(1).map(Number);
  return green > 1.3 * Math.max(red, blue);
}

async function hasNothingMoved(customer: Visitor): Promise<void> {
  await customer.page.getByRole("link", { name: "Wallet" }).first().click();
  await hasBalance(customer, "100.00");
}

/** The customer reads the code from a picture of the counter, tips, and pays; the counter turns green. */
async function payByPicture(customer: Visitor, shop: Visitor): Promise<void> {
  await shop.page.getByRole("button", { name: /^Flat white/ }).click();
  await shop.page.getByRole("button", { name: /^Flat white/ }).click();
  await shop.page.getByRole("button", { name: /^Croissant/ }).click();
  await shop.look("13-counter");
  await shop.page.getByRole("button", { name: "Charge" }).click();
  await shop.page.getByRole("img", { name: "Code to pay 11.80 USD" }).waitFor();
  await shop.look("14-code");
  const picture = await shop.page.screenshot();

  await customer.page.getByRole("link", { name: "Pay", exact: true }).click();
  await customer.page.getByLabel("From a picture").setInputFiles({ name: "code.png", mimeType: "image/png", buffer: picture });
  await customer.page.getByRole("heading", { name: "Corner Coffee" }).waitFor();
  await customer.page.getByText("Flat white").waitFor();
  await customer.page.getByRole("button", { name: "10 %" }).click();
  assert.equal(await customer.page.getByTestId("total").textContent(), "12.98 USD");
  await customer.look("15-review");
  await customer.page.getByRole("button", { name: "Pay 12.98 USD" }).click();
  await customer.page.getByRole("heading", { name: "Paid" }).waitFor();

  await shop.page.getByTestId("verdict").getByText("12.98").waitFor();
  await shop.page.getByText("1.18 USD of it is your tip").waitFor();
  assert.equal(await isGreen(shop), true);
  await shop.look("16-green");
  await customer.look("17-paid");
  await shop.page.emulateMedia({ media: "print" });
  await shop.print("18-printed");
  await shop.page.emulateMedia({ media: null });
  await customer.page.getByRole("button", { name: "Receipt" }).click();
  await customer.page.getByText(/Sealed in the books as entry/).waitFor();
  await customer.look("19-receipt");
  await customer.page.getByRole("link", { name: "Wallet" }).first().click();
  await hasBalance(customer, "87.02");
}

/** The customer pastes the next sale's text, and then has the camera read its code; the shop gives the money back. The page is opened anew before either is answered. */
async function giveBack(customer: Visitor, shop: Visitor): Promise<void> {
  await shop.page.getByRole("button", { name: "Next sale" }).click();
  await shop.page.getByRole("button", { name: /^Tea/ }).click();
  await shop.page.getByLabel("Ask for a tip").uncheck();
  await shop.page.getByRole("button", { name: "Charge" }).click();
  await shop.page.getByRole("button", { name: "Copy the text" }).click();
  await shop.page.getByRole("button", { name: "Copied" }).waitFor();
  const text = await shop.page.evaluate(() => navigator.clipboard.readText());

  await customer.page.getByRole("link", { name: "Pay", exact: true }).click();
  await customer.page.getByLabel("Or by hand").fill(`${text}\n`);
  await customer.page.getByRole("button", { name: "Find it" }).click();
  await customer.page.getByRole("button", { name: "Pay 3.00 USD" }).waitFor();
  await customer.page.getByRole("button", { name: "Another code" }).click();
  await film(text);
  await customer.page.getByRole("button", { name: "Scan the code" }).click();
  let mend = await cutOff(customer, "WalletService/PayCheckout", "answer", () => customer.page.getByRole("button", { name: "Pay 3.00 USD" }).click());
  await mend();
  await findOut(customer, "It was paid once.");

  await shop.page.getByRole("button", { name: "Give the money back" }).click();
  mend = await cutOff(shop, "MerchantService/RefundCheckout", "answer", () => shop.page.getByRole("button", { name: "Give 3.00 USD back now" }).click());
  await mend();
  await findOut(shop, "It was paid once.");
  await shop.page.getByText("3.00 USD was given back.").waitFor();
  await customer.page.getByRole("link", { name: "Wallet" }).first().click();
  await hasBalance(customer, "87.02");
  await customer.look("20-wallet");
}

/** How tall the chart's tallest bar is, in pixels of a chart of 190. */
function tallestBar({ page }: Visitor): Promise<number> {
  return page.locator(".chart .bar.sales").evaluateAll((bars) => Math.max(0, ...bars.map((bar) => Number(bar.getAttribute("height")))));
}

async function report(shop: Visitor): Promise<void> {
  const { page } = shop;
  await page.getByRole("link", { name: "To the day's report" }).click();
  await page.getByText("15.98 USD").first().waitFor();
  await page.getByRole("link", { name: /2 × Flat white, Croissant/ }).waitFor();
  assert.ok((await tallestBar(shop)) > 100, "the chart shows no sales");
  await shop.look("21-report");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as CSV" }).click()]);
  assert.match(download.suggestedFilename(), /^Corner Coffee .*\.csv$/);
  await page.reload();
  await page.getByText("15.98 USD").first().waitFor();
}
