import { clone, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";

import { type Failure, failureOf, isFailure } from "./error.js";
import { type Session, SessionSchema } from "./gen/tillbook/auth/v1/auth_pb.js";
import { backoff } from "./retry.js";
import { Scope } from "./scope.js";
import type { SessionStore } from "./store.js";
import { type Credentials, endOf } from "./transport.js";

/** How long before its end an access token is replaced, in the background, while calls still use it. */
const REFRESH_AHEAD_MS = 60_000;
/**
 * How old a token must be before the local clock may call it expired. A clock that
 * is wrong would otherwise replace each token at once; so it waits until the
 * server says so.
 */
const SETTLED_AGE_MS = 60_000;
/** How long a token that is still good is used after a refresh failed, before the next one. */
const REFRESH_PAUSE_MS = 5_000;
/** Bounds a refresh with its retries. */
const REFRESH_TIMEOUT_MS = 15_000;
/**
 * How long after a refresh token may have been used it is safe to use it again. The
 * server forgives an immediate repetition, so that a lost answer costs nothing,
 * and takes a later one for theft.
 */
const REFRESH_GRACE_MS = 3_000;

/** Makes one attempt to exchange a refresh token. */
export type Refresh = (refreshToken: string, timeoutMs: number, signal: AbortSignal) => Promise<Session | Failure>;

/**
 * Keeps the tokens of whoever is signed in and renews them: for any number of
 * callers there is one refresh at a time.
 */
export class Sessions implements Credentials {
  private current: Session | undefined; // Never modified once it is here.
  private since = 0; // When current came from the server.
  private rejected = ""; // The access token that the server called expired.
  private failedAt = 0; // When a refresh last failed.
  private ended: Failure | undefined; // Why the session ended, until the next sign-in.
  private renewal: Promise<Failure | undefined> | undefined; // The refresh under way.
  private loading: Promise<void> | undefined;
  private saving: Promise<void> = Promise.resolve();
  private readonly closed = new AbortController();

  constructor(
    private readonly store: SessionStore | undefined,
    private readonly refresh: Refresh,
  ) {}

  /** Returns an access token. It waits for a refresh if there is no other way. */
  async token(scope: Scope): Promise<string | Failure> {
    try {
      await this.load();
    } catch (error) {
      return failureOf(Code.Unavailable, "UNAVAILABLE", "the kept session can't be read", error);
    }
    for (;;) {
      const glance = this.glance(Date.now());
      if (!(glance instanceof Promise)) {
        return glance;
      }
      const failure = await Promise.race([glance, whenOver(scope)]);
      if (failure !== undefined) {
        return { ...failure, maybeSent: false };
      }
    }
  }

  /** Learns from the failure of a call that was made with the token. */
  async heed(token: string, failure: Failure): Promise<void> {
    if (token === "" || this.current?.accessToken !== token) {
      return;
    }
    const { sessionId } = this.current;
    if (failure.reason === "TOKEN_EXPIRED") {
      this.rejected = token;
    } else if (failure.reason === "SESSION_REVOKED") {
      this.end(failure);
      await this.saveOwn(sessionId);
    }
  }

  /** Returns a copy of the session; undefined if there is nothing to keep. */
  async export(): Promise<Session | undefined> {
    await this.load();
    return this.current && clone(SessionSchema, this.current);
  }

  /** Takes a new session. It fails if the store does. */
  async signIn(session: Session | undefined): Promise<void> {
    await this.load().catch(() => undefined); // Only the device's token is lost.
    this.adopt(session);
    await this.save();
  }

  /** Forgets the tokens. It fails if the store does. */
  async signOut(): Promise<void> {
    this.end(undefined);
    await this.save();
  }

  /** Ends the refresh under way and lets no further one begin. */
  close(): void {
    this.closed.abort();
  }

  /** Returns the token to use now, why there is none, or the refresh to wait for first. */
  private glance(now: number): string | Failure | Promise<Failure | undefined> {
    const token = this.current?.accessToken ?? "";
    if (this.ended !== undefined || token === "") {
      return { ...(this.ended ?? NOBODY) };
    }
    const state = this.state(now);
    if (state === "stale") {
      return this.renew();
    }
    if (state === "aging" && now - this.failedAt >= REFRESH_PAUSE_MS) {
      void this.renew();
    }
    return token;
  }

  /** Judges the current token: fresh, to be replaced in the background, or to be replaced first. */
  private state(now: number): "fresh" | "aging" | "stale" {
    if (this.current?.accessToken === this.rejected) {
      return "stale";
    }
    if (Math.abs(now - this.since) < SETTLED_AGE_MS) {
      return "fresh";
    }
    const left = lifeOf(this.current, now);
    return left <= 0 ? "stale" : left <= REFRESH_AHEAD_MS ? "aging" : "fresh";
  }

  /** Returns the refresh under way, or begins one. */
  private renew(): Promise<Failure | undefined> {
    if (this.closed.signal.aborted) {
      return Promise.resolve(failureOf(Code.Canceled, "CANCELED", "the client is closed"));
    }
    const old = this.current;
    this.renewal ??= this.locked(() => this.replace(old))
      .catch((error: unknown) => failureOf(Code.Unavailable, "UNAVAILABLE", "the session's lock failed", error))
      .finally(() => (this.renewal = undefined));
    return this.renewal;
  }

  private locked<T>(work: () => Promise<T>): Promise<T> {
    return this.store?.lock === undefined ? work() : this.store.lock(work);
  }

  /** Replaces the tokens, unless somebody who shares the store has done so. */
  private async replace(old: Session | undefined): Promise<Failure | undefined> {
    if (this.current !== old || (await this.adoptFromStore())) {
      return undefined;
    }
    const { refreshToken: used = "", sessionId = "" } = this.current ?? {};
    if (used === "") {
      return { ...NOBODY };
    }
    const result = await this.exchange(used);
    const failure = isFailure(result) ? result : undefined;
    if (failure !== undefined) {
      this.failedAt = Date.now();
    }
    if (this.current?.refreshToken !== used) {
      return undefined; // Somebody signed in or out meanwhile.
    }
    if (!isFailure(result)) {
      this.adopt(result);
    } else if (isFinal(result)) {
      this.end(result);
    } else {
      return failure;
    }
    await this.saveOwn(sessionId);
    return failure;
  }

  /**
   * Trades the refresh token for a new session. It repeats itself only while that
   * is safe: shortly after the server may have seen the token. (While it can't
   * have, the call itself retries.)
   */
  private async exchange(used: string): Promise<Session | Failure> {
    const soon = new Scope(this.closed.signal, REFRESH_GRACE_MS);
    let result = await this.refresh(used, REFRESH_TIMEOUT_MS, this.closed.signal);
    for (let n = 1; isFailure(result) && result.maybeSent && result.code === Code.Unavailable; n++) {
      if (!(await soon.pause(backoff(n, result.retryAfterMs, Math.random())))) {
        break;
      }
      result = await this.refresh(used, Math.max(1, soon.left), this.closed.signal);
    }
    soon.end();
    if (!isFailure(result)) {
      return result;
    }
    const rawMessage = `the session can't be refreshed: ${result.rawMessage}`;
    const late = result.code === Code.DeadlineExceeded || result.code === Code.Canceled; // Not the caller's deadline.
    return late ? { ...result, code: Code.Unavailable, reason: "UNAVAILABLE", rawMessage } : { ...result, rawMessage };
  }

  /** Takes a session, and keeps the device's token if the new one has none. */
  private adopt(session: Session | undefined): void {
    const device = this.current?.deviceToken ?? "";
    this.current = session && clone(SessionSchema, session);
    if (this.current !== undefined) {
      this.current.deviceToken ||= device;
    }
    this.since = Date.now();
    this.rejected = "";
    this.ended = undefined;
  }

  /** Drops all but the device's token. */
  private end(why: Failure | undefined): void {
    const deviceToken = this.current?.deviceToken ?? "";
    this.current = deviceToken === "" ? undefined : { ...EMPTY, deviceToken };
    this.ended = why && { ...failureOf(why.code, "", why.rawMessage, why.cause), reason: why.reason };
  }

  private load(): Promise<void> {
    this.loading ??= (async () => {
      try {
        const kept = await this.read();
        this.current ??= kept;
      } catch (error) {
        this.loading = undefined; // The next call tries again.
        throw error;
      }
    })();
    return this.loading;
  }

  /**
   * Takes what another client got for this session. Only that: nobody else's. It
   * gives whether that can be used at once.
   */
  private async adoptFromStore(): Promise<boolean> {
    const kept = await this.read().catch(() => undefined);
    const mine = this.current;
    const theirs = kept?.sessionId === mine?.sessionId && kept?.refreshToken !== mine?.refreshToken;
    if (!kept?.accessToken || !theirs) {
      return false;
    }
    this.adopt(kept);
    return lifeOf(kept, Date.now()) > 0;
  }

  /** Reads the store; what isn't a session there is none. */
  private async read(): Promise<Session | undefined> {
    const text = await this.store?.load();
    try {
      return text ? fromJsonString(SessionSchema, text, { ignoreUnknownFields: true }) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Hands the session to the store, one at a time and in order. */
  private save(): Promise<void> {
    const text = this.current === undefined ? null : toJsonString(SessionSchema, this.current);
    const saved = this.saving.then(() => this.store?.save(text));
    this.saving = saved.catch(() => undefined);
    return saved;
  }

  /**
   * Saves what became of a session by itself, unless somebody who shares the store
   * began another one there. A store that fails is no reason for a call to.
   */
  private async saveOwn(sessionId: string): Promise<void> {
    const kept = await this.read().catch(() => undefined);
    if (!kept?.sessionId || kept.sessionId === sessionId) {
      await this.save().catch(() => undefined);
    }
  }
}

/** Whether only signing in again helps. */
export function isFinal(failure: { readonly reason: string }): boolean {
  return failure.reason === "SESSION_REVOKED" || failure.reason === "REFRESH_TOKEN_INVALID";
}

/** Returns for how many milliseconds a session's access token is still good by the local clock. */
function lifeOf(session: Session | undefined, now: number): number {
  return session?.accessExpireTime === undefined ? 0 : timestampMs(session.accessExpireTime) - now;
}

const EMPTY = fromJsonString(SessionSchema, "{}");

const NOBODY = failureOf(
  Code.Unauthenticated,
  "UNAUTHENTICATED",
  "nobody is signed in with this client: call auth.login, or auth.register",
);

function whenOver(scope: Scope): Promise<Failure> {
  return new Promise((resolve) => {
    const tell = () => resolve(endOf(scope));
    if (scope.signal.aborted) {
      tell();
    }
    scope.signal.addEventListener("abort", tell, { once: true });
  });
}
