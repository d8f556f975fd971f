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

/** Takes a hundred dollars from the sandbox. */
export async function addMoney(visitor: Visitor): Promise<void> {
  await visitor.page.getByRole("button", { name: "Add money" }).click();
  await hasBalance(visitor, "100.00");
}
