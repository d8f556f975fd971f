package main

import (
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// A command line is understood or refused, whatever it says.
func FuzzFlags(f *testing.F) {
	for _, line := range []string{
		"serve --sandbox", "serve --listen=x --trusted-proxies=10.0.0.0/8,::/0", "serve --trusted-proxies=10.0.0.0/99", "serve --stream-age=1e9h",
		"serve --max-conns=99999999999", "serve --countries=,,", "verify", "operator create --name=", "--", "serve --max-message-bytes=-1", "bench --only=\x00",
	} {
		f.Add(line)
	}
	f.Fuzz(func(_ *testing.T, line string) {
		parser, err := newParser(new(cli), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}))
		if err != nil {
			panic(err)
		}
		args := strings.Split(line, " ")
		for _, arg := range args {
			if strings.HasPrefix("--help", arg) || strings.HasPrefix(arg, "-h") {
				return // It would go on after its exit.
			}
		}
		_, _ = parser.Parse(args)
	})
}
