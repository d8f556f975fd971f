import assert from "node:assert/strict";

import type { Visitor } from "./stage.js";

export const PASSWORD = "correct horse battery";

let people = 0;

/** A name and a number that nobody has. */
export interface Identity {
  readonly username: string;
  readonly phoneNumber: string;
}

/** Returns a new one. */
export function stranger(name: string): Identity {
  people++;
  return { username: `${name}${people}`, phoneNumber: `+2547120000${String(people).padStart(2, "0")}` };
}

/** Registers with the code that the page shows in a sandbox. */
export async function register({ page }: Visitor, { username, phoneNumber }: Identity): Promise<void> {
  await page.getByLabel("Phone number").fill(phoneNumber);
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Send me a code" }).click();
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByRole("button", { name: "Open my wallet" }).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
}

/** Waits until the wallet says so. */
export async function hasBalance({ page }: Visitor, amount: string): Promise<void> {
  await page.getByTestId("balance").getByText(amount, { exact: true }).waitFor();
}

/**
 * Loses what comes back of a call from now on, or what goes there, too; and opens the
 * page anew as soon as the first is lost. It returns what ends that.
 */
export async function cutOff({ page }: Visitor, call: string, lost: "answer" | "request", press: () => Promise<void>): Promise<() => Promise<void>> {
  let tell = () => {};
  const first = new Promise<void>((resolve) => (tell = resolve));
  await page.route(`**/*${call}`, async (route) => {
    if (lost === "answer") {
      await route.fetch();
    }
    tell();
    await route.abort().catch(() => undefined); // The page may be gone.
  });
  await press();
  await first;
  await page.reload();
  return async () => {
    // It has asked, and asks no more by itself.
    await page.locator(".unfinished .notice").getByText("The server can't be reached. Check your connection, and try again.").waitFor();
    await page.unroute(`**/*${call}`);
  };
}

/** Finds out what became of what was cut off, and goes on. */
export async function findOut({ page }: Visitor, outcome: "It was paid once." | "Nothing moved."): Promise<void> {
  await page.getByRole("button", { name: "Find out" }).click();
  await page.getByText(outcome).waitFor();
  await page.getByRole("button", { name: "Go on" }).click();
  await page.locator(".unfinished").waitFor({ state: "detached" });
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((name) => name.includes("unsettled"))), []);
}

/** Takes a hundred dollars from the sandbox. */
export async function addMoney(visitor: Visitor): Promise<void> {
  await visitor.page.getByRole("button", { name: "Add money" }).click();
  await hasBalance(visitor, "100.00");
}
