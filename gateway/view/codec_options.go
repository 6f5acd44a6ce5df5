package view

import (
	"errors"
	"fmt"
	"slices"
)

// CodecOptions say how a codec makes pseudonyms, beside its keys.
type CodecOptions struct {
	Vault   Vault    // keeps what a pseudonym cannot carry; nil refuses ids that need it
	Next    [][]byte // keys with which other replicas may make pseudonyms already: they read a new one one after another
	Dropped []bool   // by epoch: what it made opens no more
	Tenant  string   // keeps gateways that share a key apart; "" is a tenant too
	UUIDs   bool     // the pseudonym of a UUID is a UUID
	Erased  *Erased  // patients whose pseudonyms lead nowhere; nil: nobody

	Service Service // names some types in place of the keys; nil: none
}

// maxEpochs is how many keys there may be: a pseudonym names its own by a letter.
const maxEpochs = 26

// NewCodec makes a codec from master keys, oldest epoch first (at most 26 with
// those of Next): the last writes, the others still open. Keys are random bytes, at
// least 16; what looks typed is refused, since short secrets fall to guessing in
// hours.
func NewCodec(vault Vault, masters ...[]byte) (*Codec, error) {
	return CodecOptions{Vault: vault}.Codec(masters...)
}

// Codec is NewCodec with more said.
func (o CodecOptions) Codec(masters ...[]byte) (*Codec, error) {
	all := slices.Concat(masters, o.Next)
	if len(masters) == 0 || len(all) > maxEpochs {
		return nil, fmt.Errorf("pseudonym keys: %d master keys, want 1 to %d", len(all), maxEpochs)
	}
	for _, m := range all {
		if err := strongKey(m); err != nil {
			return nil, err
		}
	}
	c := &Codec{epochs: all, writes: len(masters) - 1, tenant: o.Tenant, uuids: o.UUIDs, dropped: o.Dropped, erased: o.Erased, service: o.Service, vault: o.Vault, domains: map[string]*domain{}}
	own, err := derive(all[0], o.Tenant, "") // no domain has this name
	if err != nil {
		return nil, fmt.Errorf("derive pseudonym keys: %w", err)
	}
	c.own = &own
	return c, nil
}

func strongKey(key []byte) error {
	if len(key) < 16 {
		return fmt.Errorf("pseudonym key has %d bits, want at least 128 (make one with `gatehouse keys new`)", len(key)*8)
	}
	typed, seen := true, map[byte]bool{}
	for _, b := range key {
		typed = typed && b >= ' ' && b <= '~'
		seen[b] = true
	}
	if typed || len(seen) < 8 {
		return errors.New("pseudonym key is text or not random; it must be random bytes (make one with `gatehouse keys new`)")
	}
	return nil
}
