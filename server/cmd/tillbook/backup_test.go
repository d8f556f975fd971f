package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/embedded"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/storetest"
)

// runbook is the document whose commands are run.
const runbook = "../../../examples/cluster/BACKUP.md"

// block is a fenced block of it.
type block struct{ info, text string }

var fence = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")

func readRunbook(t *testing.T) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(runbook)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	return blocks
}

// site is where the runbook is followed: its paths and ports stand for others here.
type site struct {
	t       *testing.T
	dir     string
	port    string
	account *syscall.Credential // as whom PostgreSQL runs; nil for this process's own user
	pairs   []string
	env     []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	if _, err := exec.LookPath("pgbackrest"); err != nil {
		t.Fatal("pgbackrest isn't installed: run `make pgbackrest`, or apt-get install pgbackrest")
	}
	found, err := embedded.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, port: freePort()}
	if s.dir, err = os.MkdirTemp(storetest.Parent(), "tillbook-restore-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(s.dir); err != nil {
			t.Error(err)
		}
	})
	if os.Geteuid() == 0 {
		s.account = unprivileged(t)
		if err := os.Chown(s.dir, int(s.account.Uid), int(s.account.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	s.env = append(os.Environ(), "PGBACKREST_CONFIG="+filepath.Join(s.dir, "pgbackrest.conf"), "PGBACKREST_LOCK_PATH="+s.dir, "PGBACKREST_LOG_PATH="+s.dir)
	s.pairs = []string{
		"/usr/lib/postgresql/15/bin", found.Bin,
		"/var/lib/postgresql/15", s.dir, "/etc/postgresql/15/main", filepath.Join(s.dir, "etc"), "/var/lib/pgbackrest", filepath.Join(s.dir, "repository"),
		"/var/lib/tillbook", filepath.Join(s.dir, "outside"), "/var/run/postgresql", s.dir,
		"5432", s.port, "5433", freePort(),
	}
	if err := os.Mkdir(filepath.Join(s.dir, "outside"), 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

func freePort() string {
	_, port, _ := strings.Cut(freeAddress(), ":")
	return port
}

// unprivileged is somebody whom PostgreSQL takes.
func unprivileged(t *testing.T) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.Atoi(u.Uid)
		gid, errGID := strconv.Atoi(u.Gid)
		if errUID == nil && errGID == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Fatal("this machine has neither a user postgres nor nobody")
	return nil
}

// run runs commands, as PostgreSQL's user if they are meant for that, and fails the
// test if one fails.
func (s *site) run(b block) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", s.replace(b.text))
	cmd.Dir, cmd.Env, cmd.WaitDelay = s.dir, s.env, time.Second
	if strings.HasSuffix(b.info, "postgres") && s.account != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.account}
	}
	out, err := os.CreateTemp(s.t.TempDir(), "output")
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out // a file, which servers that stay don't keep us waiting for
	err = cmd.Run()
	text, _ := os.ReadFile(out.Name())
	if err != nil {
		s.t.Fatalf("%s\n%v:\n%s", b.text, err, text)
	}
	s.t.Logf("%s%s", s.replace(b.text), text)
}

// write puts a file of the runbook where it belongs.
func (s *site) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = file.WriteString(s.replace(text))
	if closeErr := file.Close(); err != nil || closeErr != nil {
		s.t.Fatal(err, closeErr)
	}
	if s.account != nil {
		if err := os.Chown(path, int(s.account.Uid), int(s.account.Gid)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// replace writes what is true here for what the runbook says.
func (s *site) replace(text string) string { return strings.NewReplacer(s.pairs...).Replace(text) }

// url is where the primary is.
func (s *site) url() string { return "postgres://postgres@127.0.0.1:" + s.port + "/tillbook" }

// primary makes a cluster as Debian would, with the configuration outside of the data
// and the runbook's settings, and starts it.
func (s *site) primary(settings string) {
	s.t.Helper()
	s.run(block{"postgres", `/usr/lib/postgresql/15/bin/initdb -D /var/lib/postgresql/15/main -U postgres -A trust -k -N >/dev/null`})
	s.run(block{"postgres", `mkdir -p /etc/postgresql/15/main; mv /var/lib/postgresql/15/main/*.conf /etc/postgresql/15/main; mv /etc/postgresql/15/main/postgresql.auto.conf /var/lib/postgresql/15/main`})
	s.write("etc/postgresql.conf", settings+`listen_addresses = '127.0.0.1'
port = 5432
unix_socket_directories = '/var/run/postgresql'
shared_buffers = '64MB'
data_directory = '/var/lib/postgresql/15/main'
hba_file = '/etc/postgresql/15/main/pg_hba.conf'
ident_file = '/etc/postgresql/15/main/pg_ident.conf'
external_pid_file = '/var/run/postgresql/15-main.pid'
`)
	s.run(block{"postgres", `/usr/lib/postgresql/15/bin/pg_ctl -D /etc/postgresql/15/main -l /var/lib/postgresql/15/main.log -w start >/dev/null`})
	s.t.Cleanup(func() {
		stop := exec.Command("bash", "-c", s.replace(`for d in main restored; do [ ! -e /var/lib/postgresql/15/$d/postmaster.pid ] || /usr/lib/postgresql/15/bin/pg_ctl -D /var/lib/postgresql/15/$d -m immediate -w stop; done`))
		if s.account != nil {
			stop.SysProcAttr = &syscall.SysProcAttr{Credential: s.account}
		}
		if out, err := stop.CombinedOutput(); err != nil {
			s.t.Errorf("stop PostgreSQL: %v: %s", err, out)
		}
	})
	s.run(block{"postgres", `/usr/lib/postgresql/15/bin/createdb -U postgres -h /var/run/postgresql -p 5432 tillbook`})
	if _, _, err := store.Migrate(s.t.Context(), s.url()); err != nil {
		s.t.Fatal(err)
	}
}

func TestTheRunbookRestoresTheBooksToTheMomentBeforeTheDamage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var steps []block
	for _, b := range readRunbook(t) {
		switch b.info {
		case "ini":
			s.write("pgbackrest.conf", b.text)
		case "conf":
			s.primary(b.text)
		case "sh", "sh postgres":
			steps = append(steps, b)
		}
	}
	if len(steps) != 8 {
		t.Fatalf("the runbook has %d blocks of commands; this test knows what happens between 8", len(steps))
	}
	m := startMember(t, s.url(), secret.Generate())
	s.pairs = append([]string{"http://127.0.0.1:8080", m.url}, s.pairs...)
	r := &register{member: m}
	r.open(t)

	s.run(steps[0])
	s.run(steps[1]) // the backup, while money moves
	r.goOn(t)
	until(t, "a checkpoint", func() bool { return strings.Contains(m.fetchText(t, "/checkpoint"), "tillbook.local/books") })
	s.run(steps[2])
	r.goOn(t)
	acknowledged := r.list()
	owner := storetest.Open(t, store.Config{URL: s.url(), Role: store.NoRole, MaxConns: 1})
	var target string
	if err := owner.Pool.QueryRow(t.Context(), "SELECT clock_timestamp()::text").Scan(&target); err != nil {
		t.Fatal(err)
	}
	s.env = append(s.env, "TARGET="+target)
	r.goOn(t)
	late := r.close(t)
	if _, err := owner.Pool.Exec(t.Context(), "UPDATE accounts SET balance = balance + 1000000 WHERE code LIKE 'user/%'"); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Pool.Exec(t.Context(), "TRUNCATE transactions CASCADE"); err != nil {
		t.Fatal(err)
	}

	s.run(steps[3])
	s.run(steps[4])
	s.run(steps[5]) // fails unless the books are right and begin with the checkpoint
	restored := storetest.Open(t, store.Config{URL: s.replace("postgres://postgres@127.0.0.1:5433/tillbook"), Role: store.NoRole, MaxConns: 1})
	for _, paid := range acknowledged {
		if !exists(t, restored, paid) {
			t.Errorf("%s was acknowledged before %s and is lost", paid, target)
		}
	}
	if last := late[len(late)-1]; exists(t, restored, last) {
		t.Errorf("%s came after %s and is there", last, target)
	}
	s.run(steps[6])
	var off int
	if err := restored.Pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_file_settings WHERE name = 'archive_mode' AND setting = 'off'").Scan(&off); err != nil || off > 0 {
		t.Errorf("once it is the primary, nothing is archived: %v", err)
	}
	restored.Close()
	s.run(steps[7])
	t.Logf("%d payments were acknowledged before the time, %d in all", len(acknowledged), len(late))
}

func exists(t *testing.T, s *store.Store, payment string) (found bool) {
	t.Helper()
	key, err := id.Parse(id.Transaction, payment)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM transactions WHERE id = $1)", key).Scan(&found); err != nil {
		t.Fatal(err)
	}
	return found
}

// register pays, one payment after another, and keeps those that were acknowledged.
type register struct {
	member *member

	mu   sync.Mutex
	ids  []string
	stop context.CancelFunc
	done chan error
}

// open begins to pay.
func (r *register) open(t *testing.T) {
	t.Helper()
	var sessions []*authv1.Session
	var names []string
	for range 2 {
		a, err := r.member.apply(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.member.verify(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		sessions, names = append(sessions, s), append(names, a.phone)
		_, err = sandboxv1connect.NewSandboxServiceClient(r.member.client).Fund(t.Context(), &sandboxv1.FundRequest{
			PhoneNumber: a.phone, Amount: &moneyv1.Money{Asset: "USD", Amount: "500"}, IdempotencyKey: "fund-" + a.phone,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	r.stop, r.done = stop, make(chan error, 1)
	go func() { r.done <- r.pay(ctx, sessions[0].GetAccessToken(), names[1]) }()
}

func (r *register) pay(ctx context.Context, token, to string) error {
	wallet := walletv1connect.NewWalletServiceClient(r.member.client)
	for n := 0; ctx.Err() == nil; n++ {
		res, err := wallet.Transfer(as(context.Background(), token), &walletv1.TransferRequest{
			Recipient: &walletv1.Recipient{Recipient: &walletv1.Recipient_PhoneNumber{PhoneNumber: to}},
			Amount:    &moneyv1.Money{Asset: "USD", Amount: "0.01"}, IdempotencyKey: fmt.Sprintf("till-%d", n),
		})
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.ids = append(r.ids, res.GetTransaction().GetTransactionId())
		r.mu.Unlock()
	}
	return nil
}

func (r *register) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ids)
}

// goOn waits for more payments.
func (r *register) goOn(t *testing.T) {
	t.Helper()
	from := len(r.list())
	until(t, "payments", func() bool { return len(r.list()) >= from+20 || len(r.done) > 0 })
}

// close ends paying and returns all payments.
func (r *register) close(t *testing.T) []string {
	t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		t.Fatal(err)
	}
	return r.list()
}
