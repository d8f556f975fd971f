package main

import (
	"fmt"
	"runtime"

	"github.com/tillbook/tillbook/store"
)

// version is set by the linker; see the Makefile.
var version = "devel"

type versionCmd struct{}

// Run prints one line for people to paste into reports.
func (versionCmd) Run(c *call) error {
	schema, err := store.NeededVersion()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "tillbook %s (schema %d, %s, %s/%s)\n",
		version, schema, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
