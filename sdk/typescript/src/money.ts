/**
 * An exact amount of one asset, such as 12.50 USD. It is an immutable value; no
 * operation rounds, none mixes assets, and none takes or gives a float.
 *
 * It keeps the number of decimals that it was written with, so that what the
 * server says is shown as it says it. {@link Money.compare} looks at the value
 * alone.
 *
 * Requests take a Money wherever the API has an amount.
 */
export class Money {
  /** The code of the asset, such as "USD". */
  readonly asset: string;
  /** The amount as a decimal, such as "12.50". */
  readonly amount: string;

  private constructor(asset: string, units: bigint, scale: number) {
    this.asset = asset;
    this.amount = formatDecimal(units, scale);
    if (countDigits(this.amount) > MAX_DIGITS) {
      throw new MoneyError("range", `an amount has at most ${MAX_DIGITS} digits`);
    }
  }

  /** Returns an amount, such as "12.50", of an asset, such as "USD". */
  static of(amount: string, asset: string): Money {
    if (typeof asset !== "string" || !ASSET.test(asset)) {
      throw new MoneyError("syntax", `${show(asset)} is not an asset code such as "USD"`);
    }
    if (typeof amount !== "string" || !AMOUNT.test(amount)) {
      throw new MoneyError("syntax", `${show(amount)} is not a decimal in a string such as "12.50"`);
    }
    const { units, scale } = parseDecimal(amount);
    return new Money(asset, units, scale);
  }

  /** Reads what toString writes: "12.50 USD". */
  static parse(text: string): Money {
    const [amount, asset, ...rest] = typeof text === "string" ? text.split(" ") : [];
    if (amount === undefined || asset === undefined || rest.length > 0) {
      throw new MoneyError("syntax", `${show(text)} is not an amount and an asset such as "12.50 USD"`);
    }
    return Money.of(amount, asset);
  }

  /**
   * Reads the amount that a message holds. None is an error: an amount that is
   * missing is not an amount of zero.
   */
  static from(message: { readonly asset: string; readonly amount: string } | undefined): Money {
    if (message === undefined) {
      throw new MoneyError("syntax", "the message holds no amount");
    }
    return Money.of(message.amount, message.asset);
  }

  /** Returns so many of an asset's smallest unit: cents, satoshis, wei. */
  static fromUnits(units: bigint, asset: AssetScale): Money {
    if (typeof units !== "bigint") {
      throw new MoneyError("syntax", `${show(units)} is not a bigint`);
    }
    checkExponent(asset.exponent);
    return new Money(Money.of("0", asset.code).asset, units, asset.exponent);
  }

  /** Returns nothing of an asset, to begin a sum with. */
  static zero(asset: string): Money {
    return Money.of("0", asset);
  }

  /** Returns the sum; it fails with a {@link MoneyError} for different assets. */
  add(other: Money): Money {
    const { mine, theirs, scale } = this.align(other);
    return new Money(this.asset, mine + theirs, scale);
  }

  /** Returns the difference, and fails as add does. */
  subtract(other: Money): Money {
    const { mine, theirs, scale } = this.align(other);
    return new Money(this.asset, mine - theirs, scale);
  }

  /** Returns the amount with the opposite sign. */
  negate(): Money {
    const { units, scale } = parseDecimal(this.amount);
    return new Money(this.asset, -units, scale);
  }

  /**
   * Returns -1, 0 or 1 as this is less than, equal to or greater than the other,
   * however many decimals they are written with. It fails for different assets.
   */
  compare(other: Money): -1 | 0 | 1 {
    const { mine, theirs } = this.align(other);
    return mine < theirs ? -1 : mine > theirs ? 1 : 0;
  }

  /** Whether both are the same amount of the same asset. */
  equals(other: Money): boolean {
    return this.asset === other.asset && this.compare(other) === 0;
  }

  /** Returns -1, 0 or 1 as the amount is negative, zero or positive. */
  sign(): -1 | 0 | 1 {
    const { units } = parseDecimal(this.amount);
    return units < 0n ? -1 : units > 0n ? 1 : 0;
  }

  /**
   * Returns the amount in the smallest unit of an asset with so many decimals.
   * It fails if that would lose some.
   */
  units(exponent: number): bigint {
    checkExponent(exponent);
    const { units, scale } = parseDecimal(this.amount);
    if (scale <= exponent) {
      return units * 10n ** BigInt(exponent - scale);
    }
    const power = 10n ** BigInt(scale - exponent);
    if (units % power !== 0n) {
      throw new MoneyError("precision", `${this} has more than ${exponent} decimals`);
    }
    return units / power;
  }

  /** Returns the same amount written with so many decimals, if that loses none. */
  withExponent(exponent: number): Money {
    return new Money(this.asset, this.units(exponent), exponent);
  }

  /** Writes the amount and the asset: "12.50 USD". */
  toString(): string {
    return `${this.amount} ${this.asset}`;
  }

  /** Writes what toString does, so that a Money is a string in JSON. */
  toJSON(): string {
    return this.toString();
  }

  /**
   * Writes the amount for people of a locale, such as "1.234,50 EUR" for "de". By
   * default the locale is the environment's.
   */
  format(locale?: string): string {
    const [whole = "", fraction = ""] = this.amount.replace("-", "").split(".");
    const digits = new Intl.NumberFormat(locale, { useGrouping: false });
    const separator = digits.formatToParts(1.5).find((part) => part.type === "decimal")?.value ?? ".";
    const decimals = [...fraction].map((digit) => digits.format(BigInt(digit))).join("");
    const shown = new Intl.NumberFormat(locale).format(BigInt(whole));
    return `${this.sign() < 0 ? "-" : ""}${shown}${decimals && separator + decimals} ${this.asset}`;
  }

  /** Lets `${money}` be written, and refuses `+`, `<` and whatever makes it a number. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint !== "string") {
      throw new TypeError("money is no number: use add, subtract and compare");
    }
    return this.toString();
  }

  private align(other: Money): { mine: bigint; theirs: bigint; scale: number } {
    if (!(other instanceof Money)) {
      throw new MoneyError("syntax", `${show(other)} is not Money`);
    }
    if (this.asset !== other.asset) {
      throw new MoneyError("asset", `${this} and ${other} are of different assets`);
    }
    const a = parseDecimal(this.amount);
    const b = parseDecimal(other.amount);
    const scale = Math.max(a.scale, b.scale);
    return { mine: shift(a.units, scale - a.scale), theirs: shift(b.units, scale - b.scale), scale };
  }
}

/** An asset's code and how many decimals it has: 2 for USD, 0 for JPY, 18 for ETH. */
export interface AssetScale {
  readonly code: string;
  readonly exponent: number;
}

/** What arithmetic with {@link Money} fails with. */
export class MoneyError extends Error {
  override readonly name = "MoneyError";

  constructor(
    /**
     * What is wrong: the text isn't money, it has more than 38 digits, assets were
     * mixed, or decimals would be lost.
     */
    readonly kind: "syntax" | "range" | "asset" | "precision",
    message: string,
  ) {
    super(`tillbook: ${message}`);
  }
}

const MAX_DIGITS = 38;
const ASSET = /^[A-Z][A-Z0-9]{1,11}$/;
const AMOUNT = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/;

function checkExponent(exponent: number): void {
  if (!Number.isInteger(exponent) || exponent < 0 || exponent >= MAX_DIGITS) {
    throw new MoneyError("syntax", `${show(exponent)} is not a number of decimals`);
  }
}

function parseDecimal(text: string): { units: bigint; scale: number } {
  const [whole = "", fraction = ""] = text.split(".");
  return { units: BigInt(whole + fraction), scale: fraction.length };
}

function formatDecimal(units: bigint, scale: number): string {
  const sign = units < 0n ? "-" : "";
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  const point = digits.length - scale;
  return sign + digits.slice(0, point) + (scale > 0 ? "." + digits.slice(point) : "");
}

function countDigits(decimal: string): number {
  return decimal.replace(/[-.]/g, "").length;
}

function shift(units: bigint, places: number): bigint {
  return units * 10n ** BigInt(places);
}

function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 60)) : `a ${typeof value}`;
}
