import { Money, type Transaction, TransactionKind } from "@tillbook/sdk";

import type { IconName } from "../ui/icon.js";

/** Says who was on the other side, if that is somebody, else what it was for; and the rest of it. */
export function titleOf(transaction: Transaction): { title: string; rest: string } {
  const { name } = kindOf(transaction);
  const other = transaction.counterparty?.maskedName ?? "";
  const somebody = other !== "" && ![TransactionKind.FUNDING, TransactionKind.ADJUSTMENT].includes(transaction.kind);
  const rest = [somebody ? name : other, transaction.note].filter((part) => part !== "" && part !== other);
  return { title: somebody ? other : name, rest: rest.join(" · ") || "From outside" };
}

/** Says in a word what a transaction was for. */
export function kindOf({ kind, amount }: Transaction): { name: string; icon: IconName } {
  const came = amount !== undefined && Money.from(amount).sign() > 0;
  switch (kind) {
    case TransactionKind.TRANSFER:
      return came ? { name: "Received", icon: "receive" } : { name: "Sent", icon: "send" };
    case TransactionKind.FUNDING:
      return { name: "Money added", icon: "plus" };
    case TransactionKind.PURCHASE:
      return { name: "Purchase", icon: "shop" };
    case TransactionKind.REFUND:
      return { name: "Refund", icon: "refund" };
    case TransactionKind.REVERSAL:
      return { name: "Undone", icon: "refund" };
    case TransactionKind.CAPTURE:
      return { name: "Captured", icon: "lock" };
    case TransactionKind.SETTLEMENT:
      return { name: "Taken out of the shop", icon: "shop" };
    default:
      return { name: "Adjusted", icon: "spark" };
  }
}
