import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions, Client } from "@connectrpc/connect";

import { present } from "./auth.js";
import type { Checkout } from "./gen/tillbook/checkout/v1/checkout_pb.js";
import type { Receipt } from "./gen/tillbook/seal/v1/seal_pb.js";
import type { Balance, Hold, PaymentRequest, RecipientSchema, Transaction } from "./gen/tillbook/wallet/v1/wallet_pb.js";
import {
  type CreatePaymentRequestRequestSchema,
  type CreatePaymentCodeResponse,
  type ExportStatementRequestSchema,
  type GetCheckoutRequestSchema,
  type GetCheckoutResponse,
  type GetLimitsResponse,
  ListHoldsRequestSchema,
  ListPaymentRequestsRequestSchema,
  ListTransactionsRequestSchema,
  type PayCheckoutRequestSchema,
  type PayCheckoutResponse,
  type PayPaymentRequestRequestSchema,
  type RefundTransactionRequestSchema,
  type ResolveRecipientResponse,
  type TransferRequestSchema,
  type WalletService,
  type WatchWalletResponse,
} from "./gen/tillbook/wallet/v1/wallet_service_pb.js";
import type { Money } from "./money.js";
import { pages } from "./page.js";
import { resuming, type WatchOptions } from "./watch.js";

/** Names who gets paid or is asked. */
export type RecipientInit = MessageInitShape<typeof RecipientSchema>;

/** Names a recipient by phone number with country code. */
export function toPhone(phoneNumber: string): RecipientInit {
  return { recipient: { case: "phoneNumber", value: phoneNumber } };
}

/** Names a recipient by username. */
export function toUsername(username: string): RecipientInit {
  return { recipient: { case: "username", value: username } };
}

/** Names a recipient by user id. */
export function toUser(userId: string): RecipientInit {
  return { recipient: { case: "userId", value: userId } };
}

/** What a watch yields: a snapshot to begin with, a transaction, or a change of what is held. */
export type WalletEvent = WatchWalletResponse & {
  event: Extract<WatchWalletResponse["event"], { case: "snapshot" | "change" | "holdChange" }>;
};

/** Shows and moves the money of whoever is signed in. */
export class Wallet {
  constructor(private readonly rpc: Client<typeof WalletService>) {}

  /** Returns the balance of every asset that the user ever had, ordered by asset and all read at one moment. */
  async balances(options?: CallOptions): Promise<Balance[]> {
    return (await this.rpc.getWallet({}, options)).balances;
  }

  /** Finds who would be paid, so that the payer can check the name first. */
  async resolve(recipient: RecipientInit, options?: CallOptions): Promise<ResolveRecipientResponse> {
    return await this.rpc.resolveRecipient({ recipient }, options);
  }

  /**
   * Pays another user. A request without an idempotency key gets one of its own,
   * which is kept across the automatic retries, so that the money moves once or not
   * at all. If even they can't find out which, the error's outcome is UNKNOWN: send
   * the request again with the error's idempotencyKey.
   */
  async transfer(
    request: MessageInitShape<typeof TransferRequestSchema>,
    options?: CallOptions,
  ): Promise<Transaction> {
    return present((await this.rpc.transfer(request, options)).transaction);
  }

  /** Returns one of the user's transactions. */
  async transaction(transactionId: string, options?: CallOptions): Promise<Transaction> {
    return present((await this.rpc.getTransaction({ transactionId }, options)).transaction);
  }

  /** Lists the user's transactions that pass the request's filters, newest first. */
  transactions(
    request: MessageInitShape<typeof ListTransactionsRequestSchema> = {},
    options?: CallOptions,
  ): AsyncGenerator<Transaction, void> {
    const page = clone(ListTransactionsRequestSchema, create(ListTransactionsRequestSchema, request));
    return pages(async (pageToken) => {
      const { transactions, nextPageToken } = await this.rpc.listTransactions({ ...page, pageToken }, options);
      return { items: transactions, nextPageToken };
    }, page.pageToken);
  }

  /**
   * Yields a snapshot of the wallet and then each change as it commits. It opens
   * the stream again by itself and goes on where it was: nothing is missed and
   * nothing repeated, so a sum over the changes is right. See {@link resuming}.
   */
  async *watch(options: WatchOptions = {}): AsyncGenerator<WalletEvent, void> {
    const events = resuming((resumeToken, signal) => this.rpc.watchWallet({ resumeToken }, { signal }), options);
    for await (const event of events) {
      if (isNews(event)) {
        yield event;
      }
    }
  }

  /**
   * Gives back a payment that the user received, or a part of it. Idempotency keys
   * and unknown outcomes work as with transfer.
   */
  async refund(
    request: MessageInitShape<typeof RefundTransactionRequestSchema>,
    options?: CallOptions,
  ): Promise<Transaction> {
    return present((await this.rpc.refundTransaction(request, options)).transaction);
  }

  /** Asks another user for money. */
  async requestPayment(
    request: MessageInitShape<typeof CreatePaymentRequestRequestSchema>,
    options?: CallOptions,
  ): Promise<PaymentRequest> {
    return present((await this.rpc.createPaymentRequest(request, options)).paymentRequest);
  }

  /** Pays what the user was asked for. Idempotency keys and unknown outcomes work as with transfer. */
  async payRequest(
    request: MessageInitShape<typeof PayPaymentRequestRequestSchema>,
    options?: CallOptions,
  ): Promise<Transaction> {
    return present((await this.rpc.payPaymentRequest(request, options)).transaction);
  }

  /** Refuses to pay what the user was asked for. */
  async declineRequest(paymentRequestId: string, options?: CallOptions): Promise<PaymentRequest> {
    return present((await this.rpc.declinePaymentRequest({ paymentRequestId }, options)).paymentRequest);
  }

  /** Takes back what the user asked for. */
  async cancelRequest(paymentRequestId: string, options?: CallOptions): Promise<PaymentRequest> {
    return present((await this.rpc.cancelPaymentRequest({ paymentRequestId }, options)).paymentRequest);
  }

  /** Returns a request that the user sent or received. */
  async paymentRequest(paymentRequestId: string, options?: CallOptions): Promise<PaymentRequest> {
    return present((await this.rpc.getPaymentRequest({ paymentRequestId }, options)).paymentRequest);
  }

  /** Lists the requests that the user sent or received and that pass the filter, newest first. */
  paymentRequests(
    request: MessageInitShape<typeof ListPaymentRequestsRequestSchema> = {},
    options?: CallOptions,
  ): AsyncGenerator<PaymentRequest, void> {
    const page = clone(ListPaymentRequestsRequestSchema, create(ListPaymentRequestsRequestSchema, request));
    return pages(async (pageToken) => {
      const { paymentRequests, nextPageToken } = await this.rpc.listPaymentRequests({ ...page, pageToken }, options);
      return { items: paymentRequests, nextPageToken };
    }, page.pageToken);
  }

  /**
   * Finds a sale by its id, its code or the QR text that was scanned. A store's own
   * QR text finds the store, and no checkout.
   */
  async checkout(
    by: MessageInitShape<typeof GetCheckoutRequestSchema>["by"],
    options?: CallOptions,
  ): Promise<GetCheckoutResponse> {
    return await this.rpc.getCheckout(by === undefined ? {} : { by }, options);
  }

  /**
   * Pays a sale, or authorizes it if its capture is MANUAL. Idempotency keys and
   * unknown outcomes work as with transfer.
   */
  async payCheckout(
    request: MessageInitShape<typeof PayCheckoutRequestSchema>,
    options?: CallOptions,
  ): Promise<PayCheckoutResponse> {
    return await this.rpc.payCheckout(request, options);
  }

  /** Refuses to pay a sale. */
  async declineCheckout(checkoutId: string, options?: CallOptions): Promise<Checkout> {
    return present((await this.rpc.declineCheckout({ checkoutId }, options)).checkout);
  }

  /** Returns a code for a terminal to scan, which pays one sale up to an amount. The last one ends. */
  async paymentCode(maximum: Money, options?: CallOptions): Promise<CreatePaymentCodeResponse> {
    return await this.rpc.createPaymentCode({ maximum }, options);
  }

  /** Lists the holds on the user's money that pass the filter, newest first. */
  holds(
    request: MessageInitShape<typeof ListHoldsRequestSchema> = {},
    options?: CallOptions,
  ): AsyncGenerator<Hold, void> {
    const page = clone(ListHoldsRequestSchema, create(ListHoldsRequestSchema, request));
    return pages(async (pageToken) => {
      const { holds, nextPageToken } = await this.rpc.listHolds({ ...page, pageToken }, options);
      return { items: holds, nextPageToken };
    }, page.pageToken);
  }

  /** Returns the user's tier and the limits on their money of an asset, or of all, with what is used of them. */
  async limits(asset = "", options?: CallOptions): Promise<GetLimitsResponse> {
    return await this.rpc.getLimits({ asset }, options);
  }

  /** Returns the proof that one of the user's transactions is sealed. */
  async receipt(transactionId: string, options?: CallOptions): Promise<Receipt> {
    return present((await this.rpc.getReceipt({ transactionId }, options)).receipt);
  }

  /**
   * Yields a statement of the user's account of an asset piece by piece, as it
   * arrives. The pieces are a whole document only if no error ends them; after one,
   * begin again.
   */
  async *exportStatement(
    request: MessageInitShape<typeof ExportStatementRequestSchema>,
    options?: CallOptions,
  ): AsyncGenerator<Uint8Array, void> {
    for await (const { chunk } of this.rpc.exportStatement(request, options)) {
      yield chunk;
    }
  }
}

function isNews(event: WatchWalletResponse): event is WalletEvent {
  return event.event.case !== undefined && event.event.case !== "heartbeat";
}
