package gateway

import (
	"testing"
	"time"

	"gatehouse/gateway/emergency"
)

// An emergency access that a review ended did not last until its time: a report that
// says so tells of an hour in which nothing was open.
func TestReviewTellsWhenAnAccessEnded(t *testing.T) {
	opened := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	g := &emergency.Grant{Opened: opened, Until: opened.Add(time.Hour)}
	now := opened.Add(2 * time.Minute)
	if got, want := endOf(g, now), (ReviewEnd{Until: "2026-05-01T09:00:00Z"}); got.Until != want.Until || got.Expired {
		t.Errorf("while it is open: %+v, want %+v", got, want)
	}
	g.End(opened.Add(time.Minute))
	if got, want := endOf(g, now), (ReviewEnd{Until: "2026-05-01T08:01:00Z", Expired: true}); got.Until != want.Until || !got.Expired {
		t.Errorf("ended: %+v, want %+v", got, want)
	}
}
