import { type Checkout, Money } from "@tillbook/sdk";

import { times } from "../money.js";
import { digits } from "./amount.js";

/** The lines of a sale, with the tip if one is known. */
export function Items({ checkout, tip }: { checkout: Checkout; tip?: Money | undefined }) {
  const lines = checkout.items.map(({ name, quantity, unitPrice }) => ({ name, quantity, price: times(Money.from(unitPrice), quantity) }));
  return (
    <table class="items">
      <caption class="unseen">What is sold</caption>
      <tbody>
        {lines.map(({ name, quantity, price }, n) => (
          <tr key={n}>
            <td class="count">{quantity} ×</td>
            <th scope="row">{name}</th>
            <td class="price">{digits(price)}</td>
          </tr>
        ))}
        {lines.length === 0 && (
          <tr>
            <td class="count" />
            <th scope="row">Amount</th>
            <td class="price">{digits(checkout.amount)}</td>
          </tr>
        )}
        {tip !== undefined && tip.sign() > 0 && (
          <tr class="tip-line">
            <td class="count" />
            <th scope="row">Tip</th>
            <td class="price">{digits(tip)}</td>
          </tr>
        )}
      </tbody>
    </table>
  );
}
