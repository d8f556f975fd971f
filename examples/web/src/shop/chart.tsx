import { type Checkout, Money } from "@tillbook/sdk";

import { perMille, sum } from "../money.js";
import { text } from "../ui/amount.js";
import { dateOf } from "../ui/when.js";
import { hourIn } from "./day.js";

const WIDTH = 720;
const HEIGHT = 190;
const BASE = 189;
const TOP = 2;
const SLOT = WIDTH / 24;

interface Hour {
  readonly hour: number;
  readonly total: Money;
  readonly tips: Money;
  readonly count: number;
}

/** Draws what came in in each hour of the day, the tips on top. Screen readers get a table. */
export function HourChart({ sales, asset, timeZone }: { sales: readonly Checkout[]; asset: string; timeZone: string }) {
  const hours = byHour(sales, asset, timeZone);
  const most = hours.reduce((max, { total }) => (total.compare(max) > 0 ? total : max), Money.zero(asset));
  const busy = hours.filter(({ count }) => count > 0);
  return (
    <figure class="card chart">
      <figcaption>
        <h2>By the hour</h2>
        <p class="legend">
          <span class="swatch sales" /> Sales <span class="swatch tips" /> Tips
        </p>
      </figcaption>
      <p class="tick">{text(most)}</p>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        {[0, 500, 1000].map((share) => (
          <line key={share} x1="0" x2={WIDTH} y1={height(share)} y2={height(share)} class={share === 0 ? "axis" : "grid"} />
        ))}
        {hours.map((hour) => (
          <Bar key={hour.hour} of={hour} most={most} />
        ))}
      </svg>
      <p class="hours tick" aria-hidden="true">
        {[0, 6, 12, 18].map((hour) => (
          <span key={hour}>{String(hour).padStart(2, "0")}:00</span>
        ))}
      </p>
      <table class="unseen">
        <caption>Sales by the hour</caption>
        <tbody>
          {busy.map(({ hour, total, tips, count }) => (
            <tr key={hour}>
              <th scope="row">{hour}:00</th>
              <td>{count} sales</td>
              <td>{text(total)}</td>
              <td>{text(tips)} tips</td>
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

function Bar({ of: { hour, total, tips, count }, most }: { of: Hour; most: Money }) {
  if (count === 0) {
    return <rect x={hour * SLOT + 4} y={BASE - 3} width={SLOT - 8} height="3" class="bar none" />;
  }
  const top = height(perMille(total, most));
  const tipTop = height(perMille(total.subtract(tips), most));
  return (
    <g>
      <title>{`${hour}:00 – ${text(total)}, ${count} sales`}</title>
      <rect x={hour * SLOT + 4} y={top} width={SLOT - 8} height={BASE - top} rx="2" class="bar tips" />
      <rect x={hour * SLOT + 4} y={tipTop} width={SLOT - 8} height={BASE - tipTop} rx="2" class="bar sales" />
    </g>
  );
}

/** Where a share of the highest bar, in thousandths, ends. */
function height(share: number): number {
  return BASE - ((BASE - TOP) * share) / 1000;
}

function byHour(sales: readonly Checkout[], asset: string, timeZone: string): Hour[] {
  const paid = sales.flatMap(({ payment, closeTime }) => {
    const fits = payment?.total?.asset === asset && closeTime !== undefined;
    return fits ? [{ payment, hour: hourIn(timeZone, dateOf(closeTime)) }] : [];
  });
  return Array.from({ length: 24 }, (_, hour) => {
    const within = paid.filter((sale) => sale.hour === hour);
    return {
      hour,
      total: sum(asset, within.map(({ payment }) => Money.from(payment.total))),
      tips: sum(asset, within.flatMap(({ payment }) => (payment.tip === undefined ? [] : [Money.from(payment.tip)]))),
      count: within.length,
    };
  });
}
