package ledger

import "context"

// Answer is what became of one of several commands.
type Answer struct {
	Result Result
	Err    error
}

// CommitEach executes commands in their order, each on its own: what one of them
// comes to is nothing to the others. It answers for each as Commit does.
func (l *Ledger) CommitEach(ctx context.Context, commands []Command) []Answer {
	answers := make([]Answer, len(commands))
	calls := make([]*call, len(commands))
	for i := range commands {
		calls[i] = newCall(ctx, commands[i])
		if err := l.enqueue(calls[i]); err != nil {
			calls[i], answers[i].Err = nil, err
		}
	}
	for i, c := range calls {
		if c == nil {
			continue
		}
		if answers[i].Err = c.wait(); answers[i].Err == nil {
			answers[i].Result, answers[i].Err = l.result(ctx, &c.items[0])
		}
	}
	return answers
}

// CommitAll executes all of the commands, each seeing what those before it did,
// or none of them. It fails with an ItemError if one is refused, and as Commit
// does otherwise. A second time with the same commands gives the first results.
func (l *Ledger) CommitAll(ctx context.Context, commands []Command) ([]Result, error) {
	if len(commands) == 0 {
		return nil, nil
	}
	c := newGroup(ctx, commands)
	if err := l.enqueue(c); err != nil {
		return nil, err
	}
	if err := c.wait(); err != nil {
		return nil, err
	}
	results := make([]Result, len(commands))
	for i := range c.items {
		var err error
		if results[i], err = l.result(ctx, &c.items[i]); err != nil {
			return nil, err
		}
	}
	return results, nil
}
