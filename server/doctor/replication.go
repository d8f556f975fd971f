package doctor

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// standby is a row of pg_stat_replication.
type standby struct {
	Name  string
	State string
	Sync  string
	// Behind is how much WAL it has yet to replay, in bytes.
	Behind int64
}

// slot is a replication slot.
type slot struct {
	Name   string
	Active bool
	// Kept is how much WAL is kept for it, in bytes.
	Kept int64
}

const (
	mib         = 1 << 20
	warnBehind  = 64 * mib
	warnKept    = 1024 * mib
	failKept    = 10 * 1024 * mib
	enoughSyncs = 2
)

func (v *visit) replication(ctx context.Context) error {
	var recovers bool
	var names string
	if err := v.row(ctx, `SELECT pg_is_in_recovery(), current_setting('synchronous_standby_names')`, &recovers, &names); err != nil {
		return err
	}
	if recovers {
		v.add(Fail, "Give --database-url the primary, with target_session_attrs=read-write.", "This is a standby.")
		return nil
	}
	slots, err := list[slot](ctx, v, `
		SELECT slot_name, active, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint
		  FROM pg_replication_slots ORDER BY 1`)
	if err != nil {
		return err
	}
	for _, s := range slots {
		v.slot(s)
	}
	if err := v.sees(ctx); err != nil {
		return err
	}
	standbys, err := list[standby](ctx, v, `
		SELECT application_name, coalesce(state, 'hidden'), coalesce(sync_state, 'hidden'),
		       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::bigint
		  FROM pg_stat_replication WHERE application_name NOT LIKE 'pg_basebackup%' ORDER BY 1`)
	if err != nil {
		return err
	}
	v.standbys(names, standbys)
	return nil
}

// counted finds how many standbys synchronous_standby_names waits for where it says so.
var counted = regexp.MustCompile(`^\s*(?:(?i:first|any)\s+)?(\d+)\s*\(`)

// waitedFor is how many standbys each commit waits for.
func waitedFor(names string) int {
	if m := counted.FindStringSubmatch(names); m != nil {
		n, _ := strconv.Atoi(m[1]) // the server has read it, too
		return n
	}
	return 1
}

func (v *visit) standbys(names string, standbys []standby) {
	syncs := 0
	for _, s := range standbys {
		if s.Sync == "sync" || s.Sync == "quorum" {
			syncs++
		}
		text := fmt.Sprintf("Standby %s is %s, %s, %d MiB behind.", s.Name, s.State, s.Sync, s.Behind/mib)
		switch {
		case s.State != "streaming":
			v.add(Warn, "Look at its log, and whether it reaches this server.", "%s", text)
		case s.Behind > warnBehind:
			v.add(Warn, "Look for a slow disk or network there, and for long queries on it.", "%s", text)
		default:
			v.ok("%s", text)
		}
	}
	switch {
	case names == "":
		v.add(Warn, "Add two standbys and name them in synchronous_standby_names, as examples/cluster does.",
			"There is no synchronous standby: a failover may lose payments that were acknowledged.")
	case syncs < waitedFor(names):
		v.add(Fail, "Bring a standby back, or have Patroni relax synchronous_standby_names.",
			"%d synchronous standbys are connected, but %q asks for %d: commits wait until they are.", syncs, names, waitedFor(names))
	case syncs < enoughSyncs && len(standbys) < enoughSyncs:
		v.add(Warn, "Add a second standby: while the only one is away, commits wait.", "There is one standby.")
	default:
		v.ok("%d synchronous standbys are connected.", syncs)
	}
}

func (v *visit) slot(s slot) {
	text := fmt.Sprintf("Slot %s keeps %d MiB of WAL.", s.Name, s.Kept/mib)
	advice := "Bring back what reads it, or drop it with pg_drop_replication_slot: the WAL that it keeps fills the disk. max_slot_wal_keep_size bounds it."
	switch {
	case s.Kept > failKept:
		v.add(Fail, advice, "%s", text)
	case !s.Active:
		v.add(Warn, advice, "Nothing reads slot %s. %s", s.Name, text)
	case s.Kept > warnKept:
		v.add(Warn, advice, "%s", text)
	default:
		v.ok("%s", text)
	}
}

func (v *visit) archive(ctx context.Context) error {
	var mode string
	var archived, failed *time.Time
	err := v.row(ctx, `SELECT current_setting('archive_mode'), last_archived_time, last_failed_time FROM pg_stat_archiver`, &mode, &archived, &failed)
	if err != nil {
		return err
	}
	switch {
	case mode == "off":
		v.add(Warn, "Set up backups as examples/cluster/BACKUP.md says.",
			"WAL isn't archived: the books can't be restored to a point in time.")
	case failed != nil && (archived == nil || failed.After(*archived)):
		v.add(Fail, "Read PostgreSQL's log for why archive_command fails: WAL piles up until the disk is full.",
			"The archive doesn't take WAL, since %s at least.", failed.UTC().Format(time.DateTime))
	case archived == nil:
		v.add(Warn, "Run SELECT pg_switch_wal() and look again.", "No WAL was archived yet.")
	default:
		v.ok("WAL was last archived at %s.", archived.UTC().Format(time.DateTime))
	}
	return nil
}
