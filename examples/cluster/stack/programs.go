package stack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are where what the stack runs is installed.
type programs struct {
	postgres                          string // the folder
	patroni, etcd                     string
	haproxy, prometheus, alertmanager string
	nodeExporter                      string
}

// find looks for what the options need. The error names the packages of Debian that
// are missing.
func find(o Options) (p programs, err error) {
	var missing []string
	look := func(to *string, name, pkg string) {
		var err error
		// Debian keeps haproxy in sbin, which users rarely have on their PATH.
		if *to, err = exec.LookPath(name); err != nil {
			*to = "/usr/sbin/" + name
			if _, err := os.Stat(*to); err != nil {
				missing = append(missing, pkg)
			}
		}
	}
	if p.postgres = os.Getenv("TILLBOOK_POSTGRES_BIN"); p.postgres == "" {
		bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
		if len(bins) == 0 {
			missing = append(missing, "postgresql")
		} else {
			p.postgres = bins[len(bins)-1] // the newest
		}
	}
	look(&p.patroni, "patroni", "patroni")
	look(&p.etcd, "etcd", "etcd-server")
	if o.HAProxy {
		look(&p.haproxy, "haproxy", "haproxy")
	}
	if o.Prometheus {
		look(&p.prometheus, "prometheus", "prometheus")
		look(&p.alertmanager, "prometheus-alertmanager", "prometheus-alertmanager")
		look(&p.nodeExporter, "prometheus-node-exporter", "prometheus-node-exporter")
	}
	if len(missing) > 0 {
		return p, fmt.Errorf("the cluster needs what isn't installed here: `make install-cluster` or `apt-get install %s`", strings.Join(missing, " "))
	}
	return p, nil
}
