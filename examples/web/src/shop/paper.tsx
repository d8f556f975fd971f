import { type Checkout, Money } from "@tillbook/sdk";

import { digits, text } from "../ui/amount.js";
import { Items } from "../ui/items.js";
import { moment } from "../ui/when.js";
import { useShop } from "./shop.js";

/** The receipt that the customer takes along: it is all that is printed. */
export function PaperReceipt({ checkout }: { checkout: Checkout }) {
  const { merchant, store } = useShop();
  const { payment } = checkout;
  return (
    <article class="paper" aria-label="Receipt">
      <header>
        <h2>{checkout.merchantName}</h2>
        <p>{[checkout.storeName, store.city || merchant.city].filter((part) => part !== checkout.merchantName).join(", ")}</p>
        <p>{moment(checkout.closeTime)}</p>
      </header>
      <Items checkout={checkout} tip={payment?.tip === undefined ? undefined : Money.from(payment.tip)} />
      <p class="paper-total">
        <span>Total {checkout.amount?.asset}</span>
        <strong>{digits(payment?.total ?? checkout.amount)}</strong>
      </p>
      {payment?.refunded && (
        <p class="paper-total">
          <span>Given back</span>
          <strong>{text(payment.refunded)}</strong>
        </p>
      )}
      <footer>
        <p>Paid by {payment?.maskedCustomer} with Tillbook</p>
        <p class="number">{payment?.transactionId}</p>
        <p>Thank you!</p>
      </footer>
    </article>
  );
}
