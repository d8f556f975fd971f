package stack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Well-known ports, of the first of each kind, when Options.KnownPorts asks for them.
var knownPorts = map[string]int{
	"api": 8443, "native": 8444, "stats": 8404,
	"replica": 8101, "replica-native": 8201,
	"postgres": 5441, "postgres-seen": 5451, "patroni": 8011, "patroni-seen": 8021,
	"etcd": 2381, "etcd-peer": 2391, "etcd-seen": 2401,
	"prometheus": 9090, "alertmanager": 9093, "node-exporter": 9100,
	"traces": 4318, "control": 8474, "alerts": 8475, "mail": 8425,
}

// ports hands out addresses on 127.0.0.1.
type ports struct {
	known bool
	taken map[int]bool
}

// freeFrom and freeTo bound the ports that are tried: below those that Linux gives
// to outgoing connections, or one of these would take the port of a killed replica
// before it is started again.
const freeFrom, freeTo = 20000, 32000

// take returns an address nobody listens on. The index tells several of a kind apart.
func (p *ports) take(kind string, index int) (string, error) {
	if p.known {
		port := knownPorts[kind] + index
		if err := free(port); err != nil {
			return "", fmt.Errorf("the cluster's %s needs port %d: %w; is another cluster running?", kind, port, err)
		}
		return address(port), nil
	}
	for range 1000 {
		port := freeFrom + rand.IntN(freeTo-freeFrom)
		if !p.taken[port] && free(port) == nil {
			if p.taken == nil {
				p.taken = make(map[int]bool)
			}
			p.taken[port] = true
			return address(port), nil
		}
	}
	return "", errors.New("no port is free")
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func free(port int) error {
	listener, err := net.Listen("tcp", address(port))
	if err != nil {
		if name := holder(port); name != "" {
			return fmt.Errorf("%w (%s)", err, name)
		}
		return err
	}
	return listener.Close()
}

// holder says which process listens on a port, as far as this user may see.
func holder(port int) string {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return ""
	}
	want := fmt.Sprintf("0100007F:%04X", port)
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[1] != want || fields[3] != "0A" {
			continue
		}
		links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
		for _, link := range links {
			if to, err := os.Readlink(link); err == nil && to == "socket:["+fields[9]+"]" {
				pid := strings.Split(link, "/")[2]
				name, _ := os.ReadFile("/proc/" + pid + "/comm")
				return fmt.Sprintf("%s, process %s, listens there", strings.TrimSpace(string(name)), pid)
			}
		}
	}
	return ""
}
