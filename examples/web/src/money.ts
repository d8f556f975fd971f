import { type AssetScale, Money } from "@tillbook/sdk";

/** What a field for an amount was filled in with: an amount, nothing, or something else. */
export type Typed = Money | "empty" | "wrong";

/** Reads what a person typed, with a point or a comma before the decimals. */
export function readAmount(text: string, asset: string): Typed {
  const trimmed = text.replace(/[\s\u00a0\u202f]/g, "");
  if (trimmed === "") {
    return "empty";
  }
  const plain = /^[0-9]*,[0-9]+$/.test(trimmed) ? trimmed.replace(",", ".") : trimmed;
  const decimal = plain.replace(/^0+(?=[0-9])/, "").replace(/^\./, "0.").replace(/\.$/, "");
  return /^[0-9]{1,30}(\.[0-9]{1,18})?$/.test(decimal) ? Money.of(decimal, asset) : "wrong";
}

/** How many decimals an amount is written with. The server writes all that its asset has. */
export function scaleOf(money: Money): number {
  return money.amount.split(".")[1]?.length ?? 0;
}

/** Returns so many times an amount. */
export function times(money: Money, factor: number): Money {
  const scale = scaleOf(money);
  return Money.fromUnits(money.units(scale) * BigInt(factor), { code: money.asset, exponent: scale });
}

/** Returns a whole percentage of an amount, rounded half up to its last decimal. */
export function percentOf(money: Money, percent: number): Money {
  const scale = scaleOf(money);
  const units = (money.units(scale) * BigInt(percent) + 50n) / 100n;
  return Money.fromUnits(units, { code: money.asset, exponent: scale });
}

/** Adds up; nothing adds up to zero. */
export function sum(asset: string, amounts: Iterable<Money>): Money {
  let total = Money.zero(asset);
  for (const amount of amounts) {
    total = total.add(amount);
  }
  return total;
}

/** How large a part is of a whole, for drawing only: 0 to 1,000. */
export function perMille(part: Money, whole: Money): number {
  const scale = Math.max(scaleOf(part), scaleOf(whole));
  const all = whole.units(scale);
  return all <= 0n ? 0 : Number((part.units(scale) * 1000n) / all);
}

/** The currencies that shops can choose from. */
export const CURRENCIES: readonly AssetScale[] = [
  { code: "USD", exponent: 2 },
  { code: "EUR", exponent: 2 },
  { code: "CAD", exponent: 2 },
  { code: "GHS", exponent: 2 },
  { code: "HKD", exponent: 2 },
  { code: "IDR", exponent: 2 },
  { code: "JPY", exponent: 0 },
  { code: "KES", exponent: 2 },
  { code: "MYR", exponent: 2 },
  { code: "NGN", exponent: 2 },
];

/** How many decimals a currency has. */
export function exponentOf(code: string): number {
  return CURRENCIES.find((currency) => currency.code === code)?.exponent ?? 2;
}
