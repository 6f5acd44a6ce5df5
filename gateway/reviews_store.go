package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/emergency"
	"gatehouse/gateway/reidentify"
	"gatehouse/gateway/state"
)

// This file is the review of emergency access at the command line. The gateway may
// be running: it hears of a verdict within two seconds, and records who looked and
// who decided.

// EmergencyReviews lists the emergency accesses that await their review, or all
// there are, the newest first. Who looks is on record before anything is shown.
func EmergencyReviews(ctx context.Context, cfg *config.Config, by reidentify.Person, all bool) (list []*emergency.Grant, err error) {
	if err := NoteReading(ctx, cfg, Reading{What: "emergency list", By: by, About: "emergency accesses and their reviews"}); err != nil {
		return nil, err
	}
	err = withState(cfg, func(st *state.Store) error {
		return st.List(ctx, emergencyKind, func(r state.Row) error {
			g, err := emergency.Decode(r.Value)
			if err == nil && (all || g.Reviewed == nil) {
				list = append(list, g)
			}
			return err
		})
	})
	slices.SortFunc(list, func(a, b *emergency.Grant) int { return b.Opened.Compare(a.Opened) })
	return list, err
}

// ReviewEmergency gives the verdict on an emergency access by somebody else than who
// opened it, which ends it. The attempt is on record before.
func ReviewEmergency(ctx context.Context, cfg *config.Config, by reidentify.Person, id, verdict, note string) error {
	return withState(cfg, func(st *state.Store) error {
		row, err := st.Get(ctx, emergencyKind, id)
		if errors.Is(err, state.ErrNone) {
			return fmt.Errorf("there is no emergency access %s", id)
		}
		if err != nil {
			return err
		}
		g, err := emergency.Decode(row.Value)
		if err != nil {
			return err
		}
		if err := NoteReading(ctx, cfg, Reading{What: "emergency review", By: by, About: "review of " + g.ID + ": " + verdict, Patient: g.Patient}); err != nil {
			return err
		}
		now := time.Now()
		err = st.Update(ctx, emergencyKind, id, func(old []byte) ([]byte, error) {
			g, err := emergency.Decode(old)
			if err != nil {
				return nil, err
			}
			who := emergency.Person{Issuer: by.Issuer, Subject: by.Subject, User: by.User, Client: "gatehouse"}
			if err := g.Review(emergency.Review{Verdict: verdict, Note: note, By: who, At: now}); err != nil {
				return nil, err
			}
			return g.Encode()
		})
		if err != nil {
			return err
		}
		return st.Expire(ctx, emergencyKind, id, now.Add(time.Duration(cfg.Audit.Retention)))
	})
}
