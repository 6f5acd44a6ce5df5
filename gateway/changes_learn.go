package gateway

import (
	"context"
	"errors"
	"strconv"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/proposal"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// This file records changes of policy: every step, by whomever and wherever it was
// taken, once in the trail of each gateway. How many it tells of already, the
// state store says.

// learnChange hears of a change that was proposed, approved or rejected.
func (p *Process) learnChange(row state.Row) { p.learnSteps(changeKind, row, changeRecords) }

// learnLine hears of a change that was activated or rolled back.
func (p *Process) learnLine(row state.Row) {
	p.learnSteps(lineKind, row, lineRecords)
	select {
	case p.stores.changes.wake <- struct{}{}:
	default: // it is awake
	}
}

// numbered is a step as the trail tells it, with its place among the others.
type numbered struct {
	n      int // from 1 on
	record *audit.Record
}

func (p *Process) learnSteps(kind string, row state.Row, recordsOf func(*proposal.Stamp, []byte) (string, []numbered, error)) {
	if row.Value == nil {
		return
	}
	if err := p.recordChange(row, recordsOf); err != nil {
		p.owe(kind, row, err)
		p.metrics.alarm("policy.change")
		p.log.Error("a step of a change of policy could not be recorded", zap.Error(err))
	}
}

func (p *Process) recordChange(row state.Row, recordsOf func(*proposal.Stamp, []byte) (string, []numbered, error)) error {
	stamp, err := stampOf(p.live.Load().cfg)
	if err != nil {
		return err
	}
	id, all, err := recordsOf(stamp, row.Value)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordWait)
	defer cancel()
	id = p.place + "\x00" + id
	heard, err := p.stores.shared.Get(ctx, changeHeardKind, id)
	if err != nil && !errors.Is(err, state.ErrNone) {
		return err
	}
	told, _ := strconv.Atoi(string(heard.Value)) // 0 where there is none
	last := told
	for _, step := range all {
		if step.n <= told {
			continue
		}
		if f := p.recorded(step.record); f != nil {
			return f
		}
		last = step.n
	}
	if last == told {
		return nil
	}
	return p.stores.shared.Put(ctx, changeHeardKind, id, []byte(strconv.Itoa(last)), row.Expires)
}

// changeRecords are the steps of a change: who, the digests of what, and what was
// found out about it.
func changeRecords(stamp *proposal.Stamp, value []byte) (string, []numbered, error) {
	c, err := stamp.Change(value)
	if err != nil {
		return "", nil, err
	}
	var all []numbered
	for i, e := range c.Events {
		r := stepRecord(e.What, c.ID, c.Revision, c.Digest(), e.By, e.Note)
		r.Time = e.At
		r.Notes = append(r.Notes, audit.Note{Name: "proposed-by", Value: c.By().Subject}, audit.Note{Name: "title", Value: c.Title})
		if e.What == proposal.Proposed {
			r.Notes = append(r.Notes, audit.Note{Name: "reason", Value: c.Reason}, audit.Note{Name: "base", Value: c.Base.Revision},
				audit.Note{Name: "evidence", Value: c.Evidence})
			for _, line := range c.Summary {
				r.Notes = append(r.Notes, audit.Note{Name: "summary", Value: line})
			}
		}
		all = append(all, numbered{i + 1, r})
	}
	return c.ID, all, nil
}

func lineRecords(stamp *proposal.Stamp, value []byte) (string, []numbered, error) {
	l, err := stamp.Line(value)
	if err != nil {
		return "", nil, err
	}
	var all []numbered
	for _, s := range l.Steps {
		r := stepRecord(s.What, s.Change, s.Revision, s.Digest, s.By, s.Note)
		r.Time = s.At
		all = append(all, numbered{s.N, r})
	}
	return lineID, all, nil
}

func stepRecord(what, id, revision, digest string, by proposal.Person, note string) *audit.Record {
	r := &audit.Record{Kind: audit.Notice, Code: audit.PolicyChange + what, Request: id,
		Caller: audit.Caller{Issuer: by.Issuer, Subject: by.Subject, Name: by.Name, User: by.User},
		Notes: []audit.Note{{Name: "change", Value: id}, {Name: "by", Value: by.Subject}, {Name: "policy", Value: revision},
			{Name: "files", Value: "sha256:" + digest}}}
	if note != "" {
		r.Notes = append(r.Notes, audit.Note{Name: "note", Value: note})
	}
	return r
}
