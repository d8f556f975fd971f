/**
 * The client of Tillbook, a wallet and point-of-sale platform. See {@link Client},
 * {@link Money} and {@link TillbookError}; README.md shows them at work.
 *
 * @packageDocumentation
 */
export { Code, type CallOptions } from "@connectrpc/connect";

export { Auth, type ChallengeId } from "./auth.js";
export { Client, type ClientOptions } from "./client.js";
export { type Failure, type FieldViolation, isTillbookError, type Reason, TillbookError } from "./error.js";
export type { Fetch } from "./flight.js";
export { newIdempotencyKey } from "./key.js";
export { type MerchantEvent, Merchants } from "./merchants.js";
export { type AssetScale, Money, MoneyError } from "./money.js";
export { type Page, pages } from "./page.js";
export { Sandbox } from "./sandbox.js";
export { type SessionStore, WebStore } from "./store.js";
export { type RecipientInit, toPhone, toUser, toUsername, Wallet, type WalletEvent } from "./wallet.js";
export { resuming, type WatchOptions } from "./watch.js";

export type { Challenge, Session, SessionSummary, User } from "./gen/tillbook/auth/v1/auth_pb.js";
export {
  CaptureMode,
  type Checkout,
  CheckoutExpiry,
  type CheckoutItem,
  CheckoutState,
  type Payment,
} from "./gen/tillbook/checkout/v1/checkout_pb.js";
export { ErrorReason, Outcome } from "./gen/tillbook/error/v1/error_pb.js";
export type { LimitUsage } from "./gen/tillbook/limit/v1/limit_pb.js";
export { type Merchant, type MerchantBalance, Role, type Settlement, type Store, type Totals } from "./gen/tillbook/merchant/v1/merchant_pb.js";
export type { GetDayReportResponse, GetMerchantResponse } from "./gen/tillbook/merchant/v1/merchant_service_pb.js";
export type { Message } from "./gen/tillbook/sandbox/v1/sandbox_pb.js";
export type { Receipt } from "./gen/tillbook/seal/v1/seal_pb.js";
export { StatementFormat } from "./gen/tillbook/statement/v1/statement_pb.js";
export {
  type Balance,
  type Counterparty,
  type Hold,
  HoldState,
  type PaymentRequest,
  PaymentRequestState,
  type Transaction,
  TransactionKind,
} from "./gen/tillbook/wallet/v1/wallet_pb.js";
export type {
  CreatePaymentCodeResponse,
  GetCheckoutResponse,
  GetLimitsResponse,
  PayCheckoutResponse,
  ResolveRecipientResponse,
} from "./gen/tillbook/wallet/v1/wallet_service_pb.js";
