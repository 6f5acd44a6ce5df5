package judge

import (
	"context"

	"gatehouse/gateway/policy"
)

// decide asks policy about one resource: under the caller's emergency grant for
// its patient where there is one, else under none, so that no rule that looks
// only whether a grant is open opens somebody else's record (C-13). It gives the
// evaluation that decided.
func (c *Court) decide(ctx context.Context, v *Verdict, around *surroundings) *policy.Evaluation {
	res, memo := &around.resource, around.memo
	plain := c.Eval
	if c.Plain != nil {
		plain = c.Plain
	}
	for _, e := range c.Granted {
		grant := e.Granted(&v.Facts)
		if grant == "" {
			continue
		}
		if c.writes() {
			// A grant is for looking. What a rule lets the caller write without it
			// stays bound by consent; it counts where a rule permits the write by
			// the grant.
			if d := plain.Decide(ctx, res); d.Err != nil || len(d.Permits) > 0 {
				v.Decision = d
				return plain
			}
		}
		v.Decision = e.Decide(ctx, res)
		if v.Decision.Allow {
			v.Grant = grant
		}
		return e
	}
	v.Decision = plain.DecideLike(ctx, res, memo)
	return plain
}

func (c *Court) writes() bool {
	return c.Action == "create" || c.Action == "update" || c.Action == "delete"
}
