package policy

import (
	"context"
	"errors"
)

// budget ends an evaluation that takes too long, by the clock or by its steps: a
// rule that walks everything against everything must not hold a processor for as
// long as the clock allows, request after request.
type budget struct {
	ctx   context.Context
	steps int
	ended bool
}

// maxSteps is how many conditions one evaluation may evaluate. The shipped rules take some hundreds; a table of 10,000 rows that a rule walks
// takes some ten thousands.
const maxSteps = 5_000_000

// looks is how many steps go by between two looks at the clock.
const looks = 256

func newBudget(ctx context.Context, steps int) *budget { return &budget{ctx: ctx, steps: steps} }

// Cancel is part of topdown.Cancel.
func (b *budget) Cancel() { b.ended = true }

// Cancelled is part of topdown.Cancel; OPA asks it at every step.
func (b *budget) Cancelled() bool {
	b.steps--
	if b.steps < 0 || b.steps%looks == 0 && b.ctx.Err() != nil {
		b.ended = true
	}
	return b.ended
}

var (
	errTimeout = errors.New("policy took too long")
	errSteps   = errors.New("policy took too many steps")
)

// failed is why the evaluation ended early, nil where it did not.
func (b *budget) failed() error {
	switch {
	case b.steps < 0:
		return errSteps
	case b.ended, b.ctx.Err() != nil:
		return errTimeout
	}
	return nil
}
