import { Money, type RecipientInit, toPhone, toUsername, type Transaction } from "@tillbook/sdk";
import { useState } from "preact/hooks";

import { useAction, useKey } from "../action.js";
import { client } from "../client.js";
import { readAmount } from "../money.js";
import { useTitle } from "../route.js";
import { useSession } from "../session.js";
import { text } from "../ui/amount.js";
import { Button, Field, Form, Link, Select, Trouble } from "../ui/controls.js";
import { Icon } from "../ui/icon.js";
import { pay } from "../unsettled.js";
import { availableOf, useWallet } from "./live.js";
import { Done } from "./done.js";

/** Pays another person: first who and how much, then the name to check, then it is done. */
export function Send() {
  const { heed, user } = useSession();
  const { balances } = useWallet();
  const [to, setTo] = useState("");
  const [typed, setTyped] = useState("");
  const [note, setNote] = useState("");
  const [chosen, setAsset] = useState<string>();
  const [name, setName] = useState<string>();
  const [paid, setPaid] = useState<Transaction>();
  const action = useAction(heed);
  const assets = (balances ?? []).map(({ total }) => total?.asset ?? "");
  const asset = chosen ?? assets[0] ?? "USD";
  const key = useKey(to, typed, asset, note);
  const amount = readAmount(typed, asset);
  useTitle(paid ? "Sent" : "Send money");

  const check = () => action.run(async () => setName((await client.wallet.resolve(recipientOf(to))).maskedName));
  const send = (money: Money) =>
    action.run(async () => {
      const request = { idempotencyKey: key, recipient: recipientOf(to), amount: money, note };
      setPaid(await pay(user.userId, { call: "transfer", request, words: `${text(money)} to ${name}` }));
    });
  const fields = action.problem?.fields ?? {};

  if (paid) {
    return <Done title="Sent" transaction={paid} />;
  }
  if (name !== undefined && typeof amount === "object") {
    const unknown = action.problem?.unknown ?? false;
    return (
      <Form class="narrow card" aria-label="Check" onSubmit={() => void send(amount)}>
        <h1>Is this right?</h1>
        <p class="confirm">
          <strong>{text(amount)}</strong>
          <span>
            to <b>{name}</b> ({to.trim()})
          </span>
          {note && <span>“{note}”</span>}
        </p>
        <Trouble problem={action.problem} />
        <Button type="submit" kind="primary" wide busy={action.busy}>
          {unknown ? "Find out" : `Send ${text(amount)}`}
        </Button>
        <Button kind="quiet" wide disabled={unknown || action.busy} onClick={() => { setName(undefined); action.clear(); }}>
          Change it
        </Button>
      </Form>
    );
  }
  return (
    <Form class="narrow card" aria-label="Send money" onSubmit={() => void check()}>
      <Link to="/" class="text-button back">
        <Icon name="back" size={16} /> Wallet
      </Link>
      <h1>Send money</h1>
      <Field label="To" value={to} onInput={setTo} error={fields["recipient"]} hint="A username, or a phone number with country code" input={{ autoCapitalize: "none", spellcheck: false }} />
      <div class="pair">
        <Field label="Amount" value={typed} onInput={setTyped} error={amount === "wrong" ? "An amount such as 12.50" : undefined} hint={`${text(availableOf(balances, asset))} available`} input={{ inputMode: "decimal", placeholder: "0.00", class: "digits" }} />
        <Select label="Currency" value={asset} options={(assets.length > 0 ? assets : ["USD"]).map((code) => [code, code])} onChange={setAsset} />
      </div>
      <Field label="Note" value={note} onInput={setNote} hint="Both of you see it" input={{ maxLength: 140 }} />
      <Trouble problem={action.problem} />
      <Button type="submit" kind="primary" wide busy={action.busy} disabled={typeof amount !== "object" || to.trim() === ""}>
        Go on
      </Button>
    </Form>
  );
}

/** A number is a phone's, anything else a name. */
function recipientOf(text: string): RecipientInit {
  const trimmed = text.trim().replace(/^@/, "");
  return /^\+?[0-9][0-9 ()-]*$/.test(trimmed) ? toPhone(trimmed) : toUsername(trimmed);
}
