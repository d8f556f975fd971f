package server

import (
	"net/http"
	"testing"
	"time"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/store/storetest"
)

// Behind a load balancer, what one replica made is judged by the next.
func TestReplicasWhoseClocksDifferAcceptEachOthersTokens(t *testing.T) {
	url := storetest.URL(storetest.New(t))
	stories := map[time.Duration]*story{}
	for _, off := range []time.Duration{0, 5 * time.Minute, -5 * time.Minute} {
		r := startReplica(t, url, func(c *Config) { c.Clock = func() time.Time { return time.Now().Add(off) } })
		stories[off] = newStory(t, &http.Client{}, "http://"+r.Addr())
	}
	number := 0
	for off, at := range stories {
		number++
		p := at.register("+628123456782"+string(rune('0'+number)), "user"+string(rune('a'+number)))
		at.fund(p, "10")
		for other, elsewhere := range stories {
			if _, err := elsewhere.auth.GetMe(elsewhere.as(p.token), &authv1.GetMeRequest{}); err != nil {
				t.Errorf("a token made by a clock that is off by %v, at one that is off by %v: %v", off, other, err)
			}
		}
	}
}
