package hostile

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// full runs the attacks at the size that `make hostile` reports.
var full = flag.Bool("full", false, "attack at full size, which takes some minutes")

// size picks one of two sizes of an attack.
func size[T any](small, large T) T {
	if *full {
		return large
	}
	return small
}

// folder is where the program is built; it goes when the tests end.
var folder string

// program builds the server's, once.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(folder, "tillbook")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "../cmd/tillbook").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if folder, err = os.MkdirTemp("", "tillbook-hostile-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	code := m.Run()
	if len(figures.rows) > 0 {
		figures.print()
	}
	return code
}

// figure is what was seen of one attack.
type figure struct {
	attack string
	// did says how much of it there was and what the server made of it.
	did string
	// before and peak are the server's memory in MiB; of several, the largest's.
	before, peak int
	// calm and beside are what the slowest of a hundred of an honest customer's
	// calls takes, without the attack and beside it.
	calm, beside time.Duration
	calls        int
}

// figures collects those of all tests, for the table at the end.
var figures table

type table struct {
	mu   sync.Mutex
	rows []figure
}

func (l *table) add(t testing.TB, f figure) {
	t.Helper()
	t.Logf("%s: %s", f.attack, f.did)
	t.Logf("memory: %d MiB before, %d MiB at the peak; an honest customer's p99: %s without it, %s beside it (%d calls)",
		f.before, f.peak, f.calm, f.beside, f.calls)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = append(l.rows, f)
}

func (l *table) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nattack\tMiB before\tMiB peak\tp99 calm\tp99 beside\twhat was done, and what became of it")
	for _, f := range l.rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\n", f.attack, f.before, f.peak, f.calm, f.beside, f.did)
	}
	_ = w.Flush()
}
