package terminal

import "time"

// SetClock makes the device believe that its clock is off by so much.
func (t *Terminal) SetClock(off time.Duration) { t.clock.learn(time.Now().Add(off)) }
