package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/state"
)

// erasedKind are the rows in the state store that say whose pseudonyms lead
// nowhere any more: keyed hashes, kept for good, which every replica hears of.
const erasedKind = "pseudonym-erased"

// learnErased hears of an erasure.
func (s *stores) learnErased(row state.Row) {
	if row.Value != nil {
		s.erased.Add(row.ID)
	}
}

// forgetPseudonyms has the pseudonyms of a patient ("Patient/1") lead nowhere: the
// keyed ones by a tombstone, those of the vault by their rows, which are removed.
// Where the vault is a file each gateway removes its own.
func (s *stores) forgetPseudonyms(ctx context.Context, cfg *config.Config, patient string) error {
	id, ok := strings.CutPrefix(patient, "Patient/")
	if !ok {
		return errors.New("no patient")
	}
	codec, err := (&snapshot{cfg: cfg, stores: s}).codec()
	if err != nil || codec == nil {
		return err
	}
	stone := codec.Tombstone(id)
	// First the tombstone: what is made while the rows go would stay.
	if _, err := s.shared.Create(ctx, erasedKind, stone, []byte{1}, time.Time{}); err != nil {
		return fmt.Errorf("write tombstone: %w", err)
	}
	s.erased.Add(stone)
	return codec.Forget(id)
}

// forgetHere is forgetPseudonyms where no gateway is running on the configuration.
func forgetHere(cfg *config.Config, st *state.Store) func(context.Context, string) error {
	return func(ctx context.Context, patient string) error {
		s := &stores{shared: st}
		return errors.Join(s.forgetPseudonyms(ctx, cfg, patient), s.closeVault())
	}
}

// readErased reads who was erased, for a command.
func (s *stores) readErased(ctx context.Context) error {
	return s.shared.List(ctx, erasedKind, func(row state.Row) error {
		s.learnErased(row)
		return nil
	})
}
