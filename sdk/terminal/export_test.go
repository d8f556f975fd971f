package terminal

import "time"

// Misset makes the device believe that it is another time.
func (t *Terminal) Misset(offset time.Duration) { t.clock.learn(time.Now().Add(offset)) }
