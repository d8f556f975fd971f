package terminal

import "time"

// Misset makes the device believe that it is another time.
func (t *Terminal) Misset(offset time.Duration) { t.clock.learn(time.Now().Add(offset)) }

// Overtake makes the journal say that so much more was taken.
func (j *Journal) Overtake(by uint64) error {
	return j.note(record{kind: kindEnd, number: j.now().last + by})
}
