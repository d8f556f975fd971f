package stack

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// Etcd is a member of the store that says which database node is the primary.
type Etcd struct {
	*Process
	client string
}

// startEtcd starts a set of members.
func (s *Stack) startEtcd(ctx context.Context) error {
	type member struct{ name, client, peer string }
	var members []member
	var peers []string
	for i := range s.options.Etcd {
		client, err := s.ports.take("etcd", i)
		if err != nil {
			return err
		}
		peer, err := s.ports.take("etcd-peer", i)
		if err != nil {
			return err
		}
		m := member{name: fmt.Sprintf("etcd-%d", i), client: client, peer: peer}
		members, peers = append(members, m), append(peers, m.name+"=http://"+peer)
	}
	for _, m := range members {
		data := s.dirs.file("etcd", m.name)
		if err := os.MkdirAll(data, 0o700); err != nil {
			return err
		}
		e := &Etcd{client: m.client, Process: &Process{
			name: m.name, program: s.programs.etcd, dirs: s.dirs, stopping: syscall.SIGTERM,
			args: []string{
				"--name", m.name, "--data-dir", data, "--log-level", "warn", "--logger", "zap",
				"--listen-client-urls", "http://" + m.client, "--advertise-client-urls", "http://" + m.client,
				"--listen-peer-urls", "http://" + m.peer, "--initial-advertise-peer-urls", "http://" + m.peer,
				"--initial-cluster", strings.Join(peers, ","), "--initial-cluster-token", "tillbook",
				"--auto-compaction-retention", "1",
			},
		}}
		s.etcd = append(s.etcd, e)
		if err := e.Start(); err != nil {
			return err
		}
	}
	for _, e := range s.etcd {
		if err := await(ctx, e.name, answers("http://"+e.client+"/health"), e.Process); err != nil {
			return err
		}
	}
	return nil
}

// answers asks whether a URL answers with 200.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := probes.Do(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}
