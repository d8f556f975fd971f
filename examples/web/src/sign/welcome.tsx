import type { Challenge } from "@tillbook/sdk";
import { useState } from "preact/hooks";

import { useAction } from "../action.js";
import { client } from "../client.js";
import { Logo } from "../frame.js";
import { useTitle } from "../route.js";
import { Button, Field, Form, Trouble } from "../ui/controls.js";
import { CodeStep } from "./code.js";

/** A code that was sent, and what it is for. */
interface Sent {
  readonly challenge: Challenge;
  readonly phoneNumber: string;
  readonly purpose: "register" | "login";
}

/** Lets people in. */
export function Welcome({ signedIn }: { signedIn: () => void }) {
  const [register, setRegister] = useState(true);
  const [sent, setSent] = useState<Sent>();
  return (
    <main class="welcome">
      <section class="pitch">
        <p class="brand">
          <Logo />
          Tillbook
        </p>
        <p class="slogan">Money that is where the book says it is.</p>
        <ul>
          <li>Pay in shops by scanning their code.</li>
          <li>Send to anybody by name or phone number.</li>
          <li>Sell from a counter of your own.</li>
        </ul>
      </section>
      <section class="card sign">
        {sent === undefined ? (
          <SignForm key={String(register)} register={register} onSent={setSent} signedIn={signedIn} swap={() => setRegister(!register)} />
        ) : (
          <CodeStep {...sent} signedIn={signedIn} back={() => setSent(undefined)} />
        )}
      </section>
    </main>
  );
}

interface SignFormProps {
  readonly register: boolean;
  readonly onSent: (sent: Sent) => void;
  readonly signedIn: () => void;
  readonly swap: () => void;
}

function SignForm({ register, onSent, signedIn, swap }: SignFormProps) {
  const [phoneNumber, setPhoneNumber] = useState("");
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const action = useAction();
  const title = register ? "Open a wallet" : "Welcome back";
  useTitle(title);

  const send = () =>
    action.run(async () => {
      if (register) {
        const challenge = await client.auth.register({ phoneNumber, username, password, deviceName: "Browser" });
        onSent({ challenge, phoneNumber, purpose: "register" });
        return;
      }
      const challenge = await client.auth.login({ phoneNumber, password, deviceName: "Browser" });
      if (challenge === undefined) {
        signedIn();
      } else {
        onSent({ challenge, phoneNumber, purpose: "login" });
      }
    });
  const { phone_number, username: wrongName, password: wrongPassword, ...others } = action.problem?.fields ?? {};
  const told = action.problem && (Object.keys(others).length > 0 || Object.keys(action.problem.fields).length === 0);
  return (
    <Form onSubmit={() => void send()} aria-label={title}>
      <h1>{title}</h1>
      <Field label="Phone number" value={phoneNumber} onInput={setPhoneNumber} error={phone_number} hint="With country code, such as +254 712 345678" input={{ type: "tel", autoComplete: "tel", inputMode: "tel" }} />
      {register && (
        <Field label="Username" value={username} onInput={setUsername} error={wrongName} hint="Others can pay you by this name" input={{ autoComplete: "username", autoCapitalize: "none", spellcheck: false }} />
      )}
      <Field label="Password" value={password} onInput={setPassword} error={wrongPassword} hint={register ? "8 characters or more" : undefined} input={{ type: "password", autoComplete: register ? "new-password" : "current-password" }} />
      <Trouble problem={told ? action.problem : undefined} />
      <Button type="submit" kind="primary" wide busy={action.busy}>
        {register ? "Send me a code" : "Sign in"}
      </Button>
      <p class="swap">
        {register ? "You have a wallet already?" : "New here?"}{" "}
        <button type="button" class="text-button" onClick={swap}>
          {register ? "Sign in" : "Open a wallet"}
        </button>
      </p>
    </Form>
  );
}
