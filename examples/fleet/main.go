package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are what the flags say.
type options struct {
	tillbook  string // the program
	terminals int
	// perConnection is how many terminals share a connection.
	perConnection int
	clients       int
	payments      int // a second
	customers     int // of each client process
	// spread is in which time terminals that lost their connection come back.
	spread time.Duration
	// steady is how long each measurement takes.
	steady time.Duration
	dir    string
	// mainDoor is whether terminals go through the door that also serves HTTP.
	mainDoor bool
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == clientMode {
		if err := serveClient(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "fleet: client:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.tillbook, "tillbook", "bin/tillbook", "the server `program`")
	flag.IntVar(&o.terminals, "terminals", 22_000, "how many terminals come online")
	flag.IntVar(&o.perConnection, "per-connection", 8, "how many terminals share a connection")
	flag.IntVar(&o.clients, "clients", 4, "how many client processes there are")
	flag.IntVar(&o.payments, "payments", 200, "how many payments there are a second")
	flag.IntVar(&o.customers, "customers", 12, "how many customers each client process has")
	flag.DurationVar(&o.spread, "spread", 15*time.Second, "in which time terminals come back that lost their connection")
	flag.DurationVar(&o.steady, "steady", 30*time.Second, "how long heartbeats, and then payments, are measured")
	flag.StringVar(&o.dir, "dir", "", "an empty `folder` for the database; default: one that is deleted at the end")
	flag.BoolVar(&o.mainDoor, "main-door", false, "have terminals use the door that also serves HTTP, to compare")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := run(ctx, os.Stdout, &o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
	fmt.Println(r)
	if !r.ok() {
		os.Exit(1)
	}
}
