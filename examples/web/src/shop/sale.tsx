import { type Checkout, CheckoutState, Money } from "@tillbook/sdk";
import { useEffect, useState } from "preact/hooks";

import { useAction, useKey } from "../action.js";
import { client } from "../client.js";
import type { Problem } from "../failure.js";
import { go, useTitle } from "../route.js";
import { useSession } from "../session.js";
import { AmountView, text } from "../ui/amount.js";
import { Button, Link, Trouble, Waiting } from "../ui/controls.js";
import { Icon } from "../ui/icon.js";
import { QRCode } from "../ui/qr.js";
import { dateOf } from "../ui/when.js";
import { pay } from "../unsettled.js";
import { PaperReceipt } from "./paper.js";
import { useShop } from "./shop.js";
import { stateOf } from "./state.js";

/** One sale: its code while it waits, green once it is paid. */
export function Sale({ checkoutId }: { checkoutId: string }) {
  const { merchant, checkouts, note } = useShop();
  const { heed } = useSession();
  const [problem, setProblem] = useState<Problem>();
  const checkout = checkouts.get(checkoutId);
  useEffect(() => {
    client.merchants.checkout(merchant.merchantId, checkoutId).then(note, (error: unknown) => setProblem(heed(error)));
  }, [checkoutId]);
  if (checkout === undefined) {
    return problem === undefined ? <Waiting lines={6} /> : <Trouble problem={problem} />;
  }
  return stateOf(checkout).tone === "waiting" ? <Offer checkout={checkout} /> : <Outcome checkout={checkout} />;
}

/** Shows the code to the customer. */
function Offer({ checkout }: { checkout: Checkout }) {
  const { note } = useShop();
  const { heed } = useSession();
  const action = useAction(heed);
  useTitle("Waiting for payment");
  const cancel = () => action.run(async () => note(await client.merchants.cancelCheckout(checkout.merchantId, checkout.checkoutId)));
  return (
    <section class="card offer" aria-label="Sale">
      <h1 class="unseen">Waiting for payment</h1>
      <p class="slip-amount">
        <AmountView of={checkout.amount} />
      </p>
      <p class="muted">{checkout.merchantName}</p>
      <QRCode text={checkout.qrText} label={`Code to pay ${text(checkout.amount)}`} />
      <p class="short-code">
        <small>or type</small>
        <code data-testid="code">{spaced(checkout.code)}</code>
      </p>
      <p class="status" role="status">
        <span class="pulse" />
        Waiting for payment <TimeLeft checkout={checkout} />
      </p>
      <Trouble problem={action.problem} />
      <div class="row-buttons">
        <CopyButton what={checkout.qrText} />
        <Button kind="quiet" icon="cross" busy={action.busy} onClick={() => void cancel()}>
          Cancel the sale
        </Button>
      </div>
    </section>
  );
}

/** Shows how the sale ended. */
function Outcome({ checkout }: { checkout: Checkout }) {
  const standing = stateOf(checkout);
  useTitle(standing.word);
  const good = standing.tone === "good";
  return (
    <div class="outcome">
      <section class={good ? "verdict good" : "verdict bad"} role="status" aria-label="Outcome" data-testid="verdict">
        <span class="done-mark">
          <Icon name={good ? "check" : "cross"} size={52} />
        </span>
        <h1>{standing.word}</h1>
        <p class="slip-amount">
          <AmountView of={checkout.payment?.total ?? checkout.amount} />
        </p>
        <p>{good && checkout.payment ? `by ${checkout.payment.maskedCustomer}` : standing.sentence}</p>
        {checkout.payment?.tip && Money.from(checkout.payment.tip).sign() > 0 && <p>{text(checkout.payment.tip)} of it is your tip</p>}
      </section>
      <div class="after">
        {checkout.state === CheckoutState.SUCCEEDED && <PaperReceipt checkout={checkout} />}
        <div class="after-buttons">
          <Button kind="primary" icon="plus" wide onClick={() => go("/shop")}>
            Next sale
          </Button>
          {checkout.state === CheckoutState.SUCCEEDED && (
            <Button icon="print" wide onClick={() => print()}>
              Print the receipt
            </Button>
          )}
          {checkout.state === CheckoutState.SUCCEEDED && <Refund checkout={checkout} />}
          <Link to="/shop/report" class="text-button center">
            To the day's report
          </Link>
        </div>
      </div>
    </div>
  );
}

/** Gives all of it back, after asking once more. */
function Refund({ checkout }: { checkout: Checkout }) {
  const { note } = useShop();
  const { heed, user } = useSession();
  const [sure, setSure] = useState(false);
  const action = useAction(heed);
  const key = useKey(checkout.checkoutId);
  if (checkout.payment?.refunded !== undefined) {
    return <p class="notice">{text(checkout.payment.refunded)} was given back.</p>;
  }
  const refund = () =>
    action.run(async () => {
      const { merchantId, checkoutId } = checkout;
      const request = { idempotencyKey: key, merchantId, checkoutId };
      const words = `${text(checkout.payment?.total)} back to ${checkout.payment?.maskedCustomer}`;
      const { checkout: after } = await pay(user.userId, { call: "refundCheckout", request, words });
      if (after !== undefined) {
        note(after);
      }
    });
  return (
    <>
      <Trouble problem={action.problem} />
      <Button kind={sure ? "danger" : "quiet"} icon="refund" wide busy={action.busy} onClick={() => (sure ? void refund() : setSure(true))}>
        {sure ? `Give ${text(checkout.payment?.total)} back now` : "Give the money back"}
      </Button>
    </>
  );
}

function TimeLeft({ checkout }: { checkout: Checkout }) {
  const until = checkout.expireTime === undefined ? 0 : dateOf(checkout.expireTime).getTime();
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.floor((until - now) / 1000));
  const left = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  return (
    <span class="left" aria-hidden="true">
      {left}
    </span>
  );
}

function CopyButton({ what }: { what: string }) {
  const [copied, setCopied] = useState(false);
  const copy = () => void navigator.clipboard.writeText(what).then(() => setCopied(true));
  return (
    <Button kind="quiet" icon={copied ? "check" : "copy"} onClick={copy}>
      {copied ? "Copied" : "Copy the text"}
    </Button>
  );
}

function spaced(code: string): string {
  return code.replace(/(.{4})(?=.)/g, "$1 ");
}
