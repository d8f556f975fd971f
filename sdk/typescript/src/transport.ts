import { create, type DescMessage, type DescMethodStreaming, type DescMethodUnary, type MessageInitShape } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ContextValues, type StreamResponse, type Transport, type UnaryResponse } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";

import { localFailure, remoteFailure } from "./details.js";
import { type Failure, failureOf, isFailure, TillbookError } from "./error.js";
import { type Fetch, Flight } from "./flight.js";
import { Outcome } from "./gen/tillbook/error/v1/error_pb.js";
import { isKeyed, withKeys } from "./key.js";
import { isPublic, procedureOf } from "./policy.js";
import { backoff, mayRetry, RETRY_AFTER_CAP_MS, settle } from "./retry.js";
import { Scope } from "./scope.js";

/** What calls are made with. */
export interface Credentials {
  /** Returns an access token, or says why there is none. */
  token(scope: Scope): Promise<string | Failure>;
  /** Learns from the failure of a call that was made with the token. */
  heed(token: string, failure: Failure): Promise<void>;
}

/** How calls are made. */
export interface Settings {
  readonly baseUrl: string;
  readonly fetch: Fetch;
  readonly binary: boolean;
  /** How long a call may take with all its retries unless it says so itself. */
  readonly timeoutMs: number;
  readonly retries: number;
}

/**
 * Bounds one attempt of a call that may be repeated, so that a connection that
 * hangs leaves time for a better one.
 */
const ATTEMPT_TIMEOUT_MS = 10_000;

/** One call that is under way. */
interface Call<I extends DescMessage, O extends DescMessage> {
  readonly method: DescMethodUnary<I, O>;
  readonly header: HeadersInit | undefined;
  readonly message: MessageInitShape<I>;
  readonly contextValues: ContextValues | undefined;
  readonly scope: Scope;
}

/**
 * Where every call passes: it adds credentials and idempotency keys, retries, and
 * gives errors their shape.
 */
export class CallTransport implements Transport {
  constructor(
    private readonly settings: Settings,
    private readonly credentials: Credentials,
  ) {}

  /** Makes a call that is answered once. */
  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    input: MessageInitShape<I>,
    contextValues?: ContextValues,
  ): Promise<UnaryResponse<I, O>> {
    const keyed = isKeyed(method.input);
    const { message, key } = prepare(method, input, keyed);
    const scope = new Scope(signal, timeoutMs ?? this.settings.timeoutMs);
    try {
      return await this.repeat({ method, header, message, contextValues, scope }, keyed, key);
    } finally {
      scope.end();
    }
  }

  /** Sends the request, as often as it may be sent and has to be. */
  private async repeat<I extends DescMessage, O extends DescMessage>(
    call: Call<I, O>,
    keyed: boolean,
    key: string,
  ): Promise<UnaryResponse<I, O>> {
    let unknown = false;
    let refreshed = false;
    for (let n = 1; ; ) {
      const bearer = await this.bearer(call.method, call.scope);
      const result = isFailure(bearer) ? { failure: bearer } : await this.attempt(call, bearer);
      if ("response" in result) {
        return result.response;
      }
      const { failure } = result;
      failure.procedure = procedureOf(call.method);
      if (keyed) {
        failure.idempotencyKey = key;
        unknown = settle(failure, unknown);
      }
      if (failure === bearer) {
        throw new TillbookError(failure); // A refresh has retries of its own.
      }
      if (failure.reason === "TOKEN_EXPIRED" && !refreshed) {
        refreshed = true; // Refused before anything else was looked at.
        continue;
      }
      if (n > this.settings.retries || !worthRepeating(call.method, failure)) {
        throw new TillbookError(failure);
      }
      if (!(await call.scope.pause(backoff(n, failure.retryAfterMs, Math.random())))) {
        throw new TillbookError(call.scope.canceled ? canceled(failure) : failure);
      }
      n++;
    }
  }

  /** Sends the request once. */
  private async attempt<I extends DescMessage, O extends DescMessage>(
    { method, header, message, contextValues, scope }: Call<I, O>,
    bearer: string,
  ): Promise<{ response: UnaryResponse<I, O> } | { failure: Failure }> {
    if (scope.over) {
      return { failure: endOf(scope) };
    }
    const flight = new Flight(this.settings.fetch);
    try {
      const timeoutMs = timeoutOf(method, scope);
      const headers = withBearer(header, bearer);
      return { response: await this.over(flight).unary(method, scope.signal, timeoutMs, headers, message, contextValues) };
    } catch (error) {
      const failure = describe(error, flight, scope);
      await this.credentials.heed(bearer, failure);
      return { failure };
    }
  }

  /** Opens a stream. It isn't retried here: only whoever reads it knows where to go on. */
  async stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    input: AsyncIterable<MessageInitShape<I>>,
    contextValues?: ContextValues,
  ): Promise<StreamResponse<I, O>> {
    const scope = new Scope(signal);
    const flight = new Flight(this.settings.fetch);
    const bearer = await this.bearer(method, scope);
    if (isFailure(bearer)) {
      scope.end();
      throw new TillbookError({ ...bearer, procedure: procedureOf(method) });
    }
    const fail = async (error: unknown) => {
      const failure = { ...describe(error, flight, scope), procedure: procedureOf(method) };
      scope.end();
      await this.credentials.heed(bearer, failure);
      return new TillbookError(failure);
    };
    try {
      const headers = withBearer(header, bearer);
      const response = await this.over(flight).stream(method, scope.signal, timeoutMs, headers, input, contextValues);
      return { ...response, message: shaped(response.message, fail, scope) };
    } catch (error) {
      throw await fail(error);
    }
  }

  private over(flight: Flight): Transport {
    const { baseUrl, binary } = this.settings;
    return createConnectTransport({ baseUrl, useBinaryFormat: binary, fetch: flight.fetch });
  }

  /** Returns the token that the call needs, empty if it needs none, or why there is none. */
  private async bearer(method: DescMethodUnary | DescMethodStreaming, scope: Scope): Promise<string | Failure> {
    return isPublic(method) ? "" : await this.credentials.token(scope);
  }
}

/** Makes a message of a request, with an idempotency key if it takes one. */
function prepare<I extends DescMessage>(method: DescMethodUnary<I>, input: MessageInitShape<I>, keyed: boolean) {
  try {
    return keyed ? withKeys(method.input, input) : { message: create(method.input, input), key: "" };
  } catch (error) {
    const failure = failureOf(Code.InvalidArgument, "INVALID_ARGUMENT", ConnectError.from(error).rawMessage, error);
    const outcome = keyed ? Outcome.NOT_EXECUTED : Outcome.UNSPECIFIED;
    throw new TillbookError({ ...failure, procedure: procedureOf(method), outcome });
  }
}

/** Hands on what a stream brings, and gives its error a shape. */
async function* shaped<T>(messages: AsyncIterable<T>, fail: (error: unknown) => Promise<Error>, scope: Scope) {
  try {
    yield* messages;
  } catch (error) {
    throw await fail(error);
  } finally {
    scope.end();
  }
}

function worthRepeating(method: DescMethodUnary, failure: Failure): boolean {
  return failure.retryAfterMs <= RETRY_AFTER_CAP_MS && mayRetry(method.idempotency, failure);
}

/** Returns how long an attempt may take; 0 for all the time that it likes. */
function timeoutOf(method: DescMethodUnary, scope: Scope): number {
  const repeatable = method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
  const timeoutMs = Math.min(scope.left, repeatable ? ATTEMPT_TIMEOUT_MS : Infinity);
  return timeoutMs === Infinity ? 0 : Math.ceil(timeoutMs);
}

function withBearer(header: HeadersInit | undefined, bearer: string): Headers {
  const headers = new Headers(header);
  headers.delete("Authorization");
  if (bearer !== "") {
    headers.set("Authorization", `Bearer ${bearer}`);
  }
  return headers;
}

/** Makes a failure of what an attempt ended with; it tells the caller's impatience from the attempt's. */
function describe(error: unknown, flight: Flight, scope: Scope): Failure {
  const connectError = ConnectError.from(error);
  let failure = remoteFailure(connectError, flight.status);
  if (failure === undefined && scope.over) {
    failure = { ...endOf(scope), cause: error };
  } else if (failure === undefined && !flight.begun) {
    failure = failureOf(Code.InvalidArgument, "INVALID_ARGUMENT", connectError.rawMessage, error);
  }
  failure ??= localFailure(connectError);
  return { ...failure, maybeSent: flight.maybeSent };
}

/** Describes a call that ended because its scope did. */
export function endOf(scope: Scope): Failure {
  return scope.canceled
    ? failureOf(Code.Canceled, "CANCELED", "the call was canceled")
    : failureOf(Code.DeadlineExceeded, "DEADLINE_EXCEEDED", "the deadline passed before an answer came");
}

/** Describes a call that was canceled while it waited to be sent again. */
function canceled(failure: Failure): Failure {
  return { ...failure, code: Code.Canceled, reason: "CANCELED", rawMessage: "the call was canceled", fields: [] };
}
