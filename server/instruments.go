package server

import (
	"errors"
	"maps"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/tillbook/tillbook/server/auth"
	"github.com/tillbook/tillbook/server/terminal"
	"github.com/tillbook/tillbook/server/vitals"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/seal"
)

var ledgerInstruments = []instrument[ledger.Stats]{
	{"ledger.queue_depth", "{command}", "Commands that wait.", gauge, func(s ledger.Stats) float64 { return float64(s.QueueDepth) }},
	{"ledger.queue_limit", "{command}", "Commands that may wait.", gauge, func(s ledger.Stats) float64 { return float64(s.QueueLimit) }},
	{"ledger.batches", "{batch}", "Batches gathered.", counter, func(s ledger.Stats) float64 { return float64(s.Batches) }},
	{"ledger.batched_commands", "{command}", "Commands in those batches.", counter, func(s ledger.Stats) float64 { return float64(s.Calls) }},
	{"ledger.commits", "{commit}", "Batches that committed something.", counter, func(s ledger.Stats) float64 { return float64(s.Commits) }},
	{"ledger.transactions", "{transaction}", "Transactions made.", counter, func(s ledger.Stats) float64 { return float64(s.Transactions) }},
	{"ledger.replays", "{command}", "Commands answered with an earlier result.", counter, func(s ledger.Stats) float64 { return float64(s.Replayed) }},
	{"ledger.refusals", "{command}", "Commands refused, for want of funds or otherwise.", counter, func(s ledger.Stats) float64 { return float64(s.Refused) }},
	{"ledger.overloads", "{command}", "Commands turned away from a full queue.", counter, func(s ledger.Stats) float64 { return float64(s.Overloaded) }},
	{"ledger.lost_commits", "{commit}", "Commits whose answer was lost.", counter, func(s ledger.Stats) float64 { return float64(s.Lost) }},
	{"ledger.unknown_outcomes", "{command}", "Commands whose outcome could not be told.", counter, func(s ledger.Stats) float64 { return float64(s.Unknown) }},
}

var ledgerFamilies = []family[ledger.Stats]{
	{"ledger.retries", "{attempt}", "Failed attempts to commit, by SQLSTATE.", counter, "sqlstate", func(s ledger.Stats) map[string]float64 { return numbers(s.Retries) }},
}

var authInstruments = []instrument[auth.Stats]{
	{"auth.passwords_hashed", "{hash}", "How often argon2id ran.", counter, func(s auth.Stats) float64 { return float64(s.PasswordsHashed) }},
	{"auth.passwords_waiting", "{call}", "Calls that wait for argon2id.", gauge, func(s auth.Stats) float64 { return float64(s.PasswordsWaiting) }},
	{"auth.passwords_refused", "{call}", "Calls turned away because too many waited for argon2id.", counter, func(s auth.Stats) float64 { return float64(s.PasswordsRefused) }},
	{"auth.codes_compared", "{code}", "Codes compared with the right one.", counter, func(s auth.Stats) float64 { return float64(s.CodesCompared) }},
	{"auth.codes_refused", "{code}", "Codes not sent because too many had been sent to a block of numbers or a country.", counter, func(s auth.Stats) float64 { return float64(s.CodesRefused) }},
	{"auth.signatures_checked", "{token}", "Access tokens that were not known already.", counter, func(s auth.Stats) float64 { return float64(s.SignaturesChecked) }},
	{"auth.messages_sent", "{message}", "SMS messages that the gateway took.", counter, func(s auth.Stats) float64 { return float64(s.MessagesSent) }},
	{"auth.messages_failed", "{message}", "SMS messages that the gateway refused.", counter, func(s auth.Stats) float64 { return float64(s.MessagesFailed) }},
	{"auth.messages_waiting", "{message}", "SMS messages that wait to be sent.", gauge, func(s auth.Stats) float64 { return float64(s.MessagesWaiting) }},
}

var authFamilies = []family[auth.Stats]{
	{"auth.codes_sent", "{code}", "Codes sent, by the dial code of the number.", counter, "dial_code", func(s auth.Stats) map[string]float64 { return numbers(s.CodesSent) }},
	{"auth.codes_verified", "{code}", "Codes that were given back, by the dial code of the number.", counter, "dial_code", func(s auth.Stats) map[string]float64 { return numbers(s.CodesVerified) }},
}

var sealInstruments = []instrument[seal.Stats]{
	{"log.size", "{leaf}", "Leaves in the log that seals the books.", gauge, func(s seal.Stats) float64 { return float64(s.Size) }},
	{"log.sealed", "{leaf}", "Leaves that this replica sealed.", counter, func(s seal.Stats) float64 { return float64(s.Sealed) }},
	{"log.failures", "{round}", "Rounds of sealing that failed.", counter, func(s seal.Stats) float64 { return float64(s.Failed) }},
}

var terminalInstruments = []instrument[terminal.Stats]{
	{"terminal.sessions", "{session}", "Terminals connected to this replica.", gauge, func(s terminal.Stats) float64 { return float64(s.Sessions) }},
}

// Of the deployment as a whole: on the replica that measures it, and on no other.
var (
	vitalsInstruments = []instrument[vitals.Vitals]{
		{"log.lag", "s", "Age of the oldest commit that is not sealed.", gauge, func(v vitals.Vitals) float64 { return v.SealLag.Seconds() }},
		{"events.horizon_lag", "s", "Age of the oldest event that can't be read yet, because an older transaction is open.", gauge, func(v vitals.Vitals) float64 { return v.HorizonLag.Seconds() }},
		{"db.standbys", "{standby}", "Standbys that stream from the database.", gauge, func(v vitals.Vitals) float64 { return float64(v.Standbys) }},
	}
	vitalsFamilies = []family[vitals.Vitals]{
		{"ledger.imbalance", "{unit}", "Sum of all balances of an asset, in its smallest unit: 0 in health.", gauge, "asset", func(v vitals.Vitals) map[string]float64 { return v.Sums }},
		{"terminal.terminals", "{terminal}", "Terminals by state.", gauge, "state", func(v vitals.Vitals) map[string]float64 { return numbers(v.Terminals) }},
	}
)

// waits are ages by what waits.
type waits map[string]time.Duration

var jobFamilies = []family[waits]{
	{"jobs.age", "s", "For how long the oldest job of a kind is overdue.", gauge, "kind", seconds},
}

var followerFamilies = []family[waits]{
	{"events.lag", "s", "How far what a replica tells is behind what happened: wallets, merchants and terminals, and sessions that were ended.", gauge, "follower", seconds},
}

// watchWaits makes the metrics of what comes from several packages at once.
func (n *nouns) watchWaits(meter metric.Meter, books *ledger.Ledger, monitor *vitals.Monitor) error {
	err := watchIf(meter, nil, jobFamilies, func() (waits, bool) {
		ages := waits{"message": n.auth.Stats().MessagesAge}
		if v, ok := monitor.Latest(); ok {
			maps.Copy(ages, v.JobAge)
		}
		return ages, true
	})
	if err != nil {
		return err
	}
	return watchIf(meter, nil, followerFamilies, func() (waits, bool) {
		return waits{
			"wallets": books.Stats().EventLag, "merchants": n.merchant.EventLag(),
			"terminals": n.terminal.Stats().EventLag, "sessions": n.auth.Stats().RevocationLag,
		}, true
	})
}

func numbers(counts map[string]int64) map[string]float64 {
	n := make(map[string]float64, len(counts))
	for k, v := range counts {
		n[k] = float64(v)
	}
	return n
}

func seconds(w waits) map[string]float64 {
	n := make(map[string]float64, len(w))
	for k, v := range w {
		n[k] = v.Seconds()
	}
	return n
}

// watchAll makes the metrics of all nouns.
func (n *nouns) watchAll(meter metric.Meter, books *ledger.Ledger, monitor *vitals.Monitor) error {
	return errors.Join(
		watchIf(meter, authInstruments, authFamilies, func() (auth.Stats, bool) { return n.auth.Stats(), true }),
		watch(meter, terminalInstruments, n.terminal.Stats),
		watchIf(meter, vitalsInstruments, vitalsFamilies, monitor.Latest),
		n.watchWaits(meter, books, monitor))
}
