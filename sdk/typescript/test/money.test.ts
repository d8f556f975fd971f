import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import test from "node:test";

import { Money, MoneyError } from "@tillbook/sdk";

const ROUNDS = 2_000;

/** Runs a check on random numbers; whichever fails is named by its seed. */
function property(name: string, check: (random: () => number) => void): void {
  test(name, () => {
    const first = randomInt(2 ** 31);
    for (let seed = first; seed < first + ROUNDS; seed++) {
      try {
        check(mulberry(seed));
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
    }
  });
}

/** A small generator that a seed replays. */
function mulberry(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draws so many units, and how many decimals they have; no sum of three has too many digits. */
function draw(random: () => number): { units: bigint; exponent: number; money: Money } {
  const exponent = Math.floor(random() * 13);
  const digits = Array.from({ length: 1 + Math.floor(random() * 20) }, () => Math.floor(random() * 10));
  const units = BigInt(digits.join("")) * (random() < 0.5 ? -1n : 1n);
  return { units, exponent, money: Money.fromUnits(units, { code: "USD", exponent }) };
}

/** The same amount in the unit that all drawn amounts share. */
function fine({ units, exponent }: { units: bigint; exponent: number }): bigint {
  return units * 10n ** BigInt(12 - exponent);
}

property("What is written is read again, unit for unit", (random) => {
  const { units, exponent, money } = draw(random);
  assert.equal(Money.parse(money.toString()).toString(), money.toString());
  assert.equal(money.units(exponent), units);
  assert.equal(JSON.parse(JSON.stringify({ money })).money, money.toString());
});

property("Sums and differences are those of integers", (random) => {
  const [a, b, c] = [draw(random), draw(random), draw(random)];
  assert.equal(a.money.add(b.money).units(12), fine(a) + fine(b));
  assert.equal(a.money.subtract(b.money).units(12), fine(a) - fine(b));
  assert.ok(a.money.add(b.money).equals(b.money.add(a.money)));
  assert.ok(a.money.add(b.money).add(c.money).equals(a.money.add(b.money.add(c.money))));
  assert.ok(a.money.add(b.money).subtract(b.money).equals(a.money));
  assert.ok(a.money.add(a.money.negate()).equals(Money.zero("USD")));
});

property("Comparison is that of integers, whatever the decimals", (random) => {
  const [a, b] = [draw(random), draw(random)];
  assert.equal(a.money.compare(b.money), fine(a) < fine(b) ? -1 : fine(a) > fine(b) ? 1 : 0);
  assert.equal(a.money.sign(), a.money.compare(Money.zero("USD")));
  assert.equal(a.money.withExponent(12).compare(a.money), 0);
});

test("Amounts keep the decimals that they were written with", () => {
  const cases: [string, string][] = [
    ["12.50 USD", "12.50 USD"],
    ["12.5 USD", "12.5 USD"],
    ["-0.00 USD", "0.00 USD"],
    ["-0.01 USD", "-0.01 USD"],
    ["0.000000000000000001 ETH", "0.000000000000000001 ETH"],
    [`${"9".repeat(38)} IDR`, `${"9".repeat(38)} IDR`],
  ];
  for (const [text, expected] of cases) {
    assert.equal(Money.parse(text).toString(), expected);
  }
  assert.equal(Money.parse("0.1 USD").add(Money.parse("0.2 USD")).amount, "0.3");
});

test("What isn't an exact amount of one asset is refused", () => {
  const nonsense = ["", "12.50", "12.50 usd", "1e3 USD", "+1 USD", ".5 USD", "1. USD", "01 USD", "1,5 USD", "1 USD ", "NaN USD"];
  for (const text of nonsense) {
    assert.throws(() => Money.parse(text), { name: "MoneyError", kind: "syntax" }, text);
  }
  const kinds: [string, () => unknown][] = [
    ["range", () => Money.parse(`${"9".repeat(39)} USD`)],
    ["range", () => Money.parse(`${"9".repeat(38)} USD`).add(Money.parse("1 USD"))],
    ["asset", () => Money.parse("1 USD").add(Money.parse("1 EUR"))],
    ["asset", () => Money.parse("1 USD").compare(Money.parse("1 EUR"))],
    ["precision", () => Money.parse("0.015 USD").units(2)],
    ["syntax", () => Money.from(undefined)],
    ["syntax", () => Money.fromUnits(1n, { code: "USD", exponent: 1.5 })],
  ];
  for (const [kind, attempt] of kinds) {
    assert.throws(attempt, (error) => error instanceof MoneyError && error.kind === kind);
  }
});

test("Floats are refused, also where nobody looks at types", () => {
  const number = 12.5 as never;
  for (const attempt of [
    () => Money.of(number, "USD"),
    () => Money.parse(number),
    () => Money.fromUnits(number, { code: "USD", exponent: 2 }),
    () => Money.parse("1 USD").add(number),
    () => Money.from({ asset: "USD", amount: number }),
  ]) {
    assert.throws(attempt, { name: "MoneyError", kind: "syntax" });
  }
  const money = Money.parse("9.00 USD");
  assert.equal(`${money}`, "9.00 USD");
  assert.throws(() => (money as never) < (Money.parse("10.00 USD") as never), TypeError);
  assert.throws(() => Number(money), TypeError);
});

test("People see amounts as their locale writes them, to the last digit", () => {
  const money = Money.parse("-1234567890123456789.05 EUR");
  assert.equal(money.format("en"), "-1,234,567,890,123,456,789.05 EUR");
  assert.equal(money.format("de"), "-1.234.567.890.123.456.789,05 EUR");
  assert.equal(Money.parse("500 JPY").format("en"), "500 JPY");
});
