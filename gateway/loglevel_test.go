package gateway

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"gatehouse/gateway/audit"
)

// U-02: what is set while the audit log takes no records is in force, and in the trail,
// once and in its order, when the log is back.
func TestLogLevelWaitsForTheLog(t *testing.T) {
	t.Parallel()
	p := idle(t, "")
	ctx, cfg := context.Background(), p.live.Load().cfg
	restore := failLog(t, p)
	for _, level := range []string{"error", "debug"} {
		set := SetLogLevel(ctx, cfg, &LogLevel{Route: "* *", Level: level, By: "eve", Reason: level}, time.Hour)
		if err := errors.Join(set, p.stores.poll(ctx), p.stores.poll(ctx)); err != nil {
			t.Fatal(err)
		}
		if now := p.levels.now(time.Now()); len(now) != 1 || now[0].Level != level {
			t.Errorf("%s is not in force: %v", level, now)
		}
	}
	restore()
	for range 3 {
		if err := p.stores.poll(ctx); err != nil {
			t.Fatal(err)
		}
	}
	var reasons []string
	for r := range p.audit.Reader().All() {
		if r.Code == audit.LogLevelSet {
			reasons = append(reasons, r.Notes[2].Value)
		}
	}
	if !slices.Equal(reasons, []string{"error", "debug"}) {
		t.Errorf("the trail tells of %q", reasons)
	}
}
