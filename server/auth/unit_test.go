package auth

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store"
)

func TestCommonPasswordsAreFound(t *testing.T) {
	for _, p := range []string{
		"password", "Password1", "P@ssw0rd", "p4$$w0rd!", "passw0rd123", "qwerty123", "QWERTYUIOP", "iloveyou", "ILoveYou!!",
		"12345678", "87654321", "11111111", "abcdefgh", "aaaaaaaa", "abababab", "abc1abc1", "1q2w3e4r", "zaq12wsx", "letmein1",
		"sunshine99", "football", "bismillah", "sayangku", "liverpool1", "31121999", "12311999", "19991231", "superman",
		"trustno1", "welcome1!", "changeme",
	} {
		if !common(p) {
			t.Errorf("%q is not found", p)
		}
	}
}

func TestGoodPasswordsAreNotTakenForCommonOnes(t *testing.T) {
	for _, p := range []string{
		"correct horse battery staple", "Correct-Horse-7-Battery", "xK9#mP2$vL", "purple monkey dishwasher", "tRX4-pq9z",
		"mein vater hat 3 esel", "kopi susu panas sekali", "ünïcödé-ist-gut", "dragon-fruit-7391-salad", "84629173650",
	} {
		if common(p) {
			t.Errorf("%q is taken for a common one", p)
		}
	}
}

func TestTheListOfCommonPasswordsIsInOrder(t *testing.T) {
	var last string
	n := 0
	for line := range strings.Lines(commonList) {
		word := strings.TrimSuffix(line, "\n")
		if word <= last || word != fold(word) || strings.TrimSpace(word) != word {
			t.Errorf("%q after %q", word, last)
		}
		last = word
		n++
	}
	if n < 1000 {
		t.Errorf("the list has %d words", n)
	}
}

func TestEveryCodeHasTheSameChance(t *testing.T) {
	// The numbers that would make low codes likelier are drawn again.
	draws := binary.BigEndian.AppendUint32(nil, 4_294_000_000)
	draws = binary.BigEndian.AppendUint32(draws, 1<<32-1)
	draws = binary.BigEndian.AppendUint32(draws, 4_293_999_999)
	if code, err := randomCode(bytes.NewReader(draws)); err != nil || code != "999999" {
		t.Errorf("code %q, %v; want 999999", code, err)
	}
	if code, err := randomCode(bytes.NewReader([]byte{0, 0, 0, 7})); err != nil || code != "000007" {
		t.Errorf("code %q, %v; want 000007", code, err)
	}
	if _, err := randomCode(bytes.NewReader(nil)); err == nil {
		t.Error("without randomness there is a code")
	}
	var digits [codeDigits][10]int
	random := rand.NewChaCha8([32]byte{1})
	const codes = 20_000
	for range codes {
		code, err := randomCode(random)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range code {
			digits[i][d-'0']++
		}
	}
	for i := range digits {
		for d, n := range digits[i] {
			if n < codes/10-300 || n > codes/10+300 { // 7 standard deviations
				t.Errorf("digit %d at %d comes %d times in %d", d, i, n, codes)
			}
		}
	}
}

func TestACodesHashIsBoundToAllItIsFor(t *testing.T) {
	key, id := []byte("key"), uuid.New()
	base := codeHash(key, purposeLogin, id, "123456")
	for name, other := range map[string][]byte{
		"key":       codeHash([]byte("other"), purposeLogin, id, "123456"),
		"purpose":   codeHash(key, purposeRegister, id, "123456"),
		"challenge": codeHash(key, purposeLogin, uuid.New(), "123456"),
		"code":      codeHash(key, purposeLogin, id, "123457"),
	} {
		if bytes.Equal(base, other) {
			t.Errorf("another %s has the same hash", name)
		}
	}
}

func TestOpaqueTokensHaveOneForm(t *testing.T) {
	token := opaque{1, 2, 3}
	text := token.text(refreshPrefix)
	if got, ok := parseOpaque(refreshPrefix, text); !ok || got != token {
		t.Fatalf("%q reads as %v, %v", text, got, ok)
	}
	// The last character carries bits that no byte takes up.
	for _, other := range []string{text[:len(text)-1] + "B", text + "\n", " " + text, strings.ToUpper(text), text[4:]} {
		if _, ok := parseOpaque(refreshPrefix, other); ok {
			t.Errorf("%q is read too", other)
		}
	}
}

func TestKeysArePlannedAhead(t *testing.T) {
	day := 24 * time.Hour
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	policy := keyPolicy{life: 30 * day, lead: time.Hour, keep: 25 * time.Minute}
	first, second := uuid.New(), uuid.New()
	mac := store.ServerKey{ID: uuid.New(), Kind: kindMAC, UseTime: now.Add(-day)}
	sign := func(id uuid.UUID, use time.Duration) store.ServerKey {
		return store.ServerKey{ID: id, Kind: kindSign, UseTime: now.Add(use)}
	}
	tests := map[string]struct {
		rows []store.ServerKey
		due  []time.Duration
		old  []uuid.UUID
	}{
		"none":                    {rows: []store.ServerKey{mac}, due: []time.Duration{0}},
		"young":                   {rows: []store.ServerKey{mac, sign(first, -day)}},
		"just before its time":    {rows: []store.ServerKey{mac, sign(first, -30*day+time.Hour+1)}},
		"due":                     {rows: []store.ServerKey{mac, sign(first, -30*day+time.Hour)}, due: []time.Duration{time.Hour}},
		"overdue":                 {rows: []store.ServerKey{mac, sign(first, -100*day)}, due: []time.Duration{time.Hour}},
		"its successor waits":     {rows: []store.ServerKey{mac, sign(first, -30*day+time.Minute), sign(second, time.Minute)}},
		"its tokens still live":   {rows: []store.ServerKey{mac, sign(first, -31*day), sign(second, -24*time.Minute)}},
		"its tokens have expired": {rows: []store.ServerKey{mac, sign(first, -31*day), sign(second, -25*time.Minute)}, old: []uuid.UUID{first}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			plan := planKeys(tt.rows, now, policy)
			if len(plan.due) != len(tt.due) || len(plan.old) != len(tt.old) {
				t.Fatalf("planned %+v", plan)
			}
			for i, due := range plan.due {
				if due.kind != kindSign || !due.useTime.Equal(now.Add(tt.due[i])) {
					t.Errorf("due is %+v, want in %v", due, tt.due[i])
				}
			}
			for i, old := range plan.old {
				if old != tt.old[i] {
					t.Errorf("old is %v", old)
				}
			}
		})
	}
}

func TestTextsFitOneMessage(t *testing.T) {
	for _, text := range []string{
		textRegistered, textPasswordChanged,
		textCode(purposeRegister, "123456"), textCode(purposeLogin, "123456"), textCode(purposePasswordReset, "123456"),
	} {
		if len(text) > 160 || strings.ContainsFunc(text, func(r rune) bool { return r > 126 }) {
			t.Errorf("%q has %d characters or some outside the GSM alphabet", text, len(text))
		}
	}
}

func TestLimitsGrowTogether(t *testing.T) {
	limits := DefaultLimits()
	wide := limits.Times(10)
	if wide.CodePhone.Burst != 10*limits.CodePhone.Burst || wide.CodePhone.Per != limits.CodePhone.Per/10 {
		t.Errorf("ten times %+v is %+v", limits.CodePhone, wide.CodePhone)
	}
	if wide.PasswordUser == limits.PasswordUser || limits != DefaultLimits() {
		t.Error("a limit was left out, or the original changed")
	}
}

func TestARevocationIsForgottenWithItsTokens(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := newRevocations(nil, func() time.Time { return now }, Config{AccessLife: 15 * time.Minute})
	session := uuid.New()
	r.add(session)
	now = now.Add(30 * time.Minute)
	r.forget()
	if !r.has(session) {
		t.Error("it is forgotten too early")
	}
	now = now.Add(time.Second)
	r.forget()
	if r.has(session) {
		t.Error("it is never forgotten")
	}
}
