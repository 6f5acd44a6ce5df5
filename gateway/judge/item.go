package judge

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/view"
)

// Item is one resource of an answer on its way to the client.
type Item struct {
	Resource []byte // as the upstream sent it
	Released []byte // as the client gets it; nil when withheld
	Mode     string // search mode: match, include; "" outside searches
	Verdict  Verdict
	PublicID string // the id that the client knows it by
	Viewed   bool   // changed by a view
	Unmarked bool   // labels were taken out from inside
	Tag      string // the version that the client knows, where Viewed
	Method   string // of a history entry
	URL      string
	Status   string
	Modified string
	ViewErr  error // permitted, but its view failed: an OperationOutcome stands for it
	Beyond   bool  // on another page of the client's, where its verdict counts
	nameless bool  // known not to name the upstream
	run      int   // of entries alike, from 1: see runs
}

// One judges the answer to a read. want is what was asked for: an upstream that
// answers with another resource is not believed (SEC-01).
func (c *Court) One(ctx context.Context, held policy.Unjudged, want fhir.Ref, limit int64) (*Item, error) {
	body, err := held.Open(c.Eval)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := readAll(body, limit)
	if err != nil {
		return nil, err
	}
	return c.Resource(ctx, raw, want)
}

// Resource judges one resource that is at hand.
func (c *Court) Resource(ctx context.Context, raw []byte, want fhir.Ref) (*Item, error) {
	if c.Timed != nil {
		defer c.Timed()()
	}
	it := &Item{Resource: raw}
	v, err := c.Read(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	it.Verdict = v
	if v.Facts.Type != want.Type || (want.ID != "" && v.Facts.ID != want.ID) {
		c.Alarm("upstream.other-resource")
		return it, fmt.Errorf("%w: another resource than the one asked for", ErrMalformed)
	}
	one := [1]*Item{it}
	c.Weigh(ctx, one[:])
	if !it.Verdict.Allow {
		return it, ErrWithheld
	}
	if err := c.release(it); err != nil {
		if errors.Is(err, view.ErrErased) {
			it.Verdict.Allow, it.Verdict.Reason = false, "view.erased"
			return it, ErrWithheld
		}
		c.Alarm("view.failed")
		it.Verdict.Allow, it.Verdict.Reason = false, "view.failed"
		return it, ErrWithheld
	}
	return it, nil
}

// release makes the bytes that the client gets.
func (c *Court) release(it *Item) error {
	out := it.Resource
	f := &it.Verdict.Facts
	it.PublicID = f.ID
	var err error
	if !it.nameless && c.Mapper.MayName(out) {
		if out, err = c.rewrite(out); err != nil {
			return err
		}
	}
	if out, it.Unmarked, err = c.shown(it, out); err != nil {
		return err
	}
	w, err := c.viewOf(it.Verdict.Decision.Obligations)
	if err != nil {
		return err
	}
	if w != nil {
		patient := ""
		if len(f.Patients) == 1 {
			patient = f.Patients[0]
		}
		domain := cmp.Or(it.Verdict.Decision.Obligations.Domain, c.Domain)
		var shown view.Shown
		seen := view.Context{Domain: domain, Patient: patient, Base: c.Base, Own: c.Bases}
		seen.Known, seen.KnownWhole = c.knownOf(&it.Verdict)
		if c.room, shown, err = w.Show(c.room, out, seen); err != nil {
			return fmt.Errorf("apply view: %w", err)
		}
		if it.Viewed = true; f.VersionID != "" {
			it.Tag = c.Tag(w, f)
		}
		if c.room, out, it.PublicID, err = rename(c.room, shown, it.Tag); err != nil {
			return err
		}
	}
	if len(c.Shown) > 0 && it.Mode == "match" {
		if err := c.meetsAsShown(f.Type, out); err != nil {
			return err
		}
	}
	if c.Project != nil {
		if out, err = c.Project.apply(c.Version, out); err != nil {
			return err
		}
	}
	it.Released = out
	return nil
}

// viewOf lays the views that policy obliges over the caller's own.
func (c *Court) viewOf(o policy.Obligations) (*view.View, error) {
	w := c.View
	for _, name := range o.Views {
		over, err := c.ViewNamed(name)
		if err != nil {
			return nil, fmt.Errorf("obliged view: %w", err)
		}
		w = w.Overlay(over)
	}
	return w, nil
}

func (c *Court) rewrite(doc []byte) ([]byte, error) {
	var t wire.Tree
	if err := t.Parse(doc); err != nil {
		return nil, fmt.Errorf("rewrite urls: %w", err)
	}
	var e wire.Edits
	e.Reset(&t)
	c.Mapper.Rewrite(&t, &e)
	return e.Apply(nil), nil
}

// scratch is where resources of a usual size are read into before their length
// is known.
var scratch = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// readAll reads one resource of at most limit bytes: a longer one is refused
// whole, since a cut one could still parse.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	space := scratch.Get().(*[32 << 10]byte)
	defer scratch.Put(space)
	buf := space[:0]
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf))
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > limit {
			return nil, fmt.Errorf("%w: a resource over %d bytes", ErrMalformed, limit)
		}
		if err == io.EOF {
			if len(buf) > len(space) {
				return buf, nil
			}
			return bytes.Clone(buf), nil
		}
		if err != nil {
			return nil, fmt.Errorf("read upstream answer: %w", err)
		}
	}
}
