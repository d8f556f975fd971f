/**
 * Bounds what is done for one caller: it ends when the caller's signal is aborted
 * or the time is up.
 */
export class Scope {
  private readonly controller = new AbortController();
  private readonly deadline: number;
  private readonly timer: ReturnType<typeof setTimeout> | undefined;
  private readonly onAbort = () => this.controller.abort(this.parent?.reason);

  /** A time of 0, or none, is all the time in the world. */
  constructor(
    private readonly parent?: AbortSignal,
    timeoutMs = 0,
  ) {
    this.deadline = timeoutMs > 0 ? Date.now() + timeoutMs : Infinity;
    if (timeoutMs > 0) {
      this.timer = setTimeout(() => this.controller.abort(), timeoutMs);
    }
    parent?.addEventListener("abort", this.onAbort);
    if (parent?.aborted) {
      this.onAbort();
    }
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Whether the caller gave up. */
  get canceled(): boolean {
    return this.parent?.aborted ?? false;
  }

  /** How many milliseconds are left. */
  get left(): number {
    return this.deadline - Date.now();
  }

  /** Whether it is over. A timer may go off a millisecond early. */
  get over(): boolean {
    return this.signal.aborted || this.left <= 1;
  }

  /** Ends what still runs in it, and lets go of the caller's signal. */
  end(): void {
    clearTimeout(this.timer);
    this.parent?.removeEventListener("abort", this.onAbort);
    this.controller.abort();
  }

  /**
   * Waits. It gives false at once if the time would be up before, and when the
   * scope ends in the meantime.
   */
  async pause(ms: number): Promise<boolean> {
    return !this.over && this.left > ms && (await sleep(ms, this.signal));
  }
}

/** Waits, and gives true; or false as soon as the signal is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve(false);
      return;
    }
    const wake = (slept: boolean) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      resolve(slept);
    };
    const onAbort = () => wake(false);
    const timer = setTimeout(() => wake(true), ms);
    signal?.addEventListener("abort", onAbort);
  });
}
