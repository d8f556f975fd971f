import { type Merchant, newIdempotencyKey, type Store } from "@tillbook/sdk";
import { useRef, useState } from "preact/hooks";

import { useAction } from "../action.js";
import { client } from "../client.js";
import { CURRENCIES } from "../money.js";
import { useTitle } from "../route.js";
import { useSession } from "../session.js";
import { Button, Field, Form, Select, Trouble } from "../ui/controls.js";
import { Icon } from "../ui/icon.js";
import { writeCurrency } from "./menu.js";

/** Countries that the list offers, with their currency. */
const COUNTRIES: readonly (readonly [code: string, name: string, currency: string])[] = [
  ["CA", "Canada", "CAD"],
  ["DE", "Germany", "EUR"],
  ["GH", "Ghana", "GHS"],
  ["HK", "Hong Kong", "HKD"],
  ["ID", "Indonesia", "IDR"],
  ["IE", "Ireland", "EUR"],
  ["JP", "Japan", "JPY"],
  ["KE", "Kenya", "KES"],
  ["MY", "Malaysia", "MYR"],
  ["NG", "Nigeria", "NGN"],
  ["US", "United States", "USD"],
];

/** Opens a shop: a merchant with its first store. */
export function Setup({ onOpen }: { onOpen: (merchant: Merchant, store: Store) => void }) {
  const { heed } = useSession();
  const [name, setName] = useState("");
  const [storeName, setStoreName] = useState("");
  const [city, setCity] = useState("");
  const [country, setCountry] = useState("US");
  const [currency, setCurrency] = useState("USD");
  const keys = useRef({ merchant: newIdempotencyKey(), store: newIdempotencyKey() });
  const made = useRef<Merchant>();
  const action = useAction(heed);
  useTitle("Open a shop");

  const open = () =>
    action.run(async () => {
      const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
      made.current ??= await client.merchants.create({ idempotencyKey: keys.current.merchant, name, city, country, timeZone });
      const { merchantId } = made.current;
      const store = await client.merchants.createStore({ idempotencyKey: keys.current.store, merchantId, name: storeName || name, city });
      writeCurrency(merchantId, currency);
      onOpen(made.current, store);
    });
  const fields = action.problem?.fields ?? {};
  // A refused request may be changed and sent again, but not with the key of one that was accepted.
  const change = (set: (value: string) => void) => (value: string) => {
    keys.current = { merchant: newIdempotencyKey(), store: newIdempotencyKey() };
    set(value);
  };
  return (
    <Form class="narrow card" aria-label="Open a shop" onSubmit={() => void open()}>
      <span class="badge big">
        <Icon name="shop" size={26} />
      </span>
      <h1>Open a shop</h1>
      <p class="lead">Customers pay at your counter by scanning its code. It takes a minute.</p>
      <Field label="Name" value={name} onInput={change(setName)} error={fields["name"]} hint="Customers see it when they pay" input={{ maxLength: 60, placeholder: "Corner Coffee" }} />
      <Field label="Store" value={storeName} onInput={change(setStoreName)} hint="If you have more than one; else leave it empty" input={{ maxLength: 60, placeholder: "Main Street" }} />
      <Field label="Town" value={city} onInput={change(setCity)} error={fields["city"]} input={{ maxLength: 40 }} />
      <div class="pair even">
        <Select
          label="Country"
          value={country}
          options={COUNTRIES.map(([code, text]) => [code, text])}
          onChange={(code) => {
            change(setCountry)(code);
            setCurrency(COUNTRIES.find(([other]) => other === code)?.[2] ?? currency);
          }}
        />
        <Select label="Currency" value={currency} options={CURRENCIES.map(({ code }) => [code, code])} onChange={setCurrency} />
      </div>
      <Trouble problem={action.problem} />
      <Button type="submit" kind="primary" wide busy={action.busy} disabled={name.trim() === "" || city.trim() === ""}>
        Open the shop
      </Button>
    </Form>
  );
}
