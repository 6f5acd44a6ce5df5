package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gatehouse/gateway/proposal"
	"gatehouse/gateway/state"
)

// ChangeInfo is a change as it is listed. State is proposed, approved, rejected,
// "in force", "was in force", or "cannot be read": then there is only an ID, and
// Problem.
type ChangeInfo struct {
	*proposal.Change
	Row     string `json:"row,omitempty"` // id of what cannot be read
	State   string `json:"state"`
	Digest  string `json:"digest,omitempty"` // over all files, SHA-256
	Problem string `json:"problem,omitempty"`
}

// ChangeRecord is a change with all that there is of it: the signed note, which
// other tools can verify too, and what was found out about it.
type ChangeRecord struct {
	ChangeInfo
	Evidence Evidence        `json:"evidence"`
	InForce  []proposal.Step `json:"in_force,omitempty"` // when it was
	Note     string          `json:"note"`
	Key      string          `json:"key"` // that the note was signed under
}

// List gives all changes, newest first.
func (d *PolicyDesk) List(ctx context.Context) ([]ChangeInfo, error) {
	line, err := readLine(ctx, d.store, d.stamp)
	if err != nil {
		return nil, err
	}
	list := []ChangeInfo{}
	err = d.store.List(ctx, changeKind, func(row state.Row) error {
		list = append(list, d.info(row.ID, row.Value, line))
		return nil
	})
	slices.SortFunc(list, func(a, b ChangeInfo) int { return strings.Compare(b.id(), a.id()) }) // ids begin with their time
	return list, err
}

func (i *ChangeInfo) id() string {
	if i.Change == nil {
		return i.Row
	}
	return i.ID
}

func (d *PolicyDesk) info(id string, value []byte, line *proposal.Line) ChangeInfo {
	c, err := d.stamp.Change(value)
	if err != nil {
		return ChangeInfo{Row: id, State: "cannot be read", Problem: err.Error()}
	}
	i := ChangeInfo{Change: c, State: c.Last().What, Digest: c.Digest()}
	switch {
	case line.Tip().Change == c.ID:
		i.State = "in force"
	case slices.ContainsFunc(line.Steps, func(s proposal.Step) bool { return s.Change == c.ID }):
		i.State = "was in force"
	}
	return i
}

// Show gives one change.
func (d *PolicyDesk) Show(ctx context.Context, id string) (*ChangeRecord, error) {
	c, err := readChange(ctx, d.store, d.stamp, id)
	if err != nil {
		return nil, err
	}
	body, err := readBody(ctx, d.store, c)
	if err != nil {
		return nil, err
	}
	line, err := readLine(ctx, d.store, d.stamp)
	if err != nil {
		return nil, err
	}
	row, err := d.store.Get(ctx, changeKind, id)
	if err != nil {
		return nil, err
	}
	r := &ChangeRecord{ChangeInfo: d.info(id, row.Value, line), Note: string(row.Value)}
	if r.Key, err = verifierKey(d.cfg); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body.Evidence, &r.Evidence); err != nil {
		return nil, fmt.Errorf("evidence of the change of policy %s: it cannot be read", id)
	}
	for _, s := range line.Steps {
		if s.Change == id {
			r.InForce = append(r.InForce, s)
		}
	}
	return r, nil
}
