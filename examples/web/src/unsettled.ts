import { isTillbookError, Money } from "@tillbook/sdk";

import { client } from "./client.js";

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
  localStorage.setItem(name, text);
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
    throw error;
  }
}

/** Returns the user's payments of which nobody knows what became. */
export function unsettled(userId: string): readonly Payment[] {
  const names = Array.from({ length: localStorage.length }, (_, n) => localStorage.key(n) ?? "");
  const texts = names.filter((name) => name.startsWith(prefixOf(userId))).sort().map((name) => localStorage.getItem(name));
  return texts.filter((text) => text !== null).map((text) => JSON.parse(text) as Payment);
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
