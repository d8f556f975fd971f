package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tillbook/tillbook/store/id"
)

// server is a Tillbook server in a process of its own.
type server struct {
	cfg         Config
	db          *database
	books       *books
	tokens      []string
	operatorKey string
	process     *exec.Cmd
	connectAddr string
	grpcAddr    string
	folder      string // for the server's secret; goes at the end
}

// startServer starts `tillbook serve` on the benchmark's database and signs the
// payers in.
func startServer(ctx context.Context, cfg Config, db *database, books *books) (*server, error) {
	folder, err := os.MkdirTemp("", "tillbook-bench-")
	if err != nil {
		return nil, err
	}
	s := &server{cfg: cfg, db: db, books: books, folder: folder}
	if err := s.start(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) start(ctx context.Context) error {
	var err error
	if s.connectAddr, err = freeAddress(); err != nil {
		return err
	}
	if s.grpcAddr, err = freeAddress(); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.folder, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = exec.CommandContext(ctx, s.cfg.Executable, "serve", "--sandbox", "--log-level", "warn",
		"--listen", s.connectAddr, "--grpc-listen", s.grpcAddr, "--database-url", s.db.url,
		"--data-dir", s.folder, "--trusted-proxies", "127.0.0.1/32")
	s.process.Stderr = log
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	if err := s.awaitReady(ctx); err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(said))
	}
	if s.operatorKey, err = s.books.hireOperator(ctx); err != nil {
		return err
	}
	s.tokens, err = s.signIn(ctx, s.cfg.Callers)
	return err
}

func (s *server) awaitReady(ctx context.Context) error {
	for range 150 {
		if s.isReady(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("the server did not become ready")
}

func (s *server) isReady(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.connectAddr+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (s *server) stop() {
	if s.process != nil && s.process.Process != nil {
		_ = s.process.Process.Signal(syscall.SIGTERM)
		_ = s.process.Wait()
	}
	_ = os.RemoveAll(s.folder)
}

// transfers has the load process make transfers through one of the doors.
func (s *server) transfers(ctx context.Context, cfg Config, d door, hot bool) (sample, error) {
	order := loadOrder{
		Door: d, Address: s.connectAddr, Callers: cfg.Callers, Duration: cfg.Duration,
		Tokens: s.tokens, Recipients: s.recipients(hot),
	}
	if d == doorGRPC {
		order.Address = s.grpcAddr
	}
	return s.measure(ctx, order, 1)
}

// measure has the load process carry out an order, each call of which makes so
// many transfers. Latencies are those of calls, all else is by transfer.
func (s *server) measure(ctx context.Context, order loadOrder, transfers int) (sample, error) {
	before, err := s.db.read(ctx)
	if err != nil {
		return sample{}, err
	}
	serverPID := s.process.Process.Pid
	cpu := cpuSplit{PostgreSQL: treeTime(s.db.pid), Server: processTime(serverPID)}
	result, loadTime, err := s.load(ctx, order)
	if err != nil {
		return sample{}, err
	}
	n := float64(len(result.Latencies) * transfers)
	smp := newSample(result.Latencies, result.Took)
	smp.PerSecond *= float64(transfers)
	now := cpuSplit{PostgreSQL: treeTime(s.db.pid), Server: processTime(serverPID), Load: loadTime}
	smp.CPU = now.sub(cpu).per(n)
	after, err := s.db.read(ctx)
	if err != nil {
		return sample{}, err
	}
	smp.Rows, smp.PerCommit = after.cost(before, n)
	return smp, nil
}

// recipients are user ids: all, or one that isn't among the payers.
func (s *server) recipients(hot bool) []string {
	users := s.books.users[len(s.tokens):]
	if hot {
		users = users[:1]
	}
	ids := make([]string, len(users))
	for i, u := range users {
		ids[i] = id.Format(id.User, u)
	}
	return ids
}

func (s *server) load(ctx context.Context, order loadOrder) (loadResult, time.Duration, error) {
	input, err := json.Marshal(order)
	if err != nil {
		return loadResult{}, 0, err
	}
	var out, problem bytes.Buffer
	cmd := exec.CommandContext(ctx, s.cfg.Executable, "bench-load")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &problem
	if err := cmd.Run(); err != nil {
		return loadResult{}, 0, fmt.Errorf("the load process failed: %w: %s", err, bytes.TrimSpace(problem.Bytes()))
	}
	var result loadResult
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		return loadResult{}, 0, fmt.Errorf("reading the load's result: %w", err)
	}
	return result, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}
