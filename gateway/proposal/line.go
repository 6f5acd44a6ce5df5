package proposal

import (
	"slices"
	"time"
)

// Line is which change was in force when. The last step names the one that is.
type Line struct {
	Steps []Step `json:"steps"`
}

// Step is one change of what is in force.
type Step struct {
	N        int       `json:"n"`    // from 1 on
	What     string    `json:"what"` // Activated or RolledBack
	Change   string    `json:"change"`
	Revision string    `json:"revision"`
	Digest   string    `json:"digest"` // of the files
	By       Person    `json:"by"`
	At       time.Time `json:"at"`
	Note     string    `json:"note,omitempty"`
}

// maxSteps bounds a line; the audit trail has what is older.
const maxSteps = 500

// Tip is the step that holds; zero where no change was ever in force.
func (l *Line) Tip() Step {
	if len(l.Steps) == 0 {
		return Step{}
	}
	return l.Steps[len(l.Steps)-1]
}

// Activate puts an approved change in force, in place of the one that it was
// compared with.
func (l *Line) Activate(c *Change, by Person, now time.Time) error {
	switch tip := l.Tip(); {
	case tip.Change == c.ID:
		return ErrStands
	case tip.Change != c.Base.Change:
		return ErrMoved
	}
	l.add(Activated, c, by, "", now)
	return nil
}

// Before is the change that was in force before the one that is: of those that
// were activated, the last before it that was not taken back. "" where there is
// none.
func (l *Line) Before() string {
	var stack []string
	for _, s := range l.Steps {
		if i := slices.Index(stack, s.Change); s.What == RolledBack && i >= 0 {
			stack = stack[:i+1] // what came after it was taken back
		} else {
			stack = append(stack, s.Change)
		}
	}
	if len(stack) < 2 {
		return ""
	}
	return stack[len(stack)-2]
}

// RollBack puts a change in force that was before.
func (l *Line) RollBack(c *Change, by Person, note string, now time.Time) error {
	switch {
	case c.Last().What != Approved:
		return ErrState // rejected since
	case l.Tip().Change == c.ID:
		return ErrStands
	case !slices.ContainsFunc(l.Steps, func(s Step) bool { return s.Change == c.ID }):
		return ErrNever
	}
	l.add(RolledBack, c, by, note, now)
	return nil
}

func (l *Line) add(what string, c *Change, by Person, note string, now time.Time) {
	l.Steps = append(l.Steps, Step{N: l.Tip().N + 1, What: what, Change: c.ID, Revision: c.Revision, Digest: c.Digest(), By: by,
		At: now.UTC().Truncate(time.Second), Note: note})
	l.Steps = slices.Clone(l.Steps[max(0, len(l.Steps)-maxSteps):])
}
