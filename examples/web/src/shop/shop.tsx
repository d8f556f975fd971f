import { type Checkout, type Merchant, type Store } from "@tillbook/sdk";
import { type ComponentChildren, createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";

import { client } from "../client.js";
import type { Problem } from "../failure.js";
import { useSession } from "../session.js";
import { Trouble, Waiting } from "../ui/controls.js";
import { Setup } from "./setup.js";

/** The shop at whose counter one stands. */
export interface ShopPlace {
  readonly merchant: Merchant;
  readonly store: Store;
  /** What was made or changed since the page was opened, by id; it is kept up to date. */
  readonly checkouts: ReadonlyMap<string, Checkout>;
  readonly problem: Problem | undefined;
  /** Notes how a checkout stands, as an answer said. */
  note(checkout: Checkout): void;
}

const Context = createContext<ShopPlace | undefined>(undefined);

/** Returns the shop; only components inside of Shop have one. */
export function useShop(): ShopPlace {
  const place = useContext(Context);
  if (place === undefined) {
    throw new Error("no shop");
  }
  return place;
}

type Owned = { merchant: Merchant; store: Store };

/** Finds the user's shop, or asks for what it takes to open one, and watches it. */
export function Shop({ children }: { children: ComponentChildren }) {
  const { heed } = useSession();
  const [owned, setOwned] = useState<Owned | "none">();
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => {
    findShop().then(setOwned, (error: unknown) => setProblem(heed(error)));
  }, []);
  if (problem !== undefined) {
    return (
      <div class="narrow">
        <h1>The counter is closed</h1>
        <Trouble problem={problem} />
      </div>
    );
  }
  if (owned === undefined) {
    return <Waiting lines={6} />;
  }
  return owned === "none" ? <Setup onOpen={(merchant, store) => setOwned({ merchant, store })} /> : <Open {...owned}>{children}</Open>;
}

function Open({ merchant, store, children }: Owned & { children: ComponentChildren }) {
  const { heed } = useSession();
  const [checkouts, setCheckouts] = useState<ReadonlyMap<string, Checkout>>(new Map());
  const [problem, setProblem] = useState<Problem>();
  const note = (checkout: Checkout) => setCheckouts((known) => withNewer(known, checkout));
  useEffect(() => {
    const control = new AbortController();
    const follow = async () => {
      for await (const { event } of client.merchants.watch(merchant.merchantId, { signal: control.signal })) {
        if (event.case === "checkout") {
          note(event.value);
        }
      }
    };
    follow().catch((error: unknown) => {
      if (!control.signal.aborted) {
        setProblem(heed(error));
      }
    });
    return () => control.abort();
  }, [merchant.merchantId]);
  return <Context.Provider value={{ merchant, store, checkouts, problem, note }}>{children}</Context.Provider>;
}

/** Notes how a checkout stands, unless that is known better: an answer can be overtaken by what the watch brings. */
function withNewer(known: ReadonlyMap<string, Checkout>, checkout: Checkout): ReadonlyMap<string, Checkout> {
  const before = known.get(checkout.checkoutId);
  const older = before !== undefined && progressOf(checkout) < progressOf(before);
  return older ? known : new Map(known).set(checkout.checkoutId, checkout);
}

/** How far a checkout has come. States only go up, and refunds only become more. */
function progressOf({ state, payment }: Checkout): number {
  return state * 1000 + (payment?.refundTransactionIds.length ?? 0);
}

/** Returns the newest merchant that has a store. */
async function findShop(): Promise<Owned | "none"> {
  for await (const merchant of client.merchants.list()) {
    for await (const store of client.merchants.stores(merchant.merchantId)) {
      return { merchant, store };
    }
  }
  return "none";
}
