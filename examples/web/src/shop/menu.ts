import { Money } from "@tillbook/sdk";

import { exponentOf } from "../money.js";

/** Something that is sold at a price. */
export interface Good {
  readonly name: string;
  readonly price: Money;
}

/** What a shop begins with; prices in hundredths of a dollar. */
const STARTERS: readonly (readonly [name: string, cents: bigint])[] = [
  ["Espresso", 280n],
  ["Flat white", 420n],
  ["Cappuccino", 390n],
  ["Tea", 300n],
  ["Croissant", 340n],
  ["Banana bread", 450n],
  ["Sandwich", 850n],
  ["Orange juice", 500n],
];

/** Roughly how many of a currency a dollar is, so that the examples' prices look right. */
const WORTH: Readonly<Record<string, bigint>> = { GHS: 12n, HKD: 8n, IDR: 16000n, JPY: 150n, KES: 130n, MYR: 4n, NGN: 1500n };

/** Returns the shop's goods: those that were kept, else the starters. */
export function readMenu(merchantId: string, currency: string): Good[] {
  const kept = localStorage.getItem(menuKey(merchantId, currency));
  if (kept === null) {
    return STARTERS.map(([name, cents]) => ({ name, price: starterPrice(cents, currency) }));
  }
  const goods = JSON.parse(kept) as { name: string; price: string }[];
  return goods.map(({ name, price }) => ({ name, price: Money.parse(price) }));
}

/** Keeps the shop's goods in this browser. */
export function writeMenu(merchantId: string, currency: string, goods: readonly Good[]): void {
  localStorage.setItem(menuKey(merchantId, currency), JSON.stringify(goods));
}

/** Returns the currency in which the shop sells. */
export function readCurrency(merchantId: string): string {
  return localStorage.getItem(`tillbook.currency.${merchantId}`) ?? "USD";
}

/** Keeps the currency in which the shop sells in this browser. */
export function writeCurrency(merchantId: string, currency: string): void {
  localStorage.setItem(`tillbook.currency.${merchantId}`, currency);
}

function menuKey(merchantId: string, currency: string): string {
  return `tillbook.menu.${merchantId}.${currency}`;
}

function starterPrice(cents: bigint, currency: string): Money {
  const exponent = exponentOf(currency);
  const units = cents * (WORTH[currency] ?? 1n);
  return Money.fromUnits(exponent === 0 ? units / 100n : units, { code: currency, exponent });
}
