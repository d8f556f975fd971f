package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// startTimeout bounds how long a replica takes to be ready. The first one makes a
// database.
const startTimeout = 2 * time.Minute

// replica is a running bin/tillbook.
type replica struct {
	address
	process *exec.Cmd
	log     bytes.Buffer
	ended   chan struct{}
}

// deployment is replicas on one database, which the first of them runs.
type deployment struct {
	program, dir string
	replicas     []*replica
}

// deploy starts that many replicas.
func deploy(ctx context.Context, o *options, n int) (*deployment, error) {
	d := &deployment{program: o.tillbook, dir: o.dir}
	for i := range n {
		args := []string{"--data-dir", o.dir}
		if i > 0 {
			database, err := exec.CommandContext(ctx, o.tillbook, "database-url", "--data-dir", o.dir).Output()
			if err != nil {
				return d, fmt.Errorf("finding the database: %w", err)
			}
			args = []string{"--database-url", strings.TrimSpace(string(database)), "--secret-file", filepath.Join(o.dir, "secret")}
		}
		r, err := startReplica(o.tillbook, args)
		if err != nil {
			return d, err
		}
		if o.mainDoor {
			r.GRPC = strings.TrimPrefix(r.HTTP, "http://")
		}
		d.replicas = append(d.replicas, r)
		if err := r.ready(ctx); err != nil {
			return d, err
		}
	}
	return d, nil
}

func startReplica(program string, args []string) (*replica, error) {
	web, err := freeAddress()
	if err != nil {
		return nil, err
	}
	native, err := freeAddress()
	if err != nil {
		return nil, err
	}
	r := &replica{address: address{HTTP: "http://" + web, GRPC: native}, ended: make(chan struct{})}
	args = append([]string{
		"serve", "--sandbox", "--listen", web, "--grpc-listen", native, "--trusted-proxies", "127.0.0.0/8", "--log-level", "warn",
	}, args...)
	r.process = exec.Command(program, args...)
	r.process.Stderr = &r.log
	if err := r.process.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process
		_ = r.process.Wait()
		close(r.ended)
	}()
	return r, nil
}

// freeAddress finds a port that nobody uses.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// ready waits until the replica serves.
func (r *replica) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.HTTP+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-r.ended:
			return fmt.Errorf("a replica ended before it was ready:\n%s", r.log.String())
		case <-ctx.Done():
			return fmt.Errorf("a replica isn't ready: %w", ctx.Err())
		}
	}
}

// kill ends a replica as a power cut does.
func (r *replica) kill() {
	_ = r.process.Process.Kill()
	<-r.ended
}

// stop ends all replicas in good order, the one with the database last.
func (d *deployment) stop() {
	for i := len(d.replicas) - 1; i >= 0; i-- {
		r := d.replicas[i]
		_ = r.process.Process.Signal(os.Interrupt)
		select {
		case <-r.ended:
		case <-time.After(time.Minute):
			r.kill()
		}
	}
}

// verify has the books proven right.
func (d *deployment) verify(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, d.program, "verify", "--data-dir", d.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the books aren't right: %w\n%s", err, out)
	}
	return nil
}

// usage is what replicas and database have used so far.
type usage struct {
	at       time.Time
	resident int64           // bytes, of the replicas
	replicas []time.Duration // CPU
	database time.Duration   // CPU
}

// usage reads it from /proc.
func (d *deployment) usage() (usage, error) {
	u := usage{at: time.Now()}
	for _, r := range d.replicas {
		select {
		case <-r.ended:
			u.replicas = append(u.replicas, 0)
			continue
		default:
		}
		bytes, err := resident(r.process.Process.Pid)
		if err != nil {
			return u, err
		}
		cpu, err := cpuOf(r.process.Process.Pid)
		if err != nil {
			return u, err
		}
		u.resident, u.replicas = u.resident+bytes, append(u.replicas, cpu)
	}
	text, err := os.ReadFile(filepath.Join(d.dir, "data", "postmaster.pid"))
	if err != nil {
		return u, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	postmaster, err := strconv.Atoi(first)
	if err != nil {
		return u, err
	}
	u.database, err = cpuOfFamily(postmaster)
	return u, err
}

// since is what was used between two moments, in cores.
func (u usage) since(before usage) string {
	passed := u.at.Sub(before.at).Seconds()
	var text []string
	for i := range u.replicas {
		if u.replicas[i] > 0 {
			text = append(text, fmt.Sprintf("%.2f", (u.replicas[i]-before.replicas[i]).Seconds()/passed))
		}
	}
	return fmt.Sprintf("replicas %s cores, database %.2f", strings.Join(text, " and "), (u.database-before.database).Seconds()/passed)
}

// cpu is all of it.
func (u usage) cpu() time.Duration {
	sum := u.database
	for _, r := range u.replicas {
		sum += r
	}
	return sum
}
