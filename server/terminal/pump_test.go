package terminal

import "testing"

// A device that moves to a replica whose follower is behind may be ahead of what is
// handed out there.
func TestASessionIsNotHandedWhatTheDeviceHasTaken(t *testing.T) {
	s := &session{hub: &hub{config: Config{Queue: 64}}, from: 5, caughtUp: true, pumping: true}
	s.push(item{sequence: 4}, item{sequence: 5}, item{sequence: 6})
	s.push(item{sequence: 5})
	s.push(item{}) // what isn't numbered always is
	if len(s.queue) != 2 || s.queue[0].sequence != 6 || s.queue[1].sequence != 0 {
		t.Errorf("queued are %+v", s.queue)
	}
}
