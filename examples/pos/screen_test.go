package main

import (
	"errors"
	"flag"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	qrcode "github.com/piglig/go-qr"
	"google.golang.org/protobuf/types/known/timestamppb"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
)

var update = flag.Bool("update", false, "write the screens in testdata anew")

const qrText = "00020101021226560020tillbook.checkout.v10112K7M2Q9X4R8TB5204581253038405405" +
	"12.505802ID5911Warung Kopi6007Jakarta62160312K7M2Q9X4R8TB6304A13A"

var noon = time.Date(2027, 1, 15, 5, 0, 0, 0, time.UTC)

// counter is a state with a session.
func counter() State {
	return State{
		Now: noon, Width: 92, Height: 30, Asset: "USD", Activated: true, Online: true, Epoch: 3,
		Configuration: &terminalv1.Configuration{MerchantName: "Warung Kopi", StoreName: "Jalan Sabang", City: "Jakarta", TimeZone: "Asia/Jakarta"},
	}
}

// checkout is a sale of USD 12.50 in some state, and what else is different about it.
func checkout(id string, state checkoutv1.CheckoutState, change ...func(*checkoutv1.Checkout)) *checkoutv1.Checkout {
	c := &checkoutv1.Checkout{
		CheckoutId: id, Code: "K7M2Q9X4R8TB", QrText: qrText, State: state, Reference: "Table 4",
		Amount:     &moneyv1.Money{Asset: "USD", Amount: "12.50"},
		CreateTime: timestamppb.New(noon), ExpireTime: timestamppb.New(noon.Add(15 * time.Minute)),
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func paid(c *checkoutv1.Checkout) {
	c.CloseTime = timestamppb.New(noon.Add(time.Minute))
	c.Payment = &checkoutv1.Payment{
		TransactionId: "txn_06b0q7r3c9v5zk8w2m4x1n6t0p", MaskedCustomer: "a***",
		Tip: &moneyv1.Money{Asset: "USD", Amount: "1.25"}, Total: &moneyv1.Money{Asset: "USD", Amount: "13.75"},
	}
}

const (
	acknowledged = checkoutv1.CheckoutState_CHECKOUT_STATE_ACKNOWLEDGED
	succeeded    = checkoutv1.CheckoutState_CHECKOUT_STATE_SUCCEEDED
	expired      = checkoutv1.CheckoutState_CHECKOUT_STATE_EXPIRED
	canceled     = checkoutv1.CheckoutState_CHECKOUT_STATE_CANCELED
	declined     = checkoutv1.CheckoutState_CHECKOUT_STATE_DECLINED
)

// Each screen is a file in testdata. Look at what changes before writing them anew by
// go test ./examples/pos -run TestScreens -update.
func TestScreensLookAsTheyShould(t *testing.T) {
	screens := map[string]func(s *State){
		"activate": func(s *State) {
			*s = State{Width: 80, Height: 24, Typed: Typed{Code: "7KQ2M9"}, Notice: words(errReason("ACTIVATION_CODE_INVALID"))}
		},
		"connecting": func(s *State) { s.Online, s.Epoch, s.Configuration = false, 0, nil },
		"sale":       func(s *State) { s.Typed = Typed{Amount: "12.50", Reference: "Table 4", Field: FieldReference} },
		"sale-tip":   func(s *State) { s.Typed = Typed{Amount: "12.50", Tip: true, Field: FieldTip} },
		"sale-busy":  func(s *State) { s.Busy = "The sale has no answer yet, and is sent again…" },
		"offline":    func(s *State) { *s, _ = s.On(Disconnected{errReason("")}) },
		"locked":     func(s *State) { s.Configuration.Locked = true },
		"key-shared": func(s *State) { *s, _ = s.On(Disconnected{errReason("TERMINAL_KEY_SHARED")}) },
		"revoked":    func(s *State) { *s, _ = s.On(Stopped{errReason("TERMINAL_REVOKED")}) },
		"wait":       func(s *State) { s.Open = []*checkoutv1.Checkout{checkout("1", acknowledged, tipped)} },
		"wait-narrow": func(s *State) {
			s.Width, s.Height = 60, 50
			s.Open = []*checkoutv1.Checkout{checkout("1", acknowledged)}
		},
		"wait-small": func(s *State) {
			s.Height = 24
			s.Open = []*checkoutv1.Checkout{checkout("1", acknowledged), checkout("2", acknowledged)}
		},
		"charge": func(s *State) {
			s.Open = []*checkoutv1.Checkout{checkout("1", acknowledged)}
			s.Typed.Charging, s.Typed.Payment, s.Notice = true, "4QX", words(errReason("PAYMENT_CODE_INVALID"))
		},
		"paid": func(s *State) { s.Closed = []*checkoutv1.Checkout{checkout("1", succeeded, paid)} },
		"authorized": func(s *State) {
			s.Closed = []*checkoutv1.Checkout{checkout("1", checkoutv1.CheckoutState_CHECKOUT_STATE_AUTHORIZED, paid)}
		},
		"declined":          func(s *State) { s.Closed = []*checkoutv1.Checkout{checkout("1", declined)} },
		"canceled":          func(s *State) { s.Closed = []*checkoutv1.Checkout{checkout("1", canceled), checkout("2", canceled)} },
		"expired-delivery":  expiredBy(checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_DELIVERED),
		"expired-answer":    expiredBy(checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_ACKNOWLEDGED),
		"expired-payment":   expiredBy(checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_PAID),
		"expired-capturing": expiredBy(checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_CAPTURED),
		"unprinted": func(s *State) {
			*s, _ = s.On(Unprinted{checkout("1", succeeded, paid), "The till stopped before it knew whether the receipt is on paper. Look whether it is."})
		},
		"no-paper": func(s *State) {
			s.Height = 14
			*s, _ = s.On(Unprinted{checkout("1", succeeded, paid), words(errors.New("the printer can't be used: no paper"))})
		},
		"refunded": func(s *State) {
			*s, _ = s.On(Refunded{checkout("1", succeeded, paid, func(c *checkoutv1.Checkout) {
				c.Payment.Refunded = &moneyv1.Money{Asset: "USD", Amount: "3.00"}
			})})
		},
	}
	for name, change := range screens {
		t.Run(name, func(t *testing.T) {
			s := counter()
			change(&s)
			var lines []string
			for line := range strings.Lines(ansi.Strip(Screen(&s))) {
				lines = append(lines, strings.TrimRight(line, " \n"))
			}
			got := strings.Join(lines, "\n") + "\n"
			if len(lines) > s.Height {
				t.Errorf("%d lines don't fit into %d", len(lines), s.Height)
			}
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func tipped(c *checkoutv1.Checkout) { c.TipOptions = &checkoutv1.TipOptions{Allowed: true} }

func expiredBy(how checkoutv1.CheckoutExpiry) func(*State) {
	return func(s *State) {
		s.Closed = []*checkoutv1.Checkout{checkout("1", expired, func(c *checkoutv1.Checkout) { c.Expiry = how })}
	}
}

func TestAPaidSaleIsGreenAndNoOtherIs(t *testing.T) {
	const green = "\x1b[1;30;42m"
	s := counter()
	for state, want := range map[checkoutv1.CheckoutState]bool{succeeded: true, declined: false, canceled: false, expired: false} {
		c := checkout("1", state)
		if want {
			paid(c)
		}
		s.Closed = []*checkoutv1.Checkout{c}
		if got := strings.Contains(Screen(&s), green); got != want {
			t.Errorf("%s: green is %v in %q", state, got, Screen(&s))
		}
	}
}

func TestAQRCodeOfBlocksCanBeRead(t *testing.T) {
	for _, text := range []string{qrText, "1", strings.Repeat("long ", 100)} {
		lines, err := drawQR(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := qrcode.Decode(photo(lines)); err != nil || got != text {
			t.Errorf("read %q, %v; want %q", got, err, text)
		}
	}
	if _, err := drawQR(strings.Repeat("too long", 1000)); err == nil {
		t.Error("a text that doesn't fit was drawn")
	}
}

// photo is a picture of a code that is drawn in blocks of dark on light.
func photo(lines []string) image.Image {
	const pixels = 8 // a module
	width := len([]rune(lines[0]))
	img := image.NewGray(image.Rect(0, 0, (width+8)*pixels, (2*len(lines)+8)*pixels))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	fill := func(x, y int) {
		for i := range pixels * pixels {
			img.Set((x+4)*pixels+i%pixels, (y+4)*pixels+i/pixels, color.Black)
		}
	}
	for row, line := range lines {
		for x, r := range []rune(line) {
			if r == '█' || r == '▀' {
				fill(x, 2*row)
			}
			if r == '█' || r == '▄' {
				fill(x, 2*row+1)
			}
		}
	}
	return img
}
