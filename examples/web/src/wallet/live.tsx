import { type Balance, Money, type Transaction } from "@tillbook/sdk";
import { type ComponentChildren, createContext } from "preact";
import { useContext, useEffect, useRef, useState } from "preact/hooks";

import { client } from "../client.js";
import type { Problem } from "../failure.js";
import { useSession } from "../session.js";

const PAGE = 30;

/** The wallet as it is now. */
export interface Wallet {
  /** One an asset, ordered by asset; undefined until they are known. */
  readonly balances: readonly Balance[] | undefined;
  /** The newest transactions; undefined until they are known. */
  readonly transactions: readonly Transaction[] | undefined;
  /** The ids of those that came while one was looking. */
  readonly arrived: ReadonlySet<string>;
  /** Whether there are older ones. */
  readonly more: boolean;
  readonly problem: Problem | undefined;
  older(): void;
}

const Context = createContext<Wallet | undefined>(undefined);

/** Returns the wallet of whoever is signed in. */
export function useWallet(): Wallet {
  const wallet = useContext(Context);
  if (wallet === undefined) {
    throw new Error("no wallet");
  }
  return wallet;
}

/** Watches the wallet for all that is inside. */
export function WalletGate({ children }: { children: ComponentChildren }) {
  const { heed, user } = useSession();
  const [balances, setBalances] = useState<readonly Balance[]>();
  const [transactions, setTransactions] = useState<readonly Transaction[]>();
  const [arrived, setArrived] = useState<ReadonlySet<string>>(new Set());
  const [more, setMore] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const list = useRef<AsyncGenerator<Transaction, void>>();

  const older = async () => {
    try {
      list.current ??= client.wallet.transactions({ pageSize: PAGE });
      const page = await take(list.current, PAGE);
      setTransactions((known) => merge(known ?? [], page));
      setMore(page.length === PAGE);
    } catch (error) {
      list.current = undefined;
      setProblem(heed(error));
    }
  };
  const follow = async (signal: AbortSignal) => {
    for await (const { event } of client.wallet.watch({ signal })) {
      switch (event.case) {
        case "snapshot":
          setBalances(event.value.balances);
          break;
        case "change": {
          const { transaction } = event.value;
          if (transaction !== undefined) {
            setTransactions((known) => merge([transaction], known ?? []));
            setArrived((ids) => new Set(ids).add(transaction.transactionId));
          }
          setBalances(await client.wallet.balances({ signal }));
          break;
        }
        case "holdChange": {
          const { balance } = event.value;
          if (balance !== undefined) {
            setBalances((known) => replace(known ?? [], balance));
          }
          break;
        }
      }
    }
  };
  useEffect(() => {
    const control = new AbortController();
    void older();
    follow(control.signal).catch((error: unknown) => {
      if (!control.signal.aborted) {
        setProblem(heed(error));
      }
    });
    return () => control.abort();
  }, [user.userId]);

  const wallet: Wallet = { balances, transactions, arrived, more, problem, older: () => void older() };
  return <Context.Provider value={wallet}>{children}</Context.Provider>;
}

/** What can be spent of an asset. */
export function availableOf(balances: readonly Balance[] | undefined, asset: string): Money {
  const balance = balances?.find(({ total }) => total?.asset === asset);
  return balance?.available === undefined ? Money.zero(asset) : Money.from(balance.available);
}

async function take<T>(generator: AsyncGenerator<T, void>, count: number): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < count) {
    const next = await generator.next();
    if (next.done) {
      break;
    }
    taken.push(next.value);
  }
  return taken;
}

/** Puts older ones behind newer ones, each once. */
function merge(newer: readonly Transaction[], older: readonly Transaction[]): readonly Transaction[] {
  const known = new Set(newer.map(({ transactionId }) => transactionId));
  return [...newer, ...older.filter(({ transactionId }) => !known.has(transactionId))];
}

function replace(balances: readonly Balance[], balance: Balance): readonly Balance[] {
  const others = balances.filter(({ total }) => total?.asset !== balance.total?.asset);
  return [...others, balance].sort((a, b) => ((a.total?.asset ?? "") < (b.total?.asset ?? "") ? -1 : 1));
}
