package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tillbook/tillbook/server/doctor"
	"github.com/tillbook/tillbook/store"
)

type doctorCmd struct {
	JSON     bool `name:"json" help:"Print JSON."`
	Verbose  bool `name:"verbose" help:"Say what is fine, too."`
	Sandbox  bool `name:"sandbox" help:"It is a sandbox: don't look for the leftovers of one."`
	Replicas int  `name:"replicas" help:"How many replicas there will be. Without it, those that run count."`
	MaxConns int  `name:"max-conns" help:"Connections of each. Without it, those that run say."`
	databaseFlags
	secretFlags
}

// Help is shown by --help.
func (doctorCmd) Help() string {
	return `It looks at clocks, PostgreSQL's settings, standbys and archive, pools against max_connections, the schema's indexes and rights, keys, sealing, leftovers of a sandbox, open transactions, vacuum, and the disk if that is this machine's. It changes nothing, and says what to do about each finding.

Exit codes: 0 all is well, 1 there are warnings, 2 something is wrong or couldn't be looked at.

Examples:

    tillbook doctor
    tillbook doctor --database-url postgres://owner@db.example.com/tillbook --secret-file /etc/tillbook/secret`
}

// The exit codes.
const (
	exitWarned = 1
	exitSick   = 2
)

// Run looks the deployment over.
func (cmd doctorCmd) Run(c *call) error {
	findings, err := cmd.examine(c)
	if err != nil {
		return &exitError{exitSick, err}
	}
	if err := cmd.print(c.stdout, findings); err != nil {
		return &exitError{exitSick, err}
	}
	switch doctor.Worst(findings) {
	case doctor.Fail:
		return &exitError{exitSick, errors.New("something is wrong")}
	case doctor.Warn:
		return &exitError{exitWarned, errors.New("there are warnings")}
	}
	return nil
}

func (cmd doctorCmd) examine(c *call) (findings []doctor.Finding, err error) {
	db, err := cmd.openExisting(c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	keys, err := cmd.load(c.ctx, cmd.DataDir, db.private != nil)
	if err != nil {
		return nil, err
	}
	s, err := store.Open(c.ctx, store.Config{URL: db.url, Role: store.NoRole, MaxConns: 2, Inspect: true})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return doctor.Examine(c.ctx, doctor.Options{
		Store: s, Keys: keys, Sandbox: cmd.Sandbox, Replicas: cmd.Replicas, MaxConns: cmd.MaxConns,
	}), nil
}

func (cmd doctorCmd) print(w io.Writer, findings []doctor.Finding) error {
	if cmd.JSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"level": doctor.Worst(findings), "findings": findings})
	}
	var count [doctor.Fail + 1]int
	for _, f := range findings {
		count[f.Level]++
		if f.Level == doctor.OK && !cmd.Verbose {
			continue
		}
		fmt.Fprintf(w, "%-4s  %-12s  %s\n", f.Level, f.Check, f.Text)
		if f.Advice != "" {
			fmt.Fprintf(w, "%20s%s\n", "", f.Advice)
		}
	}
	fmt.Fprintf(w, "%d OK, %d WARN, %d FAIL\n", count[doctor.OK], count[doctor.Warn], count[doctor.Fail])
	return nil
}
