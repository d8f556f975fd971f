import type { Checkout, GetDayReportResponse, Totals } from "@tillbook/sdk";
import { useEffect, useState } from "preact/hooks";

import { useAction } from "../action.js";
import { client } from "../client.js";
import type { Problem } from "../failure.js";
import { useTitle } from "../route.js";
import { useSession } from "../session.js";
import { digits, text } from "../ui/amount.js";
import { Button, Link, Trouble, Waiting } from "../ui/controls.js";
import { Icon } from "../ui/icon.js";
import { clock } from "../ui/when.js";
import { HourChart } from "./chart.js";
import { dateIn, salesOf } from "./day.js";
import { useShop } from "./shop.js";

interface Day {
  readonly report: GetDayReportResponse;
  readonly sales: readonly Checkout[];
}

/** What a day brought. It counts again whenever something changes. */
export function Report() {
  const { merchant, checkouts } = useShop();
  const { heed } = useSession();
  const [date, setDate] = useState(() => dateIn(merchant.timeZone, new Date()));
  const [day, setDay] = useState<Day>();
  const [problem, setProblem] = useState<Problem>();
  useTitle("The day");
  useEffect(() => {
    let stale = false;
    load(merchant.merchantId, date).then(
      (loaded) => {
        if (!stale) {
          setDay(loaded);
          setProblem(undefined);
        }
      },
      (error: unknown) => !stale && setProblem(heed(error)),
    );
    return () => {
      stale = true;
    };
  }, [merchant.merchantId, date, checkouts]);
  return (
    <div class="report">
      <header class="screen-head">
        <div>
          <h1>The day</h1>
          <p class="muted">{merchant.name}</p>
        </div>
        <input type="date" aria-label="Day" value={date} max={dateIn(merchant.timeZone, new Date())} onChange={(event) => event.currentTarget.value && setDate(event.currentTarget.value)} />
      </header>
      <Trouble problem={problem} />
      {day === undefined ? problem === undefined && <Waiting lines={6} /> : <Figures day={day} date={date} />}
    </div>
  );
}

function Figures({ day: { report, sales }, date }: { day: Day; date: string }) {
  const { merchant } = useShop();
  if (report.totals.length === 0) {
    return (
      <div class="card empty">
        <Icon name="chart" size={28} />
        <p>Nothing was sold on this day.</p>
      </div>
    );
  }
  return (
    <>
      {report.totals.map((totals) => (
        <div key={totals.gross?.asset}>
          <Summary totals={totals} />
          <HourChart sales={sales} asset={totals.gross?.asset ?? ""} timeZone={merchant.timeZone} />
        </div>
      ))}
      <Sales sales={sales} />
      <Export date={date} />
    </>
  );
}

function Summary({ totals }: { totals: Totals }) {
  const figures: (readonly [string, string, string?])[] = [
    ["Taken", text(totals.gross), "gross"],
    ["Sales", totals.count.toLocaleString()],
    ["Tips", digits(totals.tips)],
    ["Given back", digits(totals.refunds)],
    ["Fees", digits(totals.fees)],
    ["Yours", digits(totals.net), "net"],
  ];
  return (
    <dl class="figures">
      {figures.map(([label, value, kind]) => (
        <div key={label} class={kind ?? ""}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Sales({ sales }: { sales: readonly Checkout[] }) {
  return (
    <section class="card activity" aria-label="Sales">
      <h2>Sales</h2>
      <ol>
        {sales.map((checkout) => (
          <li key={checkout.checkoutId} class="row">
            <Link to={`/shop/${checkout.checkoutId}`}>
              <span class="badge came">
                <Icon name={checkout.payment?.refunded ? "refund" : "check"} size={18} />
              </span>
              <span class="what">
                <strong>{checkout.items.map(({ name, quantity }) => (quantity > 1 ? `${quantity} × ${name}` : name)).join(", ") || "Sale"}</strong>
                <small>{checkout.payment?.maskedCustomer}</small>
              </span>
              <span class="much">
                <strong>{text(checkout.payment?.total)}</strong>
                <small>{clock(checkout.closeTime)}</small>
              </span>
            </Link>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** Saves the day's CSV, once all of it has come. */
function Export({ date }: { date: string }) {
  const { merchant } = useShop();
  const { heed } = useSession();
  const action = useAction(heed);
  const save = () =>
    action.run(async () => {
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      for await (const piece of client.merchants.exportDayReport({ merchantId: merchant.merchantId, date })) {
        pieces.push(new Uint8Array(piece));
      }
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob(pieces, { type: "text/csv" }));
      link.download = `${merchant.name} ${date}.csv`;
      link.click();
      URL.revokeObjectURL(link.href);
    });
  return (
    <>
      <Trouble problem={action.problem} />
      <Button icon="download" busy={action.busy} onClick={() => void save()}>
        Save as CSV
      </Button>
    </>
  );
}

async function load(merchantId: string, date: string): Promise<Day> {
  const report = await client.merchants.dayReport({ merchantId, date });
  return { report, sales: await salesOf(merchantId, report) };
}
