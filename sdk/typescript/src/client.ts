import type { DescService } from "@bufbuild/protobuf";
import { createClient, type Client as ServiceClient, type Transport } from "@connectrpc/connect";

import { Auth, present } from "./auth.js";
import { type Failure, TillbookError } from "./error.js";
import type { Fetch } from "./flight.js";
import type { Session } from "./gen/tillbook/auth/v1/auth_pb.js";
import { AuthService } from "./gen/tillbook/auth/v1/auth_service_pb.js";
import { MerchantService } from "./gen/tillbook/merchant/v1/merchant_service_pb.js";
import { SandboxService } from "./gen/tillbook/sandbox/v1/sandbox_service_pb.js";
import { WalletService } from "./gen/tillbook/wallet/v1/wallet_service_pb.js";
import { Merchants } from "./merchants.js";
import { Sandbox } from "./sandbox.js";
import { Sessions } from "./session.js";
import type { SessionStore } from "./store.js";
import { CallTransport } from "./transport.js";
import { Wallet } from "./wallet.js";

/** How a {@link Client} works. */
export interface ClientOptions {
  /** Where the server is, such as "https://api.example.com". */
  readonly baseUrl: string;
  /** Sends HTTP requests. Default: the global fetch. */
  readonly fetch?: Fetch;
  /** Keeps the session across restarts. By default it ends with the program. */
  readonly store?: SessionStore;
  /** How messages look on the wire: "json", the default, or "binary", which is smaller. */
  readonly format?: "json" | "binary";
  /**
   * How long a call may take with all its retries when its own options don't say,
   * in milliseconds. Default: 30,000. Streams take as long as they like.
   */
  readonly timeoutMs?: number;
  /** How often a call that may be repeated is sent again after it failed: 4 by default, 0 to 10. */
  readonly retries?: number;
}

/**
 * Talks to one Tillbook server for one person. Make one and keep it, since it holds
 * the session.
 */
export class Client {
  /** Registers people and signs them in and out. */
  readonly auth: Auth;
  /** Shows and moves the money of whoever is signed in. */
  readonly wallet: Wallet;
  /** Sells, for the merchants that whoever is signed in owns or works for. */
  readonly merchants: Merchants;
  /** Stands in for the outside world on servers that run with a sandbox. */
  readonly sandbox: Sandbox;
  /** What all calls go through: it adds credentials, idempotency keys, retries and the shape of errors. */
  readonly transport: Transport;

  private readonly sessions: Sessions;

  constructor(options: ClientOptions) {
    this.sessions = new Sessions(options.store, (token, timeoutMs, signal) => this.refresh(token, timeoutMs, signal));
    this.transport = new CallTransport(settingsOf(options), this.sessions);
    this.auth = new Auth(this.service(AuthService), this.sessions);
    this.wallet = new Wallet(this.service(WalletService));
    this.merchants = new Merchants(this.service(MerchantService));
    this.sandbox = new Sandbox(this.service(SandboxService));
  }

  /**
   * Returns a client of any service of the API, for what this package has no
   * methods for: its calls have the same credentials, idempotency keys, retries and
   * errors.
   */
  service<S extends DescService>(service: S): ServiceClient<S> {
    return createClient(service, this.transport);
  }

  /** Returns a copy of the session, which holds secrets; undefined if there is none. */
  session(): Promise<Session | undefined> {
    return this.sessions.export();
  }

  /** Ends a refresh that is under way and lets no other begin. It doesn't sign out, and calls that are under way go on. */
  close(): void {
    this.sessions.close();
  }

  /** Makes one attempt to exchange a refresh token. */
  private async refresh(refreshToken: string, timeoutMs: number, signal: AbortSignal): Promise<Session | Failure> {
    try {
      const { session } = await this.service(AuthService).refresh({ refreshToken }, { timeoutMs, signal });
      return present(session);
    } catch (error) {
      if (error instanceof TillbookError) {
        return error;
      }
      throw error;
    }
  }
}

function settingsOf(options: ClientOptions) {
  const { baseUrl, format = "json", timeoutMs = 30_000, retries = 4 } = options;
  checkBaseUrl(baseUrl);
  if (!(timeoutMs > 0)) {
    throw new RangeError(`tillbook: the timeout of ${timeoutMs} ms isn't positive`);
  }
  if (!Number.isInteger(retries) || retries < 0 || retries > 10) {
    throw new RangeError(`tillbook: ${retries} retries: there can be 0 to 10`);
  }
  const fetch: Fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  return { baseUrl, binary: format === "binary", timeoutMs, retries, fetch };
}

function checkBaseUrl(baseUrl: string): void {
  const url = new URL(baseUrl);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new TypeError(`tillbook: the base URL "${baseUrl}" is not like https://api.example.com`);
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new TypeError("tillbook: the base URL carries a user, a query or a fragment");
  }
}
