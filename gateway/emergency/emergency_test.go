package emergency

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func grant(id, bind string) *Grant {
	return &Grant{ID: id, Bind: bind, Patient: "Patient/1", Reason: "collapsed", By: Person{Issuer: "i", Subject: bind},
		Opened: start, Until: start.Add(time.Hour), Due: start.Add(72 * time.Hour)}
}

func learn(t *testing.T, b *Book, g *Grant, now time.Time) {
	t.Helper()
	v, err := g.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Learn(g.ID, v, now); err != nil {
		t.Fatal(err)
	}
}

// C-13: a grant opens for whom it is bound to, until its end.
func TestBookOpensForWhomItIsBoundTo(t *testing.T) {
	b := NewBook()
	g := grant("a", "ann")
	learn(t, b, g, start)
	learn(t, b, grant("b", "bob"), start)
	for _, c := range []struct {
		name, bind string
		at         time.Duration
		want       int
	}{
		{"its own", "ann", 0, 1}, {"another", "cid", 0, 0}, {"nobody", "", 0, 0},
		{"the last instant", "ann", time.Hour - 1, 1}, {"its end", "ann", time.Hour, 0},
	} {
		if got := b.Of(c.bind, start.Add(c.at)); len(got) != c.want {
			t.Errorf("%s: %d grants, want %d", c.name, len(got), c.want)
		}
	}
	g.End(start.Add(time.Minute))
	learn(t, b, g, start.Add(time.Minute))
	if got := b.Of("ann", start.Add(time.Minute)); len(got) != 0 {
		t.Error("an ended grant opens")
	}
	if err := b.Learn("b", nil, start); err != nil || len(b.Running(start)) != 0 {
		t.Error("a removed grant opens")
	}
}

func TestBookBelievesNoBrokenRow(t *testing.T) {
	b := NewBook()
	for _, value := range []string{``, `{}`, `{"id":"a","bind":"ann","patient":"Patient/1"}`, `not json`} {
		if err := b.Learn("a", []byte(value), start); err == nil || len(b.Running(start)) != 0 {
			t.Errorf("%s is believed: %v", value, err)
		}
	}
	v, _ := grant("other", "ann").Encode()
	if _ = b.Learn("a", v, start); len(b.Of("ann", start)) != 0 {
		t.Error("a row under another id is believed")
	}
}

func TestReviews(t *testing.T) {
	officer := Person{Issuer: "i", Subject: "paul"}
	for _, c := range []struct {
		name          string
		by            Person
		verdict, note string
		want          error
	}{
		{"justified", officer, Justified, "seen the chart", nil},
		{"one's own", Person{Issuer: "i", Subject: "ann", Client: "other"}, Justified, "trust me", ErrOwn},
		{"no note", officer, Justified, " ", ErrVerdict},
		{"no verdict", officer, "", "well", ErrVerdict},
		{"another word", officer, "fine", "well", ErrVerdict},
	} {
		g := grant("a", "ann")
		err := g.Review(Review{Verdict: c.verdict, Note: c.note, By: c.by, At: start})
		if !errors.Is(err, c.want) || (g.Reviewed != nil) != (c.want == nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.want == nil && (g.Running(start) || g.Overdue(start.Add(1000*time.Hour))) {
			t.Errorf("%s: it is still open, or due", c.name)
		}
	}
}

func TestOverdue(t *testing.T) {
	b := NewBook()
	g := grant("a", "ann")
	learn(t, b, g, start)
	for _, c := range []struct {
		at           time.Duration
		all, overdue int
	}{{0, 1, 0}, {72*time.Hour - 1, 1, 0}, {72 * time.Hour, 1, 1}} {
		now := start.Add(c.at)
		if all, overdue := b.Waiting(now); all != c.all || overdue != c.overdue || b.Owes(g.By, now) != (overdue > 0) {
			t.Errorf("after %v: %d waiting, %d overdue", c.at, all, overdue)
		}
		if b.Owes(Person{Issuer: "i", Subject: "bob"}, now) {
			t.Error("another's review is owed")
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]bool{
		"Unconscious in the emergency room": true, "  reanimation\nward 3 ": true, "": false, "   ": false, "...": false,
		"a": false, "ok\x00ok": false, "abc\u202eabc": false, "abc\xff": false, strings.Repeat("a", maxText+1): false,
	} {
		if _, ok := Text(in); ok != want {
			t.Errorf("%q: %v", in, ok)
		}
	}
}
