import { type Checkout, CheckoutState, type GetDayReportResponse } from "@tillbook/sdk";

import { client } from "../client.js";
import { dateOf } from "../ui/when.js";

/** A sale can be paid this long after it was made. */
const MAX_WAIT_MS = 24 * 60 * 60 * 1000;

/** Returns the date, as YYYY-MM-DD, that a moment has in a time zone. */
export function dateIn(timeZone: string, moment: Date): string {
  return new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" }).format(moment);
}

/** Returns the hour of the day, 0 to 23, that a moment has in a time zone. */
export function hourIn(timeZone: string, moment: Date): number {
  return Number(new Intl.DateTimeFormat("en", { timeZone, hour: "2-digit", hourCycle: "h23" }).format(moment));
}

/** Returns the sales that were paid on a report's day, newest first. */
export async function salesOf(merchantId: string, { startTime, endTime }: GetDayReportResponse): Promise<Checkout[]> {
  const sales: Checkout[] = [];
  if (startTime === undefined || endTime === undefined) {
    return sales;
  }
  const [start, end] = [dateOf(startTime).getTime(), dateOf(endTime).getTime()];
  for await (const checkout of client.merchants.checkouts({ merchantId, state: CheckoutState.SUCCEEDED, pageSize: 200 })) {
    if (checkout.createTime === undefined || dateOf(checkout.createTime).getTime() < start - MAX_WAIT_MS) {
      break;
    }
    const paid = checkout.closeTime === undefined ? 0 : dateOf(checkout.closeTime).getTime();
    if (start <= paid && paid < end) {
      sales.push(checkout);
    }
  }
  return sales;
}
