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
	{"hot", "committer, one hot account"},
	{"connect", "RPC through Connect, uniform"},
	{"connect-hot", "RPC through Connect, hot"},
	{"grpc", "RPC through native gRPC, uniform"},
	{"grpc-hot", "RPC through native gRPC, hot"},
	{"pgbench-single", "pgbench, one client"},
	{"single", "committer, one caller"},
}

// writeReport writes the table, the chart, what a transfer costs, and as last
// line the ratios for machines to read.
func writeReport(cfg Config, results map[string][]sample, books ledger.Report) {
	out := cfg.Out
	fmt.Fprintf(out, "\n%d accounts, %d callers, %d rounds of %s each, %d processors; medians\n\n",
		cfg.Accounts, cfg.Callers, cfg.Rounds, cfg.Duration, runtime.NumCPU())
	writeTable(out, results)
	writeChart(out, results)
	writeCost(out, results)
	verdict := "right"
	if !books.OK() {
		verdict = fmt.Sprintf("WRONG: %v", books.Problems)
	}
	fmt.Fprintf(out, "\nbooks: %s (%d accounts, %d transactions, %d entries verified)\n",
		verdict, books.Accounts, books.Transactions, books.Entries)
	against := func(name string) float64 { return ratio(results[name], results["pgbench"], perSecond) }
	fmt.Fprintf(out, "bench: committer_uniform_ratio=%.2f committer_hot_ratio=%.2f rpc_ratio=%.2f grpc_ratio=%.2f rpc_hot_ratio=%.2f grpc_hot_ratio=%.2f single_latency_ratio=%.2f p50_single_ms=%.3f\n",
		against("uniform"), against("hot"), against("connect"), against("grpc"), against("connect-hot"), against("grpc-hot"),
		ratio(results["single"], results["pgbench-single"], p50), 1000*median(results["single"], p50))
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
			ratio(samples, results["pgbench"], perSecond),
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
		of := func(f func(rowCost) float64) float64 {
			return median(samples, func(s sample) float64 { return f(s.Rows) })
		}
		fmt.Fprintf(out, "a transfer (%s) writes %.2f new tuples, %.2f updated ones (%.0f %% without touching an index), %.2f index entries and %.0f bytes of WAL\n",
			name, of(func(c rowCost) float64 { return c.Inserted }), of(func(c rowCost) float64 { return c.Updated }),
			100*of(func(c rowCost) float64 { return c.HotShare }), of(func(c rowCost) float64 { return c.IndexEntries }),
			of(func(c rowCost) float64 { return c.WALBytes }))
	}
}
