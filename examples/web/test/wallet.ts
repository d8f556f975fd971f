import { test } from "node:test";

import { addMoney, hasBalance, PASSWORD, register, stranger } from "./people.js";
import { DARK_PHONE, DESKTOP, type Device, Visitor } from "./stage.js";

/** What people do with their wallets. */
export function playWallet(): void {
  for (const device of [DARK_PHONE, DESKTOP]) {
    test(`money is seen to move on a ${device.name}`, { timeout: 150_000 }, () => moveMoney(device));
  }
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
