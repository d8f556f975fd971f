import { type Checkout, CheckoutState, type GetCheckoutResponse, type PayCheckoutResponse } from "@tillbook/sdk";
import { useState } from "preact/hooks";

import { useAction } from "../action.js";
import { client } from "../client.js";
import { useTitle } from "../route.js";
import { useSession } from "../session.js";
import { Button, Form, Trouble } from "../ui/controls.js";
import { Icon } from "../ui/icon.js";
import { Done } from "./done.js";
import { Review } from "./review.js";
import { Camera, PictureButton } from "./scan.js";

/** Pays in a shop: find the sale, see it, pay it. */
export function Pay() {
  const [checkout, setCheckout] = useState<Checkout>();
  const [paid, setPaid] = useState<PayCheckoutResponse>();
  if (paid) {
    const authorized = paid.checkout?.state === CheckoutState.AUTHORIZED;
    return (
      <Done
        title={authorized ? "Set aside" : "Paid"}
        transaction={paid.transaction}
        note={authorized ? `${paid.checkout?.merchantName} takes it later, or gives it free.` : undefined}
      />
    );
  }
  if (checkout) {
    return <Review checkout={checkout} onPaid={setPaid} back={() => setCheckout(undefined)} />;
  }
  return <Find onFound={setCheckout} />;
}

function Find({ onFound }: { onFound: (checkout: Checkout) => void }) {
  const { heed } = useSession();
  const [typed, setTyped] = useState("");
  const [looking, setLooking] = useState(false);
  const [hint, setHint] = useState("");
  const action = useAction(heed);
  useTitle("Pay in a shop");

  const find = (scanned: string) =>
    action.run(async () => {
      setLooking(false);
      setHint("");
      const found = await client.wallet.checkout(byOf(scanned));
      if (found.checkout === undefined) {
        setHint(storeHint(found));
        return;
      }
      onFound(found.checkout);
    });
  return (
    <div class="narrow">
      <h1>Pay in a shop</h1>
      {looking ? (
        <Camera onFound={(scanned) => void find(scanned)} close={() => setLooking(false)} />
      ) : (
        <section class="card scan">
          <span class="scan-frame">
            <Icon name="scan" size={56} />
          </span>
          <p>Point your camera at the code on the counter.</p>
          <Button kind="primary" icon="scan" wide onClick={() => setLooking(true)}>
            Scan the code
          </Button>
          <PictureButton onFound={(scanned) => void find(scanned)} onNothing={setHint} />
        </section>
      )}
      <Form class="card" aria-label="By hand" onSubmit={() => void find(typed)}>
        <div class="field">
          <label for="code">Or by hand</label>
          <textarea id="code" rows={2} value={typed} spellcheck={false} onInput={(event) => setTyped(event.currentTarget.value)} placeholder="The code, or the text of the QR code" />
        </div>
        <p class="note" role="status">
          {hint}
        </p>
        <Trouble problem={action.problem} />
        <Button type="submit" wide busy={action.busy} disabled={typed.trim() === ""}>
          Find it
        </Button>
      </Form>
    </div>
  );
}

/** Tells a QR text, which always begins in the same way, from an id and from a short code. */
function byOf(text: string): Parameters<typeof client.wallet.checkout>[0] {
  const trimmed = text.trim();
  if (/^chk_/.test(trimmed)) {
    return { case: "checkoutId", value: trimmed };
  }
  return /^[0-9A-Za-z\s-]{12,24}$/.test(trimmed) ? { case: "code", value: trimmed } : { case: "qrText", value: trimmed };
}

function storeHint({ merchantName, storeName }: GetCheckoutResponse): string {
  return `This is the code of ${merchantName}, ${storeName}. Ask the cashier for the code of your sale.`;
}
