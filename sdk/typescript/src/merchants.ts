import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions, Client } from "@connectrpc/connect";

import { present } from "./auth.js";
import type { Checkout } from "./gen/tillbook/checkout/v1/checkout_pb.js";
import type { Merchant, Settlement, Store } from "./gen/tillbook/merchant/v1/merchant_pb.js";
import {
  type CaptureCheckoutRequestSchema,
  type CreateCheckoutRequestSchema,
  type CreateMerchantRequestSchema,
  type CreateStoreRequestSchema,
  type ExportDayReportRequestSchema,
  type GetDayReportRequestSchema,
  type GetDayReportResponse,
  type GetMerchantResponse,
  ListCheckoutsRequestSchema,
  type MerchantService,
  type RefundCheckoutRequestSchema,
  type RefundCheckoutResponse,
  type WatchMerchantResponse,
  type WithdrawFundsRequestSchema,
  type WithdrawFundsResponse,
} from "./gen/tillbook/merchant/v1/merchant_service_pb.js";
import { pages } from "./page.js";
import { resuming, type WatchOptions } from "./watch.js";

/** What a watch of a merchant yields: a checkout that was made or changed, or a terminal that needs attention. */
export type MerchantEvent = WatchMerchantResponse & {
  event: Extract<WatchMerchantResponse["event"], { case: "checkout" | "terminalAlert" }>;
};

/**
 * Sells, for the merchants that whoever is signed in owns or works for. Staff,
 * shifts and fee plans are in the generated MerchantService; see Client.service.
 */
export class Merchants {
  constructor(private readonly rpc: Client<typeof MerchantService>) {}

  /** Makes the user the owner of a new merchant. */
  async create(
    request: MessageInitShape<typeof CreateMerchantRequestSchema>,
    options?: CallOptions,
  ): Promise<Merchant> {
    return present((await this.rpc.createMerchant(request, options)).merchant);
  }

  /** Returns a merchant and, for its owner and managers, what it has. */
  async get(merchantId: string, options?: CallOptions): Promise<GetMerchantResponse> {
    return await this.rpc.getMerchant({ merchantId }, options);
  }

  /** Lists the merchants that the user works for, newest first. */
  list(options?: CallOptions): AsyncGenerator<Merchant, void> {
    return pages(async (pageToken) => {
      const { merchants, nextPageToken } = await this.rpc.listMerchants({ pageToken }, options);
      return { items: merchants, nextPageToken };
    });
  }

  /** Adds a store. */
  async createStore(request: MessageInitShape<typeof CreateStoreRequestSchema>, options?: CallOptions): Promise<Store> {
    return present((await this.rpc.createStore(request, options)).store);
  }

  /** Lists a merchant's stores, newest first. */
  stores(merchantId: string, options?: CallOptions): AsyncGenerator<Store, void> {
    return pages(async (pageToken) => {
      const { stores, nextPageToken } = await this.rpc.listStores({ merchantId, pageToken }, options);
      return { items: stores, nextPageToken };
    });
  }

  /**
   * Begins a sale. Show its qrText to the customer, and watch it. As with every
   * request that has one, a missing idempotency key is made up and kept across the
   * automatic retries.
   */
  async createCheckout(
    request: MessageInitShape<typeof CreateCheckoutRequestSchema>,
    options?: CallOptions,
  ): Promise<Checkout> {
    return present((await this.rpc.createCheckout(request, options)).checkout);
  }

  /** Returns a checkout. */
  async checkout(merchantId: string, checkoutId: string, options?: CallOptions): Promise<Checkout> {
    return present((await this.rpc.getCheckout({ merchantId, checkoutId }, options)).checkout);
  }

  /** Lists the checkouts that pass the request's filters, newest first. */
  checkouts(
    request: MessageInitShape<typeof ListCheckoutsRequestSchema>,
    options?: CallOptions,
  ): AsyncGenerator<Checkout, void> {
    const page = clone(ListCheckoutsRequestSchema, create(ListCheckoutsRequestSchema, request));
    return pages(async (pageToken) => {
      const { checkouts, nextPageToken } = await this.rpc.listCheckouts({ ...page, pageToken }, options);
      return { items: checkouts, nextPageToken };
    }, page.pageToken);
  }

  /**
   * Takes a checkout back, or gives an authorized one's money free. It races with
   * the customer; whoever loses gets CHECKOUT_CLOSED.
   */
  async cancelCheckout(merchantId: string, checkoutId: string, options?: CallOptions): Promise<Checkout> {
    return present((await this.rpc.cancelCheckout({ merchantId, checkoutId }, options)).checkout);
  }

  /** Takes the money of an authorized checkout, or a part of it. Unknown outcomes work as with wallet.transfer. */
  async captureCheckout(
    request: MessageInitShape<typeof CaptureCheckoutRequestSchema>,
    options?: CallOptions,
  ): Promise<Checkout> {
    return present((await this.rpc.captureCheckout(request, options)).checkout);
  }

  /** Gives a paid checkout's money back, or a part of it. Unknown outcomes work as with wallet.transfer. */
  async refundCheckout(
    request: MessageInitShape<typeof RefundCheckoutRequestSchema>,
    options?: CallOptions,
  ): Promise<RefundCheckoutResponse> {
    return await this.rpc.refundCheckout(request, options);
  }

  /** Moves available money to the owner's own wallet. Unknown outcomes work as with wallet.transfer. */
  async withdraw(
    request: MessageInitShape<typeof WithdrawFundsRequestSchema>,
    options?: CallOptions,
  ): Promise<WithdrawFundsResponse> {
    return await this.rpc.withdrawFunds(request, options);
  }

  /** Lists the documents about what became available, newest first. */
  settlements(merchantId: string, options?: CallOptions): AsyncGenerator<Settlement, void> {
    return pages(async (pageToken) => {
      const { settlements, nextPageToken } = await this.rpc.listSettlements({ merchantId, pageToken }, options);
      return { items: settlements, nextPageToken };
    });
  }

  /**
   * Yields each checkout of the merchant as it is made or changes, from now on or
   * from a resume token. It opens the stream again by itself and goes on where it
   * was. See {@link resuming}.
   */
  async *watch(merchantId: string, options: WatchOptions = {}): AsyncGenerator<MerchantEvent, void> {
    const events = resuming(
      (resumeToken, signal) => this.rpc.watchMerchant({ merchantId, resumeToken }, { signal }),
      options,
    );
    for await (const event of events) {
      if (isNews(event)) {
        yield event;
      }
    }
  }

  /** Sums a day in the merchant's time zone up. */
  async dayReport(
    request: MessageInitShape<typeof GetDayReportRequestSchema>,
    options?: CallOptions,
  ): Promise<GetDayReportResponse> {
    return await this.rpc.getDayReport(request, options);
  }

  /** Yields a day's sales as CSV piece by piece. They are a whole document only if no error ends them. */
  async *exportDayReport(
    request: MessageInitShape<typeof ExportDayReportRequestSchema>,
    options?: CallOptions,
  ): AsyncGenerator<Uint8Array, void> {
    for await (const { data } of this.rpc.exportDayReport(request, options)) {
      yield data;
    }
  }
}

function isNews(event: WatchMerchantResponse): event is MerchantEvent {
  return event.event.case === "checkout" || event.event.case === "terminalAlert";
}
