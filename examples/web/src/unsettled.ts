import { isTillbookError, Money } from "@tillbook/sdk";

import { client } from "./client.js";
import { PageError } from "./failure.js";

const { wallet, merchants } = client;

/** What moves money, by names that must stay what they are: storages keep them. */
const CALLS = {
  transfer: (request: Parameters<typeof wallet.transfer>[0]) => wallet.transfer(request),
  payCheckout: (request: Parameters<typeof wallet.payCheckout>[0]) => wallet.payCheckout(request),
  refundCheckout: (request: Parameters<typeof merchants.refundCheckout>[0]) => merchants.refundCheckout(request),
};

type Call = keyof typeof CALLS;
type Answer<C extends Call> = Awaited<ReturnType<(typeof CALLS)[C]>>;

/** A request that moves money. */
export interface Payment<C extends Call = Call> {
  readonly call: C;
  readonly request: Parameters<(typeof CALLS)[C]>[0] & { readonly idempotencyKey: string };
  /** It in words, such as "12.50 USD to B•• B••". */
  readonly words: string;
}

/** Told on window when there is something to find out first. */
export const UNSETTLED = "unsettled";

/**
 * Moves money once, whatever happens to the page meanwhile. While a user's earlier
 * payment is open, of another tab or another screen, nothing is sent: that one is shown
 * instead, and this promise stays open with the screen that it was made on.
 */
export async function pay<C extends Call>(userId: string, payment: Payment<C>): Promise<Answer<C>> {
  if (unsettled(userId).some(({ request }) => request.idempotencyKey !== payment.request.idempotencyKey)) {
    dispatchEvent(new Event(UNSETTLED));
    return await new Promise<never>(() => undefined);
  }
  return await settle(userId, payment, localStorage.getItem(nameOf(userId, payment)) !== null);
}

/**
 * Sends a request, or sends it again. From before it is sent until its outcome
 * is known it is in the storage, with its key. What is sent is what is stored.
 */
export async function settle<C extends Call>(userId: string, payment: Payment<C>, again: boolean): Promise<Answer<C>> {
  const name = nameOf(userId, payment);
  const send = CALLS[payment.call] as unknown as (request: Payment<C>["request"]) => Promise<Answer<C>>;
  const text = JSON.stringify(payment, plain);
  keep(name, text);
  try {
    const { request } = JSON.parse(text) as Payment<C>;
    const answer = await send(request);
    localStorage.removeItem(name);
    return answer;
  } catch (error) {
    // A refusal of the second request says nothing of the first, unless it was decided under their key.
    if (isTillbookError(error) && (error.decided || (!again && !error.is("OUTCOME_UNKNOWN")))) {
      localStorage.removeItem(name);
    }
    if (again && !isTillbookError(error)) {
      throw new PageError("This page can't make sense of what it kept of the payment, so it can't ask again.", { cause: error });
    }
    throw error;
  }
}

function keep(name: string, text: string): void {
  try {
    localStorage.setItem(name, text);
  } catch {
    throw new PageError("This browser has no room left to remember the payment, so it wasn't sent. Make room on this device, or pay from another one.");
  }
}

/** Returns the user's payments of which nobody knows what became. */
export function unsettled(userId: string): readonly Payment[] {
  const names = Array.from({ length: localStorage.length }, (_, n) => localStorage.key(n) ?? "");
  return names.filter((name) => name.startsWith(prefixOf(userId))).sort().flatMap((name) => {
    const text = localStorage.getItem(name);
    return text === null ? [] : [read(name.slice(prefixOf(userId).length), text)];
  });
}

/** Reads what is kept under a key. What can't be read still stands for a payment, which a person has to look for. */
function read(key: string, text: string): Payment {
  try {
    const payment = JSON.parse(text) as Payment;
    if (payment.request.idempotencyKey === key && typeof payment.words === "string") {
      return payment;
    }
  } catch {
    // It is no payment either.
  }
  return { call: "unreadable" as Call, request: { idempotencyKey: key }, words: "A payment that this page can't read" };
}

/** Gives up to find out what became of a payment. */
export function forget(userId: string, payment: Payment): void {
  localStorage.removeItem(nameOf(userId, payment));
}

function nameOf(userId: string, { request }: Payment): string {
  return prefixOf(userId) + request.idempotencyKey;
}

function prefixOf(userId: string): string {
  return `tillbook.unsettled.${userId}.`;
}

/** Money would write itself as a text, which requests don't take. */
function plain(this: unknown, name: string, value: unknown): unknown {
  const was = (this as Record<string, unknown>)[name];
  return was instanceof Money ? { asset: was.asset, amount: was.amount } : value;
}
