import { Money } from "@tillbook/sdk";

/** An amount as messages carry it. */
export interface Amount {
  readonly asset: string;
  readonly amount: string;
}

/** Writes an amount for people; none is written as a dash. */
export function text(amount: Amount | undefined): string {
  return amount === undefined ? "–" : Money.from(amount).format().replace("-", "−");
}

/** Writes an amount without its asset, for where that is written beside. */
export function digits(amount: Amount | undefined): string {
  return amount === undefined ? "–" : text(amount).slice(0, -amount.asset.length - 1);
}

/** Writes a change with its sign. */
export function signed(amount: Amount | undefined): string {
  return amount !== undefined && Money.from(amount).sign() > 0 ? `+${text(amount)}` : text(amount);
}

/** An amount with its asset in small. */
export function AmountView({ of, class: className = "" }: { of: Amount | undefined; class?: string }) {
  return (
    <span class={`amount ${className}`}>
      <span class="digits">{digits(of)}</span>
      <span class="asset">{of === undefined ? "" : ` ${of.asset}`}</span>
    </span>
  );
}
