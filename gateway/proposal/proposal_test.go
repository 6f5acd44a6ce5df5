package proposal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

var (
	now  = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	ann  = Person{Issuer: "https://idp", Subject: "ann", User: "Practitioner/1"}
	bob  = Person{Issuer: "https://idp", Subject: "bob"}
	ann2 = Person{Issuer: "https://other", Subject: "a.n", User: "Practitioner/1"} // the same person by another login
)

func change(t *testing.T, id, base string) *Change {
	t.Helper()
	c, err := New(Change{ID: id, Title: "t", Base: Base{Change: base}, Files: map[string]string{"a.rego": Sum([]byte(id))}}, ann, now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A change is approved by another person than who proposed it, by whichever
// login, and activated by who approved it.
func TestTwoPeople(t *testing.T) {
	for _, step := range []struct {
		name string
		do   func(*Change) error
		want error
	}{
		{"by its author", func(c *Change) error { return c.Approve(ann, now) }, ErrOwn},
		{"by its author under another login", func(c *Change) error { return c.Approve(ann2, now) }, ErrOwn},
		{"by nobody", func(c *Change) error { return c.Approve(Person{}, now) }, ErrOwn},
		{"by another", func(c *Change) error { return c.Approve(bob, now) }, nil},
		{"activated before", func(c *Change) error { return c.MayActivate(bob, now) }, ErrState},
		{"activated by its author", func(c *Change) error { c.Approve(bob, now); return c.MayActivate(ann, now) }, ErrApprover},
		{"activated by a third", func(c *Change) error {
			c.Approve(bob, now)
			return c.MayActivate(Person{Issuer: "https://idp", Subject: "eve"}, now)
		}, ErrApprover},
		{"activated by the approver", func(c *Change) error { c.Approve(bob, now); return c.MayActivate(bob, now) }, nil},
		{"approved when rejected", func(c *Change) error { c.Reject(bob, "no", now); return c.Approve(bob, now) }, ErrState},
		{"activated when rejected", func(c *Change) error { c.Approve(bob, now); c.Reject(ann, "oh", now); return c.MayActivate(bob, now) }, ErrState},
		{"approved twice", func(c *Change) error { c.Approve(bob, now); return c.Approve(bob, now) }, ErrState},
	} {
		c := change(t, "1", "")
		if got := step.do(c); !errors.Is(got, step.want) {
			t.Errorf("%s: got %v, want %v", step.name, got, step.want)
		}
		if last := c.Events[len(c.Events)-1]; (errors.Is(step.want, ErrOwn) || errors.Is(step.want, ErrApprover)) && last.What != Refused {
			t.Errorf("%s: the attempt is not noted: %v", step.name, c.Events)
		}
	}
}

// What somebody keeps trying is noted a bounded number of times.
func TestAttemptsAreBounded(t *testing.T) {
	c := change(t, "1", "")
	for range 100 {
		c.Approve(ann, now)
	}
	if len(c.Events) > maxEvents {
		t.Errorf("%d events", len(c.Events))
	}
}

// A change takes the place of the one that it was compared with and of no other;
// a rollback leads to what was before, again and again.
func TestLine(t *testing.T) {
	a, b, c := change(t, "a", ""), change(t, "b", "a"), change(t, "c", "b")
	for _, x := range []*Change{a, b, c} {
		x.Approve(bob, now)
	}
	var l Line
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Activate(b, bob, now); !errors.Is(err, ErrMoved) {
		t.Errorf("b before a: %v", err)
	}
	must(l.Activate(a, bob, now))
	if err := l.Activate(a, bob, now); !errors.Is(err, ErrStands) {
		t.Errorf("a twice: %v", err)
	}
	if err := l.RollBack(b, bob, "", now); !errors.Is(err, ErrNever) {
		t.Errorf("back to what never was: %v", err)
	}
	if before := l.Before(); before != "" {
		t.Errorf("before the first stands %q", before)
	}
	must(l.Activate(b, bob, now))
	must(l.Activate(c, bob, now))
	var got []string
	for _, back := range []*Change{b, a} {
		got = append(got, l.Before())
		must(l.RollBack(back, ann, "", now))
	}
	if got[0] != "b" || got[1] != "a" || l.Before() != "" {
		t.Errorf("before c, b, a stand %v %q, want b, a and none", got, l.Before())
	}
	c.Reject(bob, "no", now)
	if err := l.RollBack(c, bob, "", now); !errors.Is(err, ErrState) {
		t.Errorf("back to what was rejected since: %v", err)
	}
	must(l.Activate(b, bob, now)) // its base is in force again
	if tip := l.Tip(); tip.Change != "b" || tip.N != 6 || l.Before() != "a" {
		t.Errorf("tip %+v, before it %q", tip, l.Before())
	}
}

func stamp(t *testing.T) *Stamp {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, "gatehouse/h")
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return &Stamp{s, v}
}

// What is stored is read under the key that signed it, unaltered and as what it
// is.
func TestStamp(t *testing.T) {
	s, c := stamp(t), change(t, "1", "")
	signed, err := s.SignChange(c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Change(signed); err != nil || got.Digest() != c.Digest() || got.By() != ann {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := stamp(t).Change(signed); !errors.Is(err, errForged) {
		t.Errorf("another key reads it: %v", err)
	}
	if _, err := s.Change(bytes.Replace(signed, []byte(`"title": "t"`), []byte(`"title": "u"`), 1)); !errors.Is(err, errForged) {
		t.Errorf("it is read altered: %v", err)
	}
	if _, err := s.Line(signed); err == nil {
		t.Error("a change is read as a line")
	}
	line, err := s.SignLine(&Line{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Change(line); err == nil {
		t.Error("a line is read as a change")
	}
}
