import { newIdempotencyKey } from "@tillbook/sdk";
import { useCallback, useRef, useState } from "preact/hooks";

import { describe, type Problem } from "./failure.js";

/** Something that a person sets off, such as sending a form. */
export interface Action {
  readonly busy: boolean;
  readonly problem: Problem | undefined;
  /** Runs work unless some is under way. What it throws becomes the problem. */
  run(work: () => Promise<void>): Promise<void>;
  clear(): void;
}

/** Returns an action; heed describes its errors, by default without regard to the session. */
export function useAction(heed: (error: unknown) => Problem = describe): Action {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const under = useRef(false);
  const run = useCallback(
    async (work: () => Promise<void>) => {
      if (under.current) {
        return;
      }
      under.current = true;
      setBusy(true);
      setProblem(undefined);
      try {
        await work();
      } catch (error) {
        setProblem(heed(error));
      } finally {
        under.current = false;
        setBusy(false);
      }
    },
    [heed],
  );
  return { busy, problem, run, clear: () => setProblem(undefined) };
}

/**
 * Returns an idempotency key for what a form asks for. It stays the same while the
 * form does, so that asking again after a lost answer moves nothing twice.
 */
export function useKey(...what: readonly string[]): string {
  const kept = useRef({ what: "", key: "" });
  const now = JSON.stringify(what);
  if (kept.current.what !== now || kept.current.key === "") {
    kept.current = { what: now, key: newIdempotencyKey() };
  }
  return kept.current.key;
}
