import { type Checkout, CheckoutExpiry, CheckoutState } from "@tillbook/sdk";

/** How a sale stands, for people. */
export interface Standing {
  readonly word: string;
  readonly sentence: string;
  readonly tone: "waiting" | "good" | "bad";
}

/** Says how a sale stands. */
export function stateOf({ state, expiry }: Checkout): Standing {
  switch (state) {
    case CheckoutState.SUCCEEDED:
      return { word: "Paid", sentence: "It is paid.", tone: "good" };
    case CheckoutState.AUTHORIZED:
      return { word: "Set aside", sentence: "The customer's money is set aside until you take it.", tone: "good" };
    case CheckoutState.DECLINED:
      return { word: "Declined", sentence: "The customer chose not to pay.", tone: "bad" };
    case CheckoutState.CANCELED:
      return { word: "Canceled", sentence: "The shop took it back. No money moved.", tone: "bad" };
    case CheckoutState.EXPIRED:
      return { word: "Expired", sentence: EXPIRED[expiry] ?? "Its time is over. No money moved.", tone: "bad" };
    default:
      return { word: "Waiting", sentence: "Waiting for the customer to pay.", tone: "waiting" };
  }
}

const EXPIRED: Partial<Record<CheckoutExpiry, string>> = {
  [CheckoutExpiry.NOT_DELIVERED]: "It never reached its terminal in time. No money moved.",
  [CheckoutExpiry.NOT_ACKNOWLEDGED]: "Its terminal never showed it in time. No money moved.",
  [CheckoutExpiry.NOT_PAID]: "Nobody paid it in time. No money moved.",
  [CheckoutExpiry.NOT_CAPTURED]: "Nobody took the money in time. It is the customer's again.",
};
