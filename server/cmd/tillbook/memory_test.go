package main

import "testing"

func TestGarbageIsBoundedByWhatIsAliveAndInAll(t *testing.T) {
	tests := map[string]struct {
		reachable uint64
		want      int
	}{
		"nothing yet":             {0, maxGCPercent},
		"an idle server":          {20 << 20, maxGCPercent},
		"caches":                  {128 << 20, 200},
		"thousands of terminals":  {400 << 20, 60},
		"more than anybody needs": {8 << 30, minGCPercent},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := gcPercent(tt.reachable); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestWhatIsReachableIsKnown(t *testing.T) {
	if reachable() == 0 {
		t.Error("the runtime's metrics have other names")
	}
}
