import { Money, type Transaction } from "@tillbook/sdk";
import { useState } from "preact/hooks";

import { useAction } from "../action.js";
import { client } from "../client.js";
import { go, useTitle } from "../route.js";
import { useSession } from "../session.js";
import { AmountView, signed } from "../ui/amount.js";
import { Button, Link, Trouble, Waiting } from "../ui/controls.js";
import { Icon } from "../ui/icon.js";
import { clock, day } from "../ui/when.js";
import { kindOf, titleOf } from "./kind.js";
import { useWallet } from "./live.js";

/** The balance, what can be done with it, and what was. */
export function Home() {
  useTitle("Wallet");
  return (
    <div class="home">
      <h1 class="unseen">Wallet</h1>
      <div class="column">
        <Balances />
        <div class="actions">
          <Button kind="primary" icon="scan" onClick={() => go("/pay")}>
            Pay
          </Button>
          <Button icon="send" onClick={() => go("/send")}>
            Send
          </Button>
          <AddMoney />
        </div>
      </div>
      <Activity />
    </div>
  );
}

function Balances() {
  const { balances, problem } = useWallet();
  const { user } = useSession();
  const [chosen, setChosen] = useState<string>();
  const shown = balances?.find(({ total }) => total?.asset === chosen) ?? balances?.find(({ total }) => total !== undefined && Money.from(total).sign() !== 0) ?? balances?.[0];
  const held = shown?.held !== undefined && Money.from(shown.held).sign() > 0;
  return (
    <section class="hero" aria-label="Balance">
      <p class="hero-name">
        <span>Available</span>
        <span class="live">{problem === undefined ? "Live" : "Not live"}</span>
      </p>
      <p class="hero-amount" role="status" data-testid="balance">
        {balances === undefined ? <span class="amount"><span class="digits">&nbsp;</span></span> : <AmountView of={shown?.available ?? { asset: "USD", amount: "0.00" }} />}
      </p>
      <p class="hero-note">{held ? `${signed(shown.held).replace("+", "")} set aside` : `@${user.username}`}</p>
      {(balances?.length ?? 0) > 1 && (
        <div class="assets" role="group" aria-label="Currency">
          {balances?.map(({ total }) => (
            <button key={total?.asset} type="button" aria-pressed={total?.asset === shown?.total?.asset} onClick={() => setChosen(total?.asset)}>
              {total?.asset}
            </button>
          ))}
        </div>
      )}
    </section>
  );
}

/** Asks the sandbox for money, where there is one. */
function AddMoney() {
  const { user, heed } = useSession();
  const action = useAction(heed);
  const [none, setNone] = useState(false);
  if (none) {
    return null;
  }
  const add = () =>
    action.run(async () => {
      try {
        await client.sandbox.fund({ phoneNumber: user.phoneNumber, amount: Money.parse("100.00 USD") });
      } catch (error) {
        if (heed(error).reason !== "UNIMPLEMENTED") {
          throw error;
        }
        setNone(true);
      }
    });
  return (
    <>
      <Button icon="plus" busy={action.busy} onClick={() => void add()}>
        Add money
      </Button>
      {action.problem && <Trouble problem={action.problem} />}
    </>
  );
}

function Activity() {
  const { transactions, more, older, problem } = useWallet();
  return (
    <section class="card activity" aria-label="Activity">
      <h2>Activity</h2>
      <Trouble problem={problem} />
      {transactions === undefined && <Waiting lines={5} />}
      {transactions?.length === 0 && (
        <div class="empty">
          <Icon name="spark" size={28} />
          <p>Nothing has moved yet. Add money, or ask a friend to send you some: you see it arrive here.</p>
        </div>
      )}
      {byDay(transactions ?? []).map(([name, list]) => (
        <div key={name} class="day">
          <h3>{name}</h3>
          <ol>
            {list.map((transaction) => (
              <Row key={transaction.transactionId} transaction={transaction} />
            ))}
          </ol>
        </div>
      ))}
      {more && (
        <Button kind="quiet" wide onClick={older}>
          Show older
        </Button>
      )}
    </section>
  );
}

function Row({ transaction }: { transaction: Transaction }) {
  const { arrived } = useWallet();
  const { icon } = kindOf(transaction);
  const { title, rest } = titleOf(transaction);
  const came = transaction.amount !== undefined && Money.from(transaction.amount).sign() > 0;
  return (
    <li class={arrived.has(transaction.transactionId) ? "row arrived" : "row"}>
      <Link to={`/activity/${transaction.transactionId}`}>
        <span class={came ? "badge came" : "badge"}>
          <Icon name={icon} size={18} />
        </span>
        <span class="what">
          <strong>{title}</strong>
          <small>{rest}</small>
        </span>
        <span class="much">
          <strong class={came ? "came" : ""}>{signed(transaction.amount)}</strong>
          <small>{clock(transaction.createTime)}</small>
        </span>
      </Link>
    </li>
  );
}

function byDay(transactions: readonly Transaction[]): (readonly [string, Transaction[]])[] {
  const days = new Map<string, Transaction[]>();
  for (const transaction of transactions) {
    const name = day(transaction.createTime);
    const list = days.get(name);
    if (list === undefined) {
      days.set(name, [transaction]);
    } else {
      list.push(transaction);
    }
  }
  return [...days];
}
