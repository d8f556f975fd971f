/** A page of a list, and the token of the next one; it is empty after the last. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextPageToken: string;
}

/**
 * Runs through a list from the page with the token start, and fetches pages as they
 * are looked at.
 */
export async function* pages<T>(fetch: (pageToken: string) => Promise<Page<T>>, start = ""): AsyncGenerator<T, void> {
  for (let token = start; ; ) {
    const page = await fetch(token);
    yield* page.items;
    if (page.nextPageToken === "") {
      return;
    }
    if (page.nextPageToken === token) {
      throw new Error("tillbook: the server answered with the same page again");
    }
    token = page.nextPageToken;
  }
}
