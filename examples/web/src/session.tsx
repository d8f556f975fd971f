import { isTillbookError, type User } from "@tillbook/sdk";
import { type ComponentChildren, createContext } from "preact";
import { useCallback, useContext, useEffect, useState } from "preact/hooks";

import { client } from "./client.js";
import { describe, type Problem } from "./failure.js";

/** Who is signed in, and what to do about it. */
export interface Session {
  readonly user: User;
  /** Ends the session. */
  signOut(): Promise<void>;
  /** Describes an error, and shows the sign-in if it says that the session is over. */
  heed(error: unknown): Problem;
}

const Context = createContext<Session | undefined>(undefined);

/** Returns the session; only components inside of SessionGate have one. */
export function useSession(): Session {
  const session = useContext(Context);
  if (session === undefined) {
    throw new Error("no session");
  }
  return session;
}

type State = { is: "loading" } | { is: "out" } | { is: "in"; user: User } | { is: "failed"; problem: Problem };

interface GateProps {
  readonly children: ComponentChildren;
  /** What is shown to somebody who isn't signed in. */
  readonly welcome: (signedIn: () => void) => ComponentChildren;
  readonly waiting: ComponentChildren;
  readonly failed: (problem: Problem, again: () => void) => ComponentChildren;
}

/** Shows its children to whoever is signed in. */
export function SessionGate({ children, welcome, waiting, failed }: GateProps) {
  const [state, setState] = useState<State>({ is: "loading" });
  const load = useCallback(async () => {
    try {
      if ((await client.session()) === undefined) {
        setState({ is: "out" });
        return;
      }
      setState({ is: "in", user: await client.auth.me() });
    } catch (error) {
      const signedOut = isTillbookError(error) && error.signedOut;
      setState(signedOut ? { is: "out" } : { is: "failed", problem: describe(error) });
    }
  }, []);
  useEffect(() => void load(), [load]);

  switch (state.is) {
    case "loading":
      return <>{waiting}</>;
    case "out":
      return <>{welcome(() => void load())}</>;
    case "failed":
      return <>{failed(state.problem, () => void load())}</>;
    case "in":
      break;
  }
  const session: Session = {
    user: state.user,
    signOut: async () => {
      await client.auth.logout();
      setState({ is: "out" });
    },
    heed: (error) => {
      if (isTillbookError(error) && error.signedOut) {
        setState({ is: "out" });
      }
      return describe(error);
    },
  };
  return <Context.Provider value={session}>{children}</Context.Provider>;
}
