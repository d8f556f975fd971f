/**
 * Keeps what has to be kept to stay signed in: one text, as secret as a password.
 * A refresh token works once, so only the newest text is worth keeping.
 *
 * A store never makes a call fail that the server answered: when save fails after
 * a refresh, the session lives on in the client. A store that wants to tell of
 * that does so itself.
 */
export interface SessionStore {
  /** Returns what save got last; null or undefined if there is nothing. */
  load(): string | null | undefined | Promise<string | null | undefined>;
  /** Replaces what is kept; null means that nothing is to be kept. */
  save(session: string | null): void | Promise<void>;
  /**
   * Runs work while nobody else who shares the store runs theirs, and returns what
   * it returns. Clients that share a store need it, or one of them could use a
   * refresh token that another has used, which ends the session.
   */
  lock?<T>(work: () => Promise<T>): Promise<T>;
}

/**
 * Keeps the session in a browser's localStorage, shared by all tabs of an origin.
 * Whoever can run a script in the page can read it there.
 */
export class WebStore implements SessionStore {
  /** The key is the entry's name in the storage. */
  constructor(
    private readonly key = "tillbook.session",
    private readonly storage: Storage = globalThis.localStorage,
  ) {}

  load(): string | null {
    return this.storage.getItem(this.key);
  }

  save(session: string | null): void {
    if (session === null) {
      this.storage.removeItem(this.key);
    } else {
      this.storage.setItem(this.key, session);
    }
  }

  async lock<T>(work: () => Promise<T>): Promise<T> {
    const locks = globalThis.navigator?.locks;
    return locks === undefined ? await work() : await locks.request(this.key, work);
  }
}
