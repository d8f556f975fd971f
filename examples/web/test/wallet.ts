import assert from "node:assert/strict";
import { test } from "node:test";

import type { Page } from "playwright-core";

import { addMoney, cutOff, findOut, hasBalance, PASSWORD, register, stranger } from "./people.js";
import { DARK_PHONE, DESKTOP, type Device, PHONE, Visitor } from "./stage.js";

/** What people do with their wallets. */
export function playWallet(): void {
  for (const device of [DARK_PHONE, DESKTOP]) {
    test(`money is seen to move on a ${device.name}`, { timeout: 150_000 }, () => moveMoney(device));
  }
  test("money moves once though the page is opened anew before the answer", { timeout: 150_000 }, loseAnswers);
}

async function moveMoney(device: Device): Promise<void> {
  const [ada, ben] = [stranger("ada"), stranger("ben")];
  const [here, there] = await Promise.all([Visitor.come(device), Visitor.come(device)]);
  const { page } = here;

  await page.getByRole("heading", { name: "Open a wallet" }).waitFor();
  await here.look("1-welcome");
  await page.getByRole("button", { name: "Send me a code" }).click();
  await page.locator("[aria-invalid=true]").first().waitFor();
  await Promise.all([register(here, ada), register(there, ben)]);
  await page.getByText("Nothing has moved yet").waitFor();
  await here.look("2-empty");
  await addMoney(here);

  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByLabel("To").fill(ben.username);
  await page.getByLabel("Amount").fill("1000");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("button", { name: "Send 1,000 USD" }).click();
  await page.getByRole("alert").getByText("The account hasn't enough available funds.").waitFor();
  await here.look("3-refused");
  await page.getByRole("button", { name: "Change it" }).click();
  await page.getByLabel("Amount").fill("12,5");
  await page.getByLabel("Note").fill("Lunch");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("button", { name: "Send 12.5 USD" }).click();
  await page.getByRole("heading", { name: "Sent" }).waitFor();
  await here.look("4-sent");

  await hasBalance(there, "12.50");
  await there.page.getByText("Received · Lunch").waitFor();
  await there.look("5-received");

  await page.getByRole("button", { name: "Receipt" }).click();
  await page.getByText(/Sealed in the books as entry/).waitFor();
  await here.look("6-receipt");

  await page.getByRole("link", { name: "Wallet" }).first().click();
  await page.reload();
  await hasBalance(here, "87.50");
  await here.look("7-wallet");

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Phone number").fill(ada.phoneNumber);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).first().click();
  await hasBalance(here, "87.50");
  await Promise.all([here.leave(), there.leave()]);
}

async function loseAnswers(): Promise<void> {
  const [ada, ben] = [stranger("ada"), stranger("ben")];
  const [here, there] = await Promise.all([Visitor.come(PHONE), Visitor.come(PHONE)]);
  const { page } = here;
  await Promise.all([register(here, ada), register(there, ben)]);
  await addMoney(here);
  const transfer = "WalletService/Transfer";
  const other = await page.context().newPage();
  await other.goto("/send");
  await prepare(other, ben.username, "12.50");
  await page.getByRole("button", { name: "Send", exact: true }).click();

  let mend = await cutOff(here, transfer, "answer", () => prepare(page, ben.username, "12.50").then((button) => button.click()));
  await page.getByRole("heading", { name: "Was it paid?" }).waitFor();
  assert.equal(await page.getByLabel("Amount").count(), 0);
  await mend();
  await here.look("8-unfinished");
  await page.getByRole("link", { name: "Pay", exact: true }).click();
  assert.equal(await page.getByLabel("Or by hand").count(), 0);
  await page.getByRole("link", { name: "Wallet" }).first().click();
  await hasBalance(here, "87.50");

  // Another tab, ready to send the same, finds out first, too.
  await other.getByRole("button", { name: "Send 12.50 USD" }).click();
  await other.getByText("It was paid once.").waitFor();
  await other.close();
  await findOut(here, "It was paid once.");
  await hasBalance(here, "87.50");

  const again = async (amount: string) => {
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await (await prepare(page, ben.username, amount)).click();
  };
  mend = await cutOff(here, transfer, "request", () => again("7.50"));
  await mend();
  await findOut(here, "It was paid once.");
  await page.getByRole("link", { name: "Wallet" }).first().click();
  await hasBalance(here, "80.00");
  mend = await cutOff(here, transfer, "request", () => again("1000"));
  await mend();
  await findOut(here, "Nothing moved.");
  await page.getByRole("link", { name: "Wallet" }).first().click();

  // What is refused for another reason tells nothing of the first try: a person may.
  mend = await cutOff(here, transfer, "request", () => again("0.001"));
  await mend();
  const name = await page.evaluate(() => Object.keys(localStorage).find((name) => name.includes("unsettled")) ?? "");
  await page.getByRole("button", { name: "Find out" }).click();
  await page.getByRole("button", { name: "I looked in my wallet: forget it" }).click();
  await page.getByRole("heading", { name: "Send money" }).waitFor();

  await fillUp(page);
  await (await prepare(page, ben.username, "5.00")).click();
  await page.getByText("This browser has no room left").waitFor();
  await page.evaluate(() => localStorage.removeItem("full"));
  await page.getByRole("button", { name: "Send 5.00 USD" }).click();
  await page.getByRole("heading", { name: "Sent" }).waitFor();
  await page.getByRole("link", { name: "Wallet" }).first().click();
  await Promise.all([hasBalance(here, "75.00"), hasBalance(there, "25.00")]);
  const entries = NONSENSE.map((text, n) => [name.replace(/[^.]+$/, String(n)), text] as const);
  await page.evaluate((entries) => entries.forEach(([name, text]) => localStorage.setItem(name, text)), entries);
  await forgetAll(await page.context().newPage(), NONSENSE.length);
  await Promise.all([here.leave(), there.leave()]);
}

/** Leaves the storage no room. */
async function fillUp(page: Page): Promise<void> {
  await page.evaluate(() => {
    for (let n = 4 << 20; n >= 16; n /= 2) {
      try {
        localStorage.setItem("full", (localStorage.getItem("full") ?? "") + "x".repeat(n));
      } catch {
        // Half of it may fit.
      }
    }
  });
}

/** Lets go of as many payments as there are, which nothing settles. */
async function forgetAll(page: Page, many: number): Promise<void> {
  await page.goto("/send");
  for (let left = many; left > 0; left--) {
    await page.getByRole("button", { name: "forget it" }).nth(left - 1).click();
  }
  await page.getByRole("heading", { name: "Send money" }).waitFor();
}

/** What the page can't make sense of under the names of payments. */
const NONSENSE = [
  "{",
  "null",
  '{"call": "transfer", "request": {"idempotencyKey": "of another name"}, "words": "Nothing"}',
  '{"call": "of tomorrow", "request": {"idempotencyKey": "3"}, "words": "1.00 USD to <b>somebody</b>"}',
  '{"call": "transfer", "request": {"idempotencyKey": "4", "amount": 5}, "words": "Much"}',
];

/** Fills in what is to be sent and returns the button that sends it. */
async function prepare(page: Page, to: string, amount: string) {
  await page.getByLabel("To").fill(to);
  await page.getByLabel("Amount").fill(amount);
  await page.getByRole("button", { name: "Go on" }).click();
  const button = page.getByRole("button", { name: /^Send [0-9]/ });
  await button.waitFor();
  return button;
}
