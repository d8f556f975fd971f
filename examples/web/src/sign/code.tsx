import { type Challenge, isTillbookError } from "@tillbook/sdk";
import { useEffect, useState } from "preact/hooks";

import { useAction } from "../action.js";
import { client } from "../client.js";
import { useTitle } from "../route.js";
import { Button, Field, Form, Trouble } from "../ui/controls.js";
import { Icon } from "../ui/icon.js";

interface CodeStepProps {
  readonly challenge: Challenge;
  readonly phoneNumber: string;
  readonly purpose: "register" | "login";
  readonly signedIn: () => void;
  readonly back: () => void;
}

/** Asks for the code from the SMS. Where the server is a sandbox, the page shows it, since no SMS was sent. */
export function CodeStep({ challenge, phoneNumber, purpose, signedIn, back }: CodeStepProps) {
  const [current, setCurrent] = useState(challenge);
  const [code, setCode] = useState("");
  const action = useAction();
  const sms = useSandboxCode(phoneNumber, current);
  useTitle("Enter the code");

  const verify = () =>
    action.run(async () => {
      const compact = code.replace(/\s/g, "");
      await (purpose === "register" ? client.auth.verifyPhone(current, compact) : client.auth.verifyLogin(current, compact));
      signedIn();
    });
  const resend = () => action.run(async () => setCurrent(await client.auth.resendCode(current)));
  return (
    <Form onSubmit={() => void verify()} aria-label="Code">
      <button type="button" class="text-button back" onClick={back}>
        <Icon name="back" size={16} /> Back
      </button>
      <h1>Enter the code</h1>
      <p class="lead">We sent a code of six digits to {phoneNumber}.</p>
      <Field label="Code" value={code} onInput={setCode} input={{ inputMode: "numeric", autoComplete: "one-time-code", maxLength: 9, class: "code" }} />
      <Sms code={sms} use={setCode} />
      <Trouble problem={action.problem} />
      <Button type="submit" kind="primary" wide busy={action.busy}>
        {purpose === "register" ? "Open my wallet" : "Sign in"}
      </Button>
      <p class="swap">
        Nothing came?{" "}
        <button type="button" class="text-button" onClick={() => void resend()}>
          Send another
        </button>
      </p>
    </Form>
  );
}

function Sms({ code, use }: { code: string | undefined; use: (code: string) => void }) {
  return (
    <div class="sms-place">
      {code !== undefined && (
        <div class="sms" role="status">
          <Icon name="phone" />
          <p>
            <small>Sandbox · the SMS would say</small>
            <strong>{code}</strong>
          </p>
          <Button kind="quiet" onClick={() => use(code)}>
            Use it
          </Button>
        </div>
      )}
    </div>
  );
}

/** Reads the code where the server keeps it; undefined where it doesn't. */
function useSandboxCode(phoneNumber: string, challenge: Challenge): string | undefined {
  const [code, setCode] = useState<string>();
  useEffect(() => {
    const control = new AbortController();
    setCode(undefined);
    client.sandbox.code(phoneNumber, { signal: control.signal }).then(setCode, (error: unknown) => {
      if (!isTillbookError(error) && !control.signal.aborted) {
        console.warn(error); // No code came: the person may still get one.
      }
    });
    return () => control.abort();
  }, [phoneNumber, challenge]);
  return code;
}
