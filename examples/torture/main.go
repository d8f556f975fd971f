package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// options are what the flags say.
type options struct {
	tillbook  string // the program
	source    string // the module's folder
	scenarios string // names; all if empty
	short     bool
	dir       string
	history   string
}

func main() {
	var o options
	flag.StringVar(&o.tillbook, "tillbook", "bin/tillbook", "the server `program`")
	flag.StringVar(&o.source, "source", ".", "the module's `folder`, to build the server whose clock is wrong")
	flag.StringVar(&o.scenarios, "scenarios", "", "`names` of the scenarios to run, with spaces between; default: all")
	flag.BoolVar(&o.short, "short", false, "run the five that tell most")
	flag.StringVar(&o.dir, "dir", "", "an empty `folder` for all data and logs; default: one that is deleted at the end")
	flag.StringVar(&o.history, "history", "", "a `folder` that gets all that was recorded, a file a scenario")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &o); err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
}

// chosen are the scenarios that the flags name.
func chosen(o *options) ([]scenario, error) {
	all := scenarios()
	names := strings.Fields(o.scenarios)
	if len(names) == 0 {
		return slices.DeleteFunc(all, func(s scenario) bool { return o.short && !s.short }), nil
	}
	var list []scenario
	for _, name := range names {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			var known []string
			for _, s := range all {
				known = append(known, s.name)
			}
			return nil, fmt.Errorf("there is no scenario %s, but %s", name, strings.Join(known, ", "))
		}
		list = append(list, all[i])
	}
	return list, nil
}

// errFailed says that a scenario didn't pass, which the table tells.
var errFailed = errors.New("not everything passed")

// run runs the scenarios and prints the table.
func run(ctx context.Context, o *options) error {
	list, err := chosen(o)
	if err != nil {
		return err
	}
	r, err := newRack(ctx, o, list)
	if err != nil {
		return err
	}
	defer r.close()
	var rows []row
	printHead(os.Stdout)
	for i := range list {
		if ctx.Err() != nil {
			break
		}
		rows = append(rows, r.run(ctx, &list[i]))
		rows[i].print(os.Stdout)
	}
	if !printSum(os.Stdout, rows) || len(rows) < len(list) {
		return errFailed
	}
	return nil
}
