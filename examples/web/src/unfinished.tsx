import { isTillbookError, Outcome } from "@tillbook/sdk";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { useAction } from "./action.js";
import { useSession } from "./session.js";
import { Button, Trouble } from "./ui/controls.js";
import { forget, type Payment, settle, UNSETTLED, unsettled } from "./unsettled.js";

/**
 * Finds out what became of payments that a reload, or leaving their screen, cut off.
 * Until that is known only what moves no money is shown: the same could be paid twice.
 */
export function Unfinished({ path, children }: { path: string; children: ComponentChildren }) {
  const { user } = useSession();
  const [turn, setTurn] = useState(0);
  const look = () => setTurn((n) => n + 1);
  const payments = useMemo(() => unsettled(user.userId), [user.userId, path, turn]);
  useEffect(() => {
    addEventListener(UNSETTLED, look);
    return () => removeEventListener(UNSETTLED, look);
  }, []);
  const harmless = path === "/" || path.startsWith("/activity/");
  return (
    <>
      {payments.map((payment) => (
        <Cut key={payment.request.idempotencyKey} payment={payment} goOn={look} />
      ))}
      {(payments.length === 0 || harmless) && children}
    </>
  );
}

/** Sends a payment again, with its key. */
function Cut({ payment, goOn }: { payment: Payment; goOn: () => void }) {
  const { user, heed } = useSession();
  const [end, setEnd] = useState<"paid" | "refused">();
  const { problem, busy, run } = useAction(heed);
  const find = () =>
    run(async () => {
      try {
        await settle(user.userId, payment, true);
        setEnd("paid");
      } catch (error) {
        if (isTillbookError(error) && error.decided) {
          setEnd(error.outcome === Outcome.EXECUTED ? "paid" : "refused");
        }
        throw error;
      }
    });
  useEffect(() => void find(), []);
  const undecided = problem !== undefined && !end && !problem.unknown;
  return (
    <section class="narrow card unfinished" aria-label="Unfinished payment">
      <h1>{end === "paid" ? "It was paid" : end === "refused" ? "It wasn't paid" : "Was it paid?"}</h1>
      <p role="status">
        {payment.words}. {end === "paid" ? "It was paid once." : end === "refused" ? "Nothing moved." : "The page was left before the answer came."}
      </p>
      <Trouble problem={problem}>{undecided && <p>That was this try. The first one may have arrived: your wallet shows it.</p>}</Trouble>
      {end ? (
        <Button kind="primary" wide onClick={goOn}>
          Go on
        </Button>
      ) : (
        <Button kind="primary" wide busy={busy} onClick={() => void find()}>
          Find out
        </Button>
      )}
      {undecided && (
        <Button kind="quiet" wide onClick={() => { forget(user.userId, payment); goOn(); }}>
          I looked in my wallet: forget it
        </Button>
      )}
    </section>
  );
}
