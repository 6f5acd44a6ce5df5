package reidentify

import (
	"errors"
	"testing"
	"time"
)

var (
	start = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	ann   = Person{Issuer: "i", Subject: "ann", User: "Practitioner/7"}
	bob   = Person{Issuer: "i", Subject: "bob"}
)

func asked(t *testing.T) *Request {
	t.Helper()
	r, err := New("1", "study", "a finding to tell", []string{"Patient/x"}, ann, start)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// no step but these, in this order, by these people, in this time.
func TestSteps(t *testing.T) {
	type step struct {
		what  string
		by    Person
		after time.Duration
		want  error
	}
	for name, steps := range map[string][]step{
		"as it should be":              {{"approve", bob, time.Hour, nil}, {"take", ann, 2*time.Hour - time.Second, nil}, {"take", ann, time.Hour, ErrState}},
		"one's own":                    {{"approve", ann, 0, ErrOwn}, {"take", ann, 0, ErrState}},
		"one's own by another login":   {{"approve", Person{Issuer: "j", Subject: "a2", User: "Practitioner/7"}, 0, ErrOwn}},
		"nobody":                       {{"approve", Person{}, 0, ErrOwn}},
		"the namesake elsewhere":       {{"approve", Person{Issuer: "j", Subject: "ann"}, 0, nil}, {"take", Person{Issuer: "j", Subject: "ann"}, 0, ErrReader}},
		"not yet":                      {{"take", ann, 0, ErrState}},
		"by who approved":              {{"approve", bob, 0, nil}, {"take", bob, 0, ErrReader}, {"take", ann, 0, nil}},
		"denied":                       {{"deny", bob, 0, nil}, {"approve", bob, 0, ErrState}, {"take", ann, 0, ErrState}},
		"taken back once approved":     {{"approve", bob, 0, nil}, {"deny", bob, 0, nil}, {"take", ann, 0, ErrState}},
		"answered too late":            {{"approve", bob, Waits, ErrState}},
		"read too late":                {{"approve", bob, 0, nil}, {"take", ann, Readable, ErrState}},
		"approved again for more":      {{"approve", bob, 0, nil}, {"approve", bob, time.Minute, ErrState}, {"take", ann, Readable, ErrState}},
		"a refusal changes no state":   {{"approve", ann, 0, ErrOwn}, {"approve", bob, 0, nil}, {"take", bob, 0, ErrReader}, {"take", ann, 0, nil}},
		"nor does it make time longer": {{"approve", ann, time.Hour, ErrOwn}, {"approve", bob, Waits, ErrState}},
	} {
		r := asked(t)
		for i, s := range steps {
			now, err := start.Add(s.after), error(nil)
			switch s.what {
			case "approve":
				err = r.Approve(s.by, now)
			case "deny":
				err = r.Deny(s.by, "", now)
			default:
				err = r.Take(s.by, now)
			}
			if !errors.Is(err, s.want) {
				t.Errorf("%s: step %d: got %v, want %v", name, i, err, s.want)
			}
		}
	}
}

func TestAttemptsAreKeptAndBounded(t *testing.T) {
	r := asked(t)
	for range 100 {
		_ = r.Approve(ann, start)
	}
	if n := len(r.Events); n != maxRefused || r.Events[1].What != Refused || r.Events[1].By != ann {
		t.Errorf("got %d events, %+v", n, r.Events[1])
	}
	if err := r.Approve(bob, start); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoRequest(t *testing.T) {
	ids := []string{"Patient/x"}
	for _, c := range []struct {
		domain, reason string
		ids            []string
		by             Person
	}{
		{"", "why", ids, ann}, {"d", " ", ids, ann}, {"d", "why", nil, ann}, {"d", "why", make([]string, MaxIDs+1), ann}, {"d", "why", ids, Person{}},
	} {
		if _, err := New("1", c.domain, c.reason, c.ids, c.by, start); !errors.Is(err, ErrRequest) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, b := range []string{``, `{}`, `{"id":"1"}`, `{"id":"1","events":[{"what":"approved","by":{"subject":"bob"}}]}`, `{"id":"1","events":[{"what":"asked"}]}`} {
		if _, err := Decode([]byte(b)); err == nil {
			t.Errorf("%s is believed", b)
		}
	}
}
