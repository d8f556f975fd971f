package ledger

import (
	"context"
	"slices"
)

// Answer is what became of one of several commands.
type Answer struct {
	Result Result
	Err    error
}

// maxTrain is how many commands come to the committer together.
const maxTrain = 4096

// CommitEach executes commands in their order, each on its own: what one of them
// comes to is nothing to the others. It answers for each as Commit does. Up to
// 4,096 commands are executed in few batches.
func (l *Ledger) CommitEach(ctx context.Context, commands []Command) []Answer {
	answers := make([]Answer, 0, len(commands))
	for part := range slices.Chunk(commands, maxTrain) {
		answers = append(answers, l.commitTrain(ctx, part)...)
	}
	return answers
}

func (l *Ledger) commitTrain(ctx context.Context, commands []Command) []Answer {
	ctx, span := l.startCommit(ctx, len(commands))
	train := newTrain(ctx, commands)
	err := l.enqueue(&train[0])
	if err == nil {
		waitTrain(train)
	}
	answers := make([]Answer, len(train))
	for i := range train {
		answers[i] = l.answer(ctx, &train[i], err)
	}
	if span != nil {
		calls := make([]*call, len(train))
		for i := range train {
			calls[i] = &train[i]
		}
		endCommit(span, calls...)
	}
	return answers
}

// answer is what became of a call, unless it failed before.
func (l *Ledger) answer(ctx context.Context, c *call, err error) (a Answer) {
	if a.Err = err; err == nil {
		a.Err = c.err
	}
	if a.Err == nil {
		a.Result, a.Err = l.result(ctx, &c.items[0])
	}
	return a
}

// CommitAll executes all of the commands, each seeing what those before it did,
// or none of them. It fails with an ItemError if one is refused, and as Commit
// does otherwise. A second time with the same commands gives the first results.
func (l *Ledger) CommitAll(ctx context.Context, commands []Command) ([]Result, error) {
	if len(commands) == 0 {
		return nil, nil
	}
	ctx, span := l.startCommit(ctx, len(commands))
	c := newGroup(ctx, commands)
	defer func() { endCommit(span, c) }()
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
