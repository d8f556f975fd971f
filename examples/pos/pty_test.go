package main

import (
	"image"
	"image/color"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	qrcode "github.com/piglig/go-qr"
)

// asCounter makes the test's own binary a counter.
const asCounter = "TILLBOOK_TEST_COUNTER"

func TestMain(m *testing.M) {
	if os.Getenv(asCounter) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// terminalScreen is a counter that runs in a process of its own, with a terminal in
// front of it.
type terminalScreen struct {
	t     *testing.T
	cmd   *exec.Cmd
	keys  *os.File
	glass *vt.SafeEmulator
	wait  func() error
}

const columns, rows = 100, 44

// startCounter starts a counter with these flags.
func startCounter(t *testing.T, flags ...string) *terminalScreen {
	t.Helper()
	cmd := exec.Command(os.Args[0], flags...)
	cmd.Env = append(os.Environ(), asCounter+"=1", "TERM=xterm-256color", "COLORTERM=truecolor")
	keys, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: columns, Rows: rows})
	must(t, err)
	s := &terminalScreen{t: t, cmd: cmd, keys: keys, glass: vt.NewSafeEmulator(columns, rows)}
	var copying sync.WaitGroup
	copying.Go(func() { copyAll(s.glass.Write, keys.Read) })
	go copyAll(keys.Write, s.glass.Read) // what the terminal answers to questions; ends with the emulator
	s.wait = sync.OnceValue(func() error {
		err := cmd.Wait()
		copying.Wait()
		_ = keys.Close()
		_ = s.glass.Close()
		return err
	})
	t.Cleanup(func() { s.kill() })
	return s
}

func copyAll(write, read func([]byte) (int, error)) {
	buffer := make([]byte, 4096)
	for {
		n, err := read(buffer)
		if _, writeErr := write(buffer[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

// kill ends the process as a loss of power does.
func (s *terminalScreen) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.wait()
}

// quit ends the process as a cashier does.
func (s *terminalScreen) quit() {
	s.t.Helper()
	s.press("\x03")
	if err := s.wait(); err != nil {
		s.t.Fatalf("the counter ended with: %v", err)
	}
}

func (s *terminalScreen) press(keys string) {
	s.t.Helper()
	_, err := s.keys.WriteString(keys)
	must(s.t, err)
}

// text is what stands on the screen.
func (s *terminalScreen) text() string { return ansi.Strip(s.glass.Render()) }

// see waits until all of these stand on the screen. Keys do nothing until the screen
// names them.
func (s *terminalScreen) see(wanted ...string) {
	s.t.Helper()
	eventually(s.t, func() string {
		for _, w := range wanted {
			if !strings.Contains(s.text(), w) {
				return "no " + w + " on the screen:\n" + s.text()
			}
		}
		return ""
	})
}

// checkoutCode waits for a sale that can be worked with, and returns the code under
// which it is found, which isn't the one of before.
func (s *terminalScreen) checkoutCode(before string) (code string) {
	s.t.Helper()
	pattern := regexp.MustCompile(`Code ([0-9A-Z]{12})`)
	eventually(s.t, func() string {
		text := s.text()
		found := pattern.FindStringSubmatch(text)
		if found == nil || found[1] == before || !strings.Contains(text, "C cancels the sale") {
			return "no sale on the screen:\n" + s.text()
		}
		code = found[1]
		return ""
	})
	return code
}

// scan reads the QR code from the colors on the screen, as a phone does.
func (s *terminalScreen) scan() string {
	s.t.Helper()
	const pixels = 8 // half a character
	img := image.NewGray(image.Rect(0, 0, columns*pixels, 2*rows*pixels))
	fill := func(x, y int, c color.Color) {
		for i := range pixels * pixels {
			img.Set(x*pixels+i%pixels, y*pixels+i/pixels, c)
		}
	}
	for y := range rows {
		for x := range columns {
			upper, lower := color.Color(color.Gray{128}), color.Color(color.Gray{128})
			if cell := s.glass.CellAt(x, y); cell != nil && cell.Style.Bg != nil && cell.Style.Fg != nil {
				upper, lower = cell.Style.Bg, cell.Style.Bg
				if cell.Content == "█" || cell.Content == "▀" {
					upper = cell.Style.Fg
				}
				if cell.Content == "█" || cell.Content == "▄" {
					lower = cell.Style.Fg
				}
			}
			fill(x, 2*y, upper)
			fill(x, 2*y+1, lower)
		}
	}
	text, err := qrcode.Decode(img)
	if err != nil {
		s.t.Fatalf("no phone can read this: %v\n%s", err, s.text())
	}
	return text
}

// green says whether there is anything green on the screen.
func (s *terminalScreen) green() bool {
	for i := range columns * rows {
		if cell := s.glass.CellAt(i%columns, i/columns); cell != nil && cell.Style.Bg == lipgloss.Green {
			return true
		}
	}
	return false
}

// eventually waits until there is nothing to complain about.
func eventually(t *testing.T, complaint func() string) {
	t.Helper()
	last := ""
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if last = complaint(); last == "" {
			return
		}
	}
	t.Fatal("never: " + last)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
