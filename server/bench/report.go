package bench

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tillbook/tillbook/store/ledger"
)

// shown are the measurements in the order of the report.
var shown = []struct{ name, what string }{
	{"pgbench", "pgbench TPC-B-like, 64 clients (reference)"},
	{"uniform", "committer, uniform accounts"},
	{"limits", "committer, uniform, three limits each"},
	{"hot", "committer, one hot account"},
	{"holds", "committer, pairs of hold and capture"},
	{"refunds", "committer, pairs of transfer and refund"},
	{"connect", "RPC through Connect, uniform"},
	{"connect-hot", "RPC through Connect, hot"},
	{"grpc", "RPC through native gRPC, uniform"},
	{"grpc-hot", "RPC through native gRPC, hot"},
	{"bulk", "RPC, 100 transfers a call, uniform"},
	{"bulk-hot", "RPC, 100 transfers a call, hot"},
	{"bulk-1000", "RPC, 1,000 transfers a call, uniform"},
	{"growth-100k", "committer, uniform, from 100,000 entries on"},
	{"growth-1m", "committer, uniform, from 1,000,000 entries on"},
	{"growth-10m", "committer, uniform, from 10,000,000 entries on"},
	{"pgbench-single", "pgbench, one client"},
	{"single", "committer, one caller"},
}

// reference returns what a measurement is compared with: pgbench in the same
// round, or right beside it.
func reference(results map[string][]sample, name string) []sample {
	if beside, ok := results[name+referenceSuffix]; ok {
		return beside
	}
	return results["pgbench"]
}

// writeReport writes the table, the chart, what a transfer costs, and as last
// line the ratios for machines to read.
func writeReport(cfg Config, results map[string][]sample, books []ledger.Report) {
	out := cfg.Out
	fmt.Fprintf(out, "\n%d accounts, %d callers, %d rounds of %s each, %d processors; medians\n\n",
		cfg.Accounts, cfg.Callers, cfg.Rounds, cfg.Duration, runtime.NumCPU())
	writeTable(out, results)
	writeChart(out, results)
	writeCost(out, results)
	writeLookups(out, results)
	fmt.Fprintln(out)
	for _, b := range books {
		verdict := "right"
		if !b.OK() {
			verdict = fmt.Sprintf("WRONG: %v", b.Problems)
		}
		fmt.Fprintf(out, "books: %s (%d accounts, %d transactions, %d entries verified)\n",
			verdict, b.Accounts, b.Transactions, b.Entries)
	}
	writeRatios(out, results)
}

// writeRatios writes the line for machines. What was not measured is 0.
func writeRatios(out io.Writer, results map[string][]sample) {
	fmt.Fprint(out, "bench:")
	for _, r := range []struct{ name, measurement string }{
		{"committer_uniform_ratio", "uniform"}, {"committer_hot_ratio", "hot"},
		{"rpc_ratio", "connect"}, {"grpc_ratio", "grpc"}, {"rpc_hot_ratio", "connect-hot"}, {"grpc_hot_ratio", "grpc-hot"},
		{"limits_ratio", "limits"}, {"holds_ratio", "holds"}, {"refunds_ratio", "refunds"},
		{"bulk_ratio", "bulk"}, {"bulk_hot_ratio", "bulk-hot"}, {"bulk_1000_ratio", "bulk-1000"},
		{"growth_100k_ratio", "growth-100k"}, {"growth_1m_ratio", "growth-1m"}, {"growth_10m_ratio", "growth-10m"},
	} {
		fmt.Fprintf(out, " %s=%.2f", r.name, ratio(results[r.measurement], reference(results, r.measurement), perSecond))
	}
	if len(results["limits"]) > 0 && len(results["uniform"]) > 0 {
		fmt.Fprintf(out, " limits_cost=%.2f", 1-ratio(results["limits"], results["uniform"], perSecond))
	}
	for _, name := range []string{"uniform", "grpc"} {
		if most := median(results[name], sealLagMost); most > 0 {
			fmt.Fprintf(out, " seal_lag_%s_p50_ms=%.0f seal_lag_%s_max_ms=%.0f",
				name, 1000*median(results[name], sealLag), name, 1000*most)
		}
	}
	for _, name := range looked {
		if samples := results[name]; len(samples) > 0 {
			fmt.Fprintf(out, " %s_p50_ms=%.3f", strings.ReplaceAll(name, "-", "_"), 1000*median(samples, p50))
		}
	}
	fmt.Fprintf(out, " single_latency_ratio=%.2f p50_single_ms=%.3f\n",
		ratio(results["single"], results["pgbench-single"], p50), 1000*median(results["single"], p50))
}

// looked are the look-ups in the order of the report.
var looked = []string{"balance-small", "balance-large", "page-small", "page-large"}

// writeLookups tells how finding old entries depends on how many there are.
func writeLookups(out io.Writer, results map[string][]sample) {
	for _, name := range looked {
		samples := results[name]
		if len(samples) == 0 {
			continue
		}
		what, size, _ := strings.Cut(name, "-")
		if what == "page" {
			what = fmt.Sprintf("%d entries", pageSize)
		}
		fmt.Fprintf(out, "%s at a random time, account of %.0f entries (%s): p50 %.2f ms, p99 %.2f ms, %.0f pages touched\n",
			what, median(samples, func(s sample) float64 { return s.Entries }), size,
			1000*median(samples, p50), 1000*median(samples, func(s sample) float64 { return s.P99.Seconds() }),
			median(samples, func(s sample) float64 { return s.Buffers }))
	}
}

func writeTable(out io.Writer, results map[string][]sample) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tper second\tp50\tp99\tratio\tper commit\tCPU a transfer: PostgreSQL\tserver\tload\t")
	for _, row := range shown {
		samples := results[row.name]
		if len(samples) == 0 {
			continue
		}
		ms := func(f func(sample) float64) string { return orDash(1000*median(samples, f), "%.2f ms") }
		us := func(f func(cpuSplit) time.Duration) string {
			return orDash(median(samples, func(s sample) float64 { return float64(f(s.CPU).Microseconds()) }), "%.0f µs")
		}
		fmt.Fprintf(table, "%s\t%.0f\t%s\t%s\t%.2f\t%s\t%s\t%s\t%s\t\n",
			row.what, median(samples, perSecond), ms(p50), ms(func(s sample) float64 { return s.P99.Seconds() }),
			ratio(samples, reference(results, row.name), perSecond),
			orDash(median(samples, func(s sample) float64 { return s.PerCommit }), "%.0f"),
			us(func(c cpuSplit) time.Duration { return c.PostgreSQL }),
			us(func(c cpuSplit) time.Duration { return c.Server }),
			us(func(c cpuSplit) time.Duration { return c.Load }))
	}
	_ = table.Flush()
}

func orDash(v float64, format string) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

const chartWidth = 60

// writeChart draws the rates that compare with the reference.
func writeChart(out io.Writer, results map[string][]sample) {
	most := 0.0
	for _, row := range shown {
		most = max(most, median(results[row.name], perSecond))
	}
	fmt.Fprintln(out)
	for _, row := range shown {
		rate := median(results[row.name], perSecond)
		if rate == 0 || strings.Contains(row.name, "single") {
			continue
		}
		fmt.Fprintf(out, "%12s %s %.0f/s\n", row.name, strings.Repeat("█", max(1, int(rate/most*chartWidth))), rate)
	}
}

func writeCost(out io.Writer, results map[string][]sample) {
	fmt.Fprintln(out)
	for _, name := range []string{"uniform", "hot"} {
		samples := results[name]
		if len(samples) == 0 {
			continue
		}
		of := func(f func(rowCost) float64) float64 {
			return median(samples, func(s sample) float64 { return f(s.Rows) })
		}
		fmt.Fprintf(out, "a transfer (%s) writes %.2f new tuples, %.2f updated ones (%.0f %% without touching an index), %.2f index entries and %.0f bytes of WAL\n",
			name, of(func(c rowCost) float64 { return c.Inserted }), of(func(c rowCost) float64 { return c.Updated }),
			100*of(func(c rowCost) float64 { return c.HotShare }), of(func(c rowCost) float64 { return c.IndexEntries }),
			of(func(c rowCost) float64 { return c.WALBytes }))
	}
}
