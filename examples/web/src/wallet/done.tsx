import { Money, type Transaction } from "@tillbook/sdk";

import { go } from "../route.js";
import { AmountView, text } from "../ui/amount.js";
import { Button } from "../ui/controls.js";
import { Icon } from "../ui/icon.js";

interface DoneProps {
  readonly title: string;
  /** What moved, as the wallet has it; none if money was only set aside. */
  readonly transaction: Transaction | undefined;
  readonly note?: string | undefined;
}

/** Says that money moved. */
export function Done({ title, transaction, note }: DoneProps) {
  return (
    <section class="narrow card done" role="status">
      <span class="done-mark">
        <Icon name="check" size={44} />
      </span>
      <h1>{title}</h1>
      {transaction && (
        <>
          <p class="slip-amount">
            <AmountView of={Money.from(transaction.amount).negate()} />
          </p>
          <p>to {transaction.counterparty?.maskedName}</p>
          <p class="muted">{text(transaction.balanceAfter)} left</p>
        </>
      )}
      {note && <p class="muted">{note}</p>}
      {transaction && (
        <Button kind="primary" wide onClick={() => go(`/activity/${transaction.transactionId}`)}>
          Receipt
        </Button>
      )}
      <Button kind="quiet" wide onClick={() => go("/")}>
        Back to the wallet
      </Button>
    </section>
  );
}
