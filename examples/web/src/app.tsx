import type { ComponentChildren } from "preact";

import { Frame } from "./frame.js";
import { usePath } from "./route.js";
import { SessionGate } from "./session.js";
import { Counter } from "./shop/counter.js";
import { Report } from "./shop/report.js";
import { Sale } from "./shop/sale.js";
import { Shop } from "./shop/shop.js";
import { Welcome } from "./sign/welcome.js";
import { Button, Waiting } from "./ui/controls.js";
import { Unfinished } from "./unfinished.js";
import { Home } from "./wallet/home.js";
import { WalletGate } from "./wallet/live.js";
import { Pay } from "./wallet/pay.js";
import { Receipt } from "./wallet/receipt.js";
import { Send } from "./wallet/send.js";

/** The page: the sign-in, and behind it a wallet and a shop. */
export function App() {
  return (
    <SessionGate
      welcome={(signedIn) => <Welcome signedIn={signedIn} />}
      waiting={
        <div class="alone">
          <Waiting />
        </div>
      }
      failed={(problem, again) => (
        <main class="alone">
          <h1>Tillbook can't be reached</h1>
          <p>{problem.text}</p>
          <Button kind="primary" onClick={again}>
            Try again
          </Button>
        </main>
      )}
    >
      <WalletGate>
        <Inside />
      </WalletGate>
    </SessionGate>
  );
}

function Inside() {
  const path = usePath();
  return (
    <Frame path={path}>
      <Unfinished path={path}>{screen(path)}</Unfinished>
    </Frame>
  );
}

function screen(path: string): ComponentChildren {
  const [, first = "", second = ""] = path.split("/");
  switch (first) {
    case "pay":
      return <Pay />;
    case "send":
      return <Send />;
    case "activity":
      return <Receipt key={second} transactionId={second} />;
    case "shop":
      return <Shop>{second === "report" ? <Report /> : second.startsWith("chk_") ? <Sale key={second} checkoutId={second} /> : <Counter />}</Shop>;
    default:
      return <Home />;
  }
}
