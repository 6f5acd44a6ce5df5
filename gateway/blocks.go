package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/state"
)

// Block keeps out a client, a user or a token, or keeps everybody from a
// patient's record, from within two seconds of being stored and on every
// replica.
type Block struct {
	What   string    `json:"what"`   // client, user, session, token, patient
	Value  string    `json:"value"`  // client id; sub, "issuer|sub" or fhirUser; sid; jti; "Patient/1"
	Reason string    `json:"reason"` // names no patient, unless What is patient
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until,omitzero"` // zero: until it is lifted
	Lifted bool      `json:"lifted,omitempty"`
}

// The kinds of rows in the state store: what is blocked, and what was decided of
// it, kept for gateways that are away, and what each has recorded of that.
const (
	blockKind      = "block"
	blockEventKind = "block-event"
	blockHeardKind = "block-heard"
	blockEventLife = 30 * 24 * time.Hour
)

// ErrNoBlock is what LiftBlock gives where nothing is blocked.
var ErrNoBlock = errors.New("there is no such block")

// check makes the block as it is stored, or says what is wrong with it.
func (b *Block) check(now time.Time) error {
	if id, bare := b.Value, b.What == "patient" && !strings.Contains(b.Value, "/"); bare {
		b.Value = "Patient/" + id
	}
	patient, isPatient := strings.CutPrefix(b.Value, "Patient/")
	switch {
	case !slices.Contains([]string{"client", "user", "session", "token", "patient"}, b.What):
		return fmt.Errorf("%q cannot be blocked: write client, user, session, token or patient", b.What)
	case b.Value == "" || !plainText(b.Value):
		return fmt.Errorf("name the %s to block", b.What)
	case b.What == "patient" && (!isPatient || !fhir.ValidID(patient)):
		return errors.New("a patient is written Patient/1")
	case !plainText(b.Reason):
		return errors.New("the reason is one line of at most 1000 bytes")
	case !b.Until.IsZero() && !b.Until.After(now):
		return errors.New("the block would be over before it began")
	}
	b.At, b.Until = now.UTC().Truncate(time.Second), b.Until.UTC()
	return nil
}

// plainText can be printed on a line without turning or forging it.
func plainText(s string) bool {
	return len(s) <= 1000 && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
}

// Last sets until when the block is: a time (RFC 3339), or how long from now; ""
// and 0: until it is lifted.
func (b *Block) Last(until string, last time.Duration) error {
	if until != "" {
		at, err := time.Parse(time.RFC3339, until)
		if err != nil {
			return fmt.Errorf("%q is no time; write it as 2027-01-31T08:00:00Z", until)
		}
		b.Until = at
	}
	if last < 0 {
		return errors.New("a block cannot end before it begins")
	}
	if last > 0 {
		b.Until = time.Now().Add(last)
	}
	return nil
}

func (b *Block) id() string { return b.What + "\x00" + b.Value }

// SetBlock stores a block for the gateways of a configuration.
func SetBlock(ctx context.Context, cfg *config.Config, b *Block) error {
	return decide(cfg, b, func(st *state.Store) error { return storeBlock(ctx, st, b) })
}

// LiftBlock takes one back. By and Reason of b say who does it and why.
func LiftBlock(ctx context.Context, cfg *config.Config, b *Block) error {
	b.Lifted = true
	return decide(cfg, b, func(st *state.Store) error { return storeBlock(ctx, st, b) })
}

func decide(cfg *config.Config, b *Block, do func(*state.Store) error) error {
	if err := b.check(time.Now()); err != nil {
		return err
	}
	return withState(cfg, do)
}

// storeBlock stores a decision: first for the record of each gateway, then for
// its effect.
func storeBlock(ctx context.Context, st *state.Store, b *Block) error {
	value, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("write block: %w", err)
	}
	if b.Lifted {
		if _, err := st.Get(ctx, blockKind, b.id()); errors.Is(err, state.ErrNone) {
			return ErrNoBlock
		}
	}
	if err := st.Put(ctx, blockEventKind, requestID(), value, b.At.Add(blockEventLife)); err != nil {
		return err
	}
	if b.Lifted {
		return st.Delete(ctx, blockKind, b.id())
	}
	return st.Put(ctx, blockKind, b.id(), value, b.Until)
}

// Blocks lists what is blocked, oldest first.
func Blocks(ctx context.Context, cfg *config.Config) (list []*Block, err error) {
	err = withState(cfg, func(st *state.Store) error { list, err = listBlocks(ctx, st); return err })
	return list, err
}

func listBlocks(ctx context.Context, st *state.Store) ([]*Block, error) {
	list := []*Block{}
	err := st.List(ctx, blockKind, func(r state.Row) error {
		b := new(Block)
		if err := json.Unmarshal(r.Value, b); err != nil {
			return fmt.Errorf("read block: %w", err)
		}
		list = append(list, b)
		return nil
	})
	return list, err
}

func withState(cfg *config.Config, f func(*state.Store) error) error {
	st, err := OpenState(cfg)
	if err != nil {
		return err
	}
	return errors.Join(f(st), st.Close())
}

// record is the decision as the audit trail tells it.
func (b *Block) record() *audit.Record {
	r := &audit.Record{Kind: audit.Notice, Code: audit.BlockSet, Notes: []audit.Note{{Name: "what", Value: b.What}, {Name: "by", Value: b.By}}}
	if b.Lifted {
		r.Code = audit.BlockLifted
	}
	if !b.Until.IsZero() {
		r.Notes = append(r.Notes, audit.Note{Name: "until", Value: b.Until.Format(time.RFC3339)})
	}
	if b.What == "patient" { // sealed under the patient's key
		r.Patients, r.Body = []string{b.Value}, []byte(b.Reason)
		return r
	}
	r.Notes = append(r.Notes, audit.Note{Name: "value", Value: b.Value}, audit.Note{Name: "reason", Value: b.Reason})
	return r
}
