import { Money } from "@tillbook/sdk";
import { useRef, useState } from "preact/hooks";

import { useAction, useKey } from "../action.js";
import { client } from "../client.js";
import { exponentOf, readAmount, sum, times } from "../money.js";
import { go, useTitle } from "../route.js";
import { useSession } from "../session.js";
import { digits, text } from "../ui/amount.js";
import { Button, Field, Form, Trouble } from "../ui/controls.js";
import { Icon } from "../ui/icon.js";
import { type Good, readCurrency, readMenu, writeMenu } from "./menu.js";
import { useShop } from "./shop.js";

const TIPS = [5, 10, 15];

interface Line {
  readonly good: Good;
  readonly quantity: number;
}

/** Rings up a sale: goods on one side, the basket on the other. */
export function Counter() {
  const { merchant, store, problem, note } = useShop();
  const { heed } = useSession();
  const currency = useRef(readCurrency(merchant.merchantId)).current;
  const [menu, setMenu] = useState(() => readMenu(merchant.merchantId, currency));
  const [basket, setBasket] = useState<readonly Line[]>([]);
  const [tips, setTips] = useState(true);
  const action = useAction(heed);
  const total = sum(currency, basket.map(({ good, quantity }) => times(good.price, quantity)));
  const key = useKey(JSON.stringify(basket), String(tips));
  useTitle("Counter");

  const put = (good: Good, change: number) => setBasket((lines) => withChange(lines, good, change));
  const charge = () =>
    action.run(async () => {
      const checkout = await client.merchants.createCheckout({
        idempotencyKey: key,
        merchantId: merchant.merchantId,
        storeId: store.storeId,
        amount: total,
        items: basket.map(({ good, quantity }) => ({ name: good.name, quantity, unitPrice: good.price })),
        tipOptions: { allowed: tips, percentages: tips ? TIPS : [] },
      });
      note(checkout);
      go(`/shop/${checkout.checkoutId}`);
    });
  const add = (good: Good) => {
    const goods = [...menu.filter(({ name }) => name !== good.name), good];
    setMenu(goods);
    writeMenu(merchant.merchantId, currency, goods);
    put(good, 1);
  };
  return (
    <div class="counter">
      <section class="goods" aria-label="Goods">
        <header class="screen-head">
          <div>
            <h1>{merchant.name}</h1>
            <p class="muted">{[store.name, merchant.city].filter((part) => part !== merchant.name).join(" · ")}</p>
          </div>
        </header>
        <Trouble problem={problem} />
        <div class="tiles">
          {menu.map((good) => (
            <button key={good.name} type="button" class="tile" onClick={() => put(good, 1)}>
              <strong>{good.name}</strong>
              <span>{digits(good.price)}</span>
              <Count of={basket.find((line) => line.good.name === good.name)?.quantity ?? 0} />
            </button>
          ))}
        </div>
        <NewGood currency={currency} onAdd={add} />
      </section>
      <section class="card basket" aria-label="Basket">
        <h2>Basket</h2>
        <ul>
          {basket.map(({ good, quantity }) => (
            <li key={good.name}>
              <span class="name">
                <strong>{good.name}</strong>
                <small>{digits(times(good.price, quantity))}</small>
              </span>
              <span class="stepper" role="group" aria-label={`How many: ${good.name}`}>
                <button type="button" aria-label="One less" onClick={() => put(good, -1)}>
                  <Icon name="minus" size={16} />
                </button>
                <output>{quantity}</output>
                <button type="button" aria-label="One more" onClick={() => put(good, 1)}>
                  <Icon name="plus" size={16} />
                </button>
              </span>
            </li>
          ))}
          {basket.length === 0 && <li class="nothing">Tap what the customer takes.</li>}
        </ul>
        <label class="check">
          <input type="checkbox" checked={tips} onChange={(event) => setTips(event.currentTarget.checked)} />
          Ask for a tip
        </label>
        <p class="total">
          <span>Total</span>
          <strong>{text(total.withExponent(exponentOf(currency)))}</strong>
        </p>
        <Trouble problem={action.problem} />
        <Button kind="primary" wide busy={action.busy} disabled={total.sign() <= 0} onClick={() => void charge()}>
          Charge
        </Button>
      </section>
      {basket.length > 0 && (
        <section class="till-bar" aria-label="Charge">
          <p>
            <small class="muted">Total</small>
            <strong>{text(total.withExponent(exponentOf(currency)))}</strong>
          </p>
          <Button kind="primary" busy={action.busy} disabled={total.sign() <= 0} onClick={() => void charge()}>
            Charge
          </Button>
        </section>
      )}
    </div>
  );
}

function Count({ of }: { of: number }) {
  return of === 0 ? null : <span class="count-badge">{of}</span>;
}

function NewGood({ currency, onAdd }: { currency: string; onAdd: (good: Good) => void }) {
  const [name, setName] = useState("");
  const [typed, setTyped] = useState("");
  const price = readAmount(typed, currency);
  const add = () => {
    if (price instanceof Money && name.trim() !== "") {
      onAdd({ name: name.trim(), price });
      setName("");
      setTyped("");
    }
  };
  return (
    <Form class="new-good" aria-label="New good" onSubmit={add}>
      <Field label="Something else" value={name} onInput={setName} input={{ maxLength: 80, placeholder: "Name" }} />
      <Field label="Price" value={typed} onInput={setTyped} error={price === "wrong" ? "Such as 3.50" : undefined} input={{ inputMode: "decimal", placeholder: "0.00", class: "digits" }} />
      <Button type="submit" icon="plus" disabled={!(price instanceof Money) || name.trim() === ""}>
        Add
      </Button>
    </Form>
  );
}

/** Returns a basket with more or less of something. */
function withChange(lines: readonly Line[], good: Good, change: number): Line[] {
  if (!lines.some((line) => line.good.name === good.name)) {
    return [...lines, { good, quantity: change }].filter(({ quantity }) => quantity > 0);
  }
  return lines
    .map((line) => (line.good.name === good.name ? { good, quantity: line.quantity + change } : line))
    .filter(({ quantity }) => quantity > 0);
}
