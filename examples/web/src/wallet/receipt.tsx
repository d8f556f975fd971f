import { type Receipt as Proof, Money, type Transaction } from "@tillbook/sdk";
import { useEffect, useState } from "preact/hooks";

import { client } from "../client.js";
import type { Problem } from "../failure.js";
import { useTitle } from "../route.js";
import { useSession } from "../session.js";
import { AmountView, signed, text } from "../ui/amount.js";
import { Button, Link, Trouble, Waiting } from "../ui/controls.js";
import { Icon } from "../ui/icon.js";
import { moment } from "../ui/when.js";
import { kindOf } from "./kind.js";

/** One transaction, with the proof that the books have it. */
export function Receipt({ transactionId }: { transactionId: string }) {
  const { heed } = useSession();
  const [transaction, setTransaction] = useState<Transaction>();
  const [proof, setProof] = useState<Proof | Problem>();
  const [problem, setProblem] = useState<Problem>();
  useTitle("Receipt");
  useEffect(() => {
    client.wallet.transaction(transactionId).then(setTransaction, (error: unknown) => setProblem(heed(error)));
    client.wallet.receipt(transactionId).then(setProof, (error: unknown) => setProof(heed(error)));
  }, [transactionId]);
  return (
    <div class="narrow">
      <Link to="/" class="text-button back">
        <Icon name="back" size={16} /> Wallet
      </Link>
      <Trouble problem={problem} />
      {transaction === undefined && problem === undefined && <Waiting lines={6} />}
      {transaction && <Slip transaction={transaction} proof={proof} />}
      {transaction && (
        <Button icon="print" wide onClick={() => print()}>
          Print
        </Button>
      )}
    </div>
  );
}

function Slip({ transaction, proof }: { transaction: Transaction; proof: Proof | Problem | undefined }) {
  const { name, icon } = kindOf(transaction);
  const came = transaction.amount !== undefined && Money.from(transaction.amount).sign() > 0;
  const lines: (readonly [string, string])[] = [
    [came ? "From" : "To", transaction.counterparty?.maskedName ?? ""],
    ["Note", transaction.note],
    ["When", moment(transaction.createTime)],
    ["Balance after", text(transaction.balanceAfter)],
    ["Given back", transaction.refunded === undefined ? "" : text(transaction.refunded)],
    ["Number", transaction.transactionId],
  ];
  return (
    <article class="slip">
      <header>
        <span class={came ? "badge came" : "badge"}>
          <Icon name={icon} />
        </span>
        <h1>{name}</h1>
        <p class="slip-amount" title={signed(transaction.amount)}>
          <AmountView of={transaction.amount} />
        </p>
      </header>
      <dl>
        {lines
          .filter(([, value]) => value !== "")
          .map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      <footer>
        <Icon name="lock" size={16} />
        <p role="status">{sealed(proof)}</p>
      </footer>
    </article>
  );
}

function sealed(proof: Proof | Problem | undefined): string {
  if (proof === undefined) {
    return "Looking for it in the sealed books…";
  }
  return "leafIndex" in proof ? `Sealed in the books as entry ${proof.leafIndex.toLocaleString()}. Nobody can change it.` : proof.text;
}
