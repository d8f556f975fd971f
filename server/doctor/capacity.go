package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"slices"
	"syscall"

	"github.com/tillbook/tillbook/server/replica"
	"github.com/tillbook/tillbook/store"
)

func (v *visit) connections(ctx context.Context) error {
	var most, reserved, used int
	err := v.row(ctx, `SELECT current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int,
		(SELECT coalesce(sum(numbackends), 0) FROM pg_stat_database)::int`, &most, &reserved, &used)
	if err != nil {
		return err
	}
	replicas, err := v.Store.Queries().ListReplicas(ctx, replica.Live.Seconds())
	if err != nil {
		return err
	}
	v.pools(poolsOf(replicas, v.Replicas, v.MaxConns), most-reserved, used)
	return nil
}

// poolsOf is how many connections each replica may open.
func poolsOf(replicas []store.Replica, planned, each int) (pools []int) {
	for _, r := range replicas {
		pools = append(pools, int(r.MaxConns))
	}
	if each > 0 {
		for i := range pools {
			pools[i] = each
		}
	}
	if each == 0 && len(pools) > 0 {
		each = slices.Max(pools)
	}
	if planned > 0 && each > 0 {
		pools = slices.Repeat([]int{each}, planned)
	}
	return pools
}

// spare is kept for people, backups and monitoring.
const spare = 10

func (v *visit) pools(pools []int, available, used int) {
	if len(pools) == 0 {
		v.ok("%d of %d connections are used; no replica runs that would say how many it may open.", used, available)
		return
	}
	sum := 0
	for _, n := range pools {
		sum += n
	}
	const advice = "Raise max_connections, or lower --max-conns: a replica needs few connections, since its payments share them."
	switch largest := slices.Max(pools); {
	case sum > available:
		v.add(Fail, advice, "%d replicas may open %d connections; the server takes %d.", len(pools), sum, available)
	case sum+largest+spare > available:
		v.add(Warn, advice, "%d replicas may open %d connections of %d: too many for one more during an upgrade, and %d for people.",
			len(pools), sum, available, spare)
	default:
		v.ok("%d replicas may open %d connections of %d; %d are used.", len(pools), sum, available, used)
	}
}

func (v *visit) replicas(ctx context.Context) error {
	replicas, err := v.Store.Queries().ListReplicas(ctx, replica.Live.Seconds())
	if err != nil {
		return err
	}
	versions := make(map[string]int)
	for _, r := range replicas {
		versions[r.Version]++
		v.ok("Replica %s runs version %s.", r.Name, r.Version)
	}
	switch {
	case len(replicas) == 0:
		v.add(Warn, "Start one with `tillbook serve`.", "No replica was seen in the last %s.", replica.Live)
	case len(versions) > 2:
		v.add(Fail, "Finish one upgrade before the next: only two adjacent versions run side by side.", "%d versions run.", len(versions))
	case len(versions) == 2:
		v.add(Warn, "Finish the upgrade.", "Two versions run.")
	case len(replicas) == 1:
		v.add(Warn, "Start another: an upgrade or a crash of the only one is an outage.", "One replica runs.")
	}
	return nil
}

const (
	warnFree = 20 // percent
	failFree = 5
)

// disk looks at the folder of a server on this machine.
func (v *visit) disk(ctx context.Context) error {
	host := v.Store.Pool.Config().ConnConfig.Host
	ip := net.ParseIP(host)
	if host != "localhost" && (ip == nil || !ip.IsLoopback()) && (host == "" || host[0] != '/') {
		v.ok("The database is on %s, whose disk can't be seen from here: have its monitoring watch it.", host)
		return nil
	}
	var folder string
	var size int64
	if err := v.row(ctx, `SELECT current_setting('data_directory'), pg_database_size(current_database())`, &folder, &size); err != nil {
		return err
	}
	var stat syscall.Statfs_t
	err := syscall.Statfs(folder, &stat)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		v.ok("The disk of %s can't be seen from here: have its monitoring watch it.", folder)
		return nil
	}
	if err != nil {
		return err
	}
	v.free(folder, int(stat.Bavail*100/max(stat.Blocks, 1)), size)
	return nil
}

func (v *visit) free(folder string, percent int, size int64) {
	const advice = "Make room or a larger disk before it is full: PostgreSQL stops at that. Look at pg_wal, too: slots and a failing archive keep WAL."
	level := OK
	switch {
	case percent < failFree:
		level = Fail
	case percent < warnFree:
		level = Warn
	default:
		v.ok("%d %% of the disk of %s are free; the database has %d MiB.", percent, folder, size/mib)
		return
	}
	v.add(level, advice, "%d %% of the disk of %s are free; the database has %d MiB.", percent, folder, size/mib)
}
