package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
)

// The client processes are this program again, which is the test here.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == clientMode {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestAFleetOutlivesAReplicaAndLosesNothing(t *testing.T) {
	program := filepath.Join(t.TempDir(), "tillbook")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, "../../server/cmd/tillbook").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	const terminals = 36
	var out bytes.Buffer
	r, err := run(t.Context(), &out, &options{
		tillbook: program, terminals: terminals, perConnection: 4, clients: 2, payments: 20, customers: 2,
		spread: time.Second, steady: 3 * time.Second,
	})
	t.Logf("%s", out.String())
	if err != nil {
		t.Fatal(err)
	}
	if !r.ok() || r.online != terminals || r.recovered <= 0 {
		t.Errorf("got %v", r)
	}
	if got := r.String(); !strings.HasPrefix(got, "fleet: online=36 mem_per_terminal_kb=") || !strings.HasSuffix(got, "lost=0 doubled=0") {
		t.Errorf("got %q", got)
	}
	if r.push <= 0 {
		t.Error("nothing was paid")
	}
}

func TestTheBookFindsWhatIsLostAndDoubled(t *testing.T) {
	b := newBook()
	b.created("chk_lost")
	b.created("chk_unpaid")
	b.settled("chk_untold")
	offer(b, "chk_unpaid")
	offer(b, "chk_twice")
	offer(b, "chk_twice")
	pay(b, "chk_twice")
	pay(b, "chk_twice")
	pay(b, "chk_twice")
	if lost, doubled := b.audit(); lost != 2 || doubled != 3 {
		t.Errorf("%d lost and %d doubled, want 2 and 3", lost, doubled)
	}
	if offers, payments := b.latencies(); len(offers) != 2 || len(payments) != 1 {
		t.Errorf("got %d and %d latencies, want 2 and 1", len(offers), len(payments))
	}
	if offers, payments := b.latencies(); len(offers)+len(payments) != 0 {
		t.Error("latencies were told twice")
	}
}

func TestPercentilesAreOfTheSamplesThemselves(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[99-i] = int64(i+1) * 1000
	}
	for p, want := range map[int]time.Duration{50: 50 * time.Millisecond, 99: 99 * time.Millisecond, 100: 100 * time.Millisecond} {
		if got := percentile(hundred, p); got != want {
			t.Errorf("percentile %d is %v, want %v", p, got, want)
		}
	}
	if got := percentile([]int64{7000}, 99); got != 7*time.Millisecond {
		t.Errorf("of one sample it is %v", got)
	}
	if got := percentile(nil, 99); got != 0 {
		t.Errorf("of none it is %v", got)
	}
}

func offer(b *book, checkout string) { b.offered(checkoutOf(checkout), time.Now()) }

func pay(b *book, checkout string) { b.paid(checkoutOf(checkout), time.Now()) }

func checkoutOf(id string) *checkoutv1.Checkout { return &checkoutv1.Checkout{CheckoutId: id} }
