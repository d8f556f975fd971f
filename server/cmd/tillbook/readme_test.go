package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func TestTheReadmeListsEveryFlagOfServe(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := newParser(new(cli))
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for _, flag := range serveFlags(t, parser) {
		row := fmt.Sprintf("| `--%s` | `%s` |", flag.Name, flag.Envs[0])
		if !strings.Contains(string(readme), row) {
			t.Errorf("README.md has no row that begins with %s", row)
			continue
		}
		listed++
		if row += fmt.Sprintf(" `%s` |", flag.Default); flag.HasDefault && !strings.Contains(string(readme), row) {
			t.Errorf("README.md has no row that begins with %s", row)
		}
	}
	if rows := strings.Count(string(readme), "\n| `--"); rows != listed {
		t.Errorf("README.md has rows for %d flags; %d exist", rows, listed)
	}
}

func serveFlags(t *testing.T, parser *kong.Kong) []*kong.Flag {
	t.Helper()
	for _, command := range parser.Model.Leaves(false) {
		if command.Name != "serve" {
			continue
		}
		var flags []*kong.Flag
		for _, flag := range command.Flags {
			if flag.Name != "help" {
				flags = append(flags, flag)
			}
		}
		return flags
	}
	t.Fatal("there is no command serve")
	return nil
}
