package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// collector takes the traces of all replicas by OTLP and throws them away. It can be
// made to hang: then it takes requests and never answers.
type collector struct {
	server *http.Server
	url    string

	mu      sync.Mutex
	release chan struct{} // closed when it answers; nil if it doesn't hang
	hung    int           // requests that were kept waiting
}

func newCollector() (*collector, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &collector{url: "http://" + listener.Addr().String()}
	c.server = &http.Server{Handler: http.HandlerFunc(c.take), ReadHeaderTimeout: time.Minute}
	go func() { // ends with close
		if err := c.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // its address was taken away
		}
	}()
	return c, nil
}

// env has a replica send its traces here.
func (c *collector) env() []string {
	return []string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT=" + c.url}
}

func (c *collector) take(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	release := c.release
	if release != nil {
		c.hung++
	}
	c.mu.Unlock()
	if release != nil {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	w.WriteHeader(http.StatusOK)
}

// hang begins or ends that nothing is answered.
func (c *collector) hang(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case on && c.release == nil:
		c.release, c.hung = make(chan struct{}), 0
	case !on && c.release != nil:
		close(c.release)
		c.release = nil
	}
}

// waiting is how many requests it has kept waiting since it began to hang.
func (c *collector) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hung
}

func (c *collector) close() {
	c.hang(false)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c.server.Shutdown(ctx) != nil {
		_ = c.server.Close()
	}
}
