/** Sends HTTP requests: the global fetch, or one like it. */
export type Fetch = typeof globalThis.fetch;

/**
 * Follows one request on its way out, because what may be done after a failure
 * hangs on whether the server can have seen the request.
 */
export class Flight {
  /** The HTTP status of the answer; 0 if there was none. */
  status = 0;
  /** Whether the request was handed to fetch. */
  begun = false;
  private unconnected = false;

  constructor(private readonly send: Fetch) {}

  /** Whether the server can have seen the request. In doubt it can. */
  get maybeSent(): boolean {
    return this.begun && !this.unconnected;
  }

  /** Sends the request. */
  readonly fetch: Fetch = async (input, init) => {
    this.begun = true;
    try {
      const response = await this.send(input, init);
      this.status = response.status;
      return response;
    } catch (error) {
      this.unconnected = neverConnected(error);
      throw error;
    }
  };
}

/**
 * Whether an error of fetch says that no connection came about. Node says it in
 * the cause; browsers tell nobody, so that in them nothing counts as unsent.
 */
function neverConnected(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 5) {
    return false;
  }
  const { syscall, code, errors } = error as Error & { syscall?: string; code?: string; errors?: unknown[] };
  if (syscall === "connect" || syscall === "getaddrinfo" || code === "UND_ERR_CONNECT_TIMEOUT") {
    return true;
  }
  if (Array.isArray(errors) && errors.length > 0) {
    return errors.every((each) => neverConnected(each, depth + 1));
  }
  return neverConnected(error.cause, depth + 1);
}
