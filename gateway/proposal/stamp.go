package proposal

import (
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// Stamp signs changes and lines, and reads none that it did not sign. A signed
// one is a signed note (C2SP) of JSON: whoever has the public key verifies it
// with other tools too.
type Stamp struct {
	Signer   note.Signer
	Verifier note.Verifier
}

// errForged is a row that somebody wrote who does not hold the key.
var errForged = errors.New("its signature does not hold: it was not written under this configuration's signing key, or was altered since")

func (s *Stamp) sign(kind string, v any) ([]byte, error) {
	text, err := json.MarshalIndent(map[string]any{kind: v}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", kind, err)
	}
	b, err := note.Sign(&note.Note{Text: string(text) + "\n"}, s.Signer)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", kind, err)
	}
	if len(b) > maxNote {
		return nil, fmt.Errorf("sign %s: it has too many files", kind)
	}
	return b, nil
}

// maxNote is what note.Open reads at most.
const maxNote = 1_000_000

func open[T any](s *Stamp, kind string, b []byte) (*T, error) {
	n, err := note.Open(b, note.VerifierList(s.Verifier))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kind, errForged)
	}
	var all map[string]*T // under its kind: the one is never read as the other
	if err := json.Unmarshal([]byte(n.Text), &all); err != nil || all[kind] == nil {
		return nil, fmt.Errorf("read %s: it is not one", kind)
	}
	return all[kind], nil
}

const (
	changeKind = "gatehouse-policy-change"
	lineKind   = "gatehouse-policies-in-force"
)

// SignChange is the stored form of a change.
func (s *Stamp) SignChange(c *Change) ([]byte, error) { return s.sign(changeKind, c) }

// SignLine is the stored form of a line.
func (s *Stamp) SignLine(l *Line) ([]byte, error) { return s.sign(lineKind, l) }

// Change verifies and reads one.
func (s *Stamp) Change(b []byte) (*Change, error) {
	c, err := open[Change](s, changeKind, b)
	if err != nil {
		return nil, err
	}
	if c.ID == "" || len(c.Events) == 0 || c.Events[0].What != Proposed || c.By().Subject == "" {
		return nil, errors.New("read " + changeKind + ": it is not one")
	}
	return c, nil
}

// Line verifies and reads one.
func (s *Stamp) Line(b []byte) (*Line, error) { return open[Line](s, lineKind, b) }
