// Package emergency is breaking the glass: grants that open one patient's
// record to one caller for a limited time, and the review that each must have.
package emergency

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Grant is one opening, from the moment it is asked for until its review is
// done. It opens nothing before it is stored.
type Grant struct {
	ID       string    `json:"id"` // random; names the review too
	Bind     string    `json:"bind"`
	Patient  string    `json:"patient"` // "Patient/1"
	Reason   string    `json:"reason"`
	By       Person    `json:"by"`
	Request  string    `json:"request"` // id of the request that opened it
	Opened   time.Time `json:"opened"`
	Until    time.Time `json:"until"`
	Ended    time.Time `json:"ended,omitzero"` // before its time, by who opened it or by a privacy officer
	Due      time.Time `json:"due"`            // of the review
	Reviewed *Review   `json:"reviewed,omitempty"`
}

// Person is who opened or reviewed a grant.
type Person struct {
	Issuer  string   `json:"issuer"`
	Subject string   `json:"subject"`
	Client  string   `json:"client"`
	User    string   `json:"user,omitempty"` // "Practitioner/7"
	Roles   []string `json:"roles,omitempty"`
}

// Same tells whether two are one person, whatever application they use,
// and whatever login, where both name the same practitioner.
func (p Person) Same(o Person) bool {
	return p.Issuer == o.Issuer && p.Subject == o.Subject || p.User != "" && p.User == o.User
}

// Review is what a privacy officer made of a grant.
type Review struct {
	Verdict string    `json:"verdict"` // justified, unjustified
	Note    string    `json:"note"`
	By      Person    `json:"by"`
	At      time.Time `json:"at"`
}

// The verdicts.
const (
	Justified   = "justified"
	Unjustified = "unjustified"
)

// What a review refuses.
var (
	ErrVerdict  = errors.New("the verdict is justified or unjustified, with a note")
	ErrOwn      = errors.New("nobody reviews what they opened themselves")
	ErrReviewed = errors.New("it is reviewed")
)

// maxText bounds reasons and notes, in bytes.
const maxText = 2000

// Text gives a reason or a note as it is kept, false where it says nothing or
// too much, or holds characters that could forge a line or turn its direction.
func Text(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > maxText || !utf8.ValidString(s) {
		return "", false
	}
	letters := 0
	for _, r := range s {
		if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) && r != '\n' {
			return "", false
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			letters++
		}
	}
	return s, letters >= 2 // "..." is no reason
}

// Running tells whether the grant opens anything now.
func (g *Grant) Running(now time.Time) bool { return g.Ended.IsZero() && now.Before(g.Until) }

// Overdue tells whether its review should have been done by now.
func (g *Grant) Overdue(now time.Time) bool { return g.Reviewed == nil && !now.Before(g.Due) }

// End ends the grant; one that is over stays as it is.
func (g *Grant) End(now time.Time) {
	if g.Running(now) {
		g.Ended = now
	}
}

// Review notes the verdict of somebody else than who opened it. It ends the
// grant.
func (g *Grant) Review(r Review) error {
	note, ok := Text(r.Note)
	switch {
	case g.Reviewed != nil:
		return ErrReviewed
	case g.By.Same(r.By):
		return ErrOwn
	case !ok || r.Verdict != Justified && r.Verdict != Unjustified:
		return ErrVerdict
	}
	r.Note = note
	g.Reviewed = &r
	g.End(r.At)
	return nil
}

// Encode is the grant as it is stored.
func (g *Grant) Encode() ([]byte, error) {
	b, err := json.Marshal(g)
	if err != nil {
		return nil, fmt.Errorf("write grant: %w", err)
	}
	return b, nil
}

// Decode reads a stored grant.
func Decode(value []byte) (*Grant, error) {
	g := new(Grant)
	if err := json.Unmarshal(value, g); err != nil {
		return nil, fmt.Errorf("read grant: %w", err)
	}
	if g.ID == "" || g.Bind == "" || g.Patient == "" || g.Until.IsZero() {
		return nil, errors.New("read grant: it lacks what it is bound to")
	}
	return g, nil
}
