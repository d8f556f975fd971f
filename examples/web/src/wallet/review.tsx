import { type Checkout, CheckoutState, Money, type PayCheckoutResponse } from "@tillbook/sdk";
import { useState } from "preact/hooks";

import { useAction, useKey } from "../action.js";
import { client } from "../client.js";
import { percentOf, readAmount } from "../money.js";
import { useTitle } from "../route.js";
import { useSession } from "../session.js";
import { stateOf } from "../shop/state.js";
import { text } from "../ui/amount.js";
import { Button, Field, Trouble } from "../ui/controls.js";
import { Icon } from "../ui/icon.js";
import { Items } from "../ui/items.js";
import { pay } from "../unsettled.js";
import { availableOf, useWallet } from "./live.js";

interface ReviewProps {
  readonly checkout: Checkout;
  readonly onPaid: (paid: PayCheckoutResponse) => void;
  readonly back: () => void;
}

/** Shows what is about to be paid. */
export function Review({ checkout, onPaid, back }: ReviewProps) {
  const { heed, user } = useSession();
  const { balances } = useWallet();
  const [tip, setTip] = useState<Money | "wrong">();
  const action = useAction(heed);
  const amount = Money.from(checkout.amount);
  const key = useKey(checkout.checkoutId, String(tip));
  const total = tip instanceof Money ? amount.add(tip) : amount;
  const payable = PAYABLE.includes(checkout.state);
  const unknown = action.problem?.unknown ?? false;
  useTitle(checkout.merchantName);

  const send = () =>
    action.run(async () => {
      const given = tip instanceof Money && tip.sign() > 0 ? { tip } : {};
      const request = { idempotencyKey: key, checkoutId: checkout.checkoutId, ...given };
      onPaid(await pay(user.userId, { call: "payCheckout", request, words: `${text(total)} to ${checkout.merchantName}` }));
    });
  const decline = () =>
    action.run(async () => {
      await client.wallet.declineCheckout(checkout.checkoutId);
      back();
    });
  return (
    <div class="narrow">
      <button type="button" class="text-button back" onClick={back} disabled={unknown}>
        <Icon name="back" size={16} /> Another code
      </button>
      <article class="slip review">
        <header>
          <span class="badge big">
            <Icon name="shop" size={26} />
          </span>
          <h1>{checkout.merchantName}</h1>
          <p class="muted">{[checkout.storeName, checkout.reference].filter((part) => part && part !== checkout.merchantName).join(" · ")}</p>
        </header>
        <Items checkout={checkout} tip={tip instanceof Money ? tip : undefined} />
        {payable && checkout.tipOptions?.allowed && <Tip amount={amount} percentages={checkout.tipOptions.percentages} onTip={setTip} locked={unknown} />}
        <p class="total">
          <span>Total</span>
          <strong data-testid="total">{text(total)}</strong>
        </p>
      </article>
      <Trouble problem={action.problem}>{action.problem?.reason === "INSUFFICIENT_FUNDS" && <p>You have {text(availableOf(balances, amount.asset))}.</p>}</Trouble>
      {payable ? (
        <>
          <Button kind="primary" wide busy={action.busy} disabled={tip === "wrong"} onClick={() => void send()}>
            {unknown ? "Find out" : `Pay ${text(total)}`}
          </Button>
          <Button kind="quiet" wide disabled={unknown || action.busy} onClick={() => void decline()}>
            Don't pay
          </Button>
        </>
      ) : (
        <p class="notice">{stateOf(checkout).sentence}</p>
      )}
    </div>
  );
}

const PAYABLE: readonly CheckoutState[] = [CheckoutState.CREATED, CheckoutState.DISPATCHED, CheckoutState.ACKNOWLEDGED];

interface TipProps {
  readonly amount: Money;
  readonly percentages: readonly number[];
  readonly onTip: (tip: Money | "wrong" | undefined) => void;
  readonly locked: boolean;
}

/** Asks for a tip: one of the shop's percentages, or any other amount. */
function Tip({ amount, percentages, onTip, locked }: TipProps) {
  const [choice, setChoice] = useState<number | "own">(0);
  const [typed, setTyped] = useState("");
  const choose = (value: number | "own") => {
    setChoice(value);
    onTip(value === "own" ? own(typed) : value === 0 ? undefined : percentOf(amount, value));
  };
  const own = (typedNow: string) => {
    const read = readAmount(typedNow, amount.asset);
    return read === "empty" ? undefined : read;
  };
  return (
    <fieldset class="tip" disabled={locked}>
      <legend>Tip</legend>
      <div class="chips">
        {[0, ...percentages].map((percent) => (
          <button key={percent} type="button" aria-pressed={choice === percent} onClick={() => choose(percent)}>
            <b>{percent === 0 ? "None" : `${percent} %`}</b>
            <small>{percent === 0 ? "–" : percentOf(amount, percent).format().replace(` ${amount.asset}`, "")}</small>
          </button>
        ))}
        <button type="button" aria-pressed={choice === "own"} onClick={() => choose("own")}>
          <b>Other</b>
          <small>…</small>
        </button>
      </div>
      {choice === "own" && (
        <Field
          label="Your tip"
          value={typed}
          onInput={(value) => { setTyped(value); onTip(own(value)); }}
          error={own(typed) === "wrong" ? "An amount such as 1.50" : undefined}
          input={{ inputMode: "decimal", placeholder: "0.00", class: "digits" }}
        />
      )}
    </fieldset>
  );
}
