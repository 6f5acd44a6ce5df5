package gateway

import (
	"path/filepath"
	"testing"

	"gatehouse/config"
	"gatehouse/gateway/state"
	"gatehouse/gateway/view"
)

// Issue 7 point 8: pseudonyms of an erased patient lead nowhere, in the gateway that
// erased, in one that hears of it, and after a restart; nobody can read whose.
func TestForgottenPseudonyms(t *testing.T) {
	dir := t.TempDir()
	cfg := &config.Config{Sealing: config.KeySource{KeyFile: filepath.Join(dir, "s.key")}, Pseudonyms: config.Pseudonyms{KeyFile: filepath.Join(dir, "p.key")}}
	cfg.State.Dir = dir
	for _, file := range []string{cfg.Sealing.KeyFile, cfg.Pseudonyms.KeyFile} {
		if err := config.NewKey(file); err != nil {
			t.Fatal(err)
		}
	}
	run := func(f func(s *stores, codec *view.Codec)) {
		t.Helper()
		s := &stores{}
		s.listen(erasedKind, s.learnErased)
		if err := s.open(cfg); err != nil {
			t.Fatal(err)
		}
		codec, err := (&snapshot{cfg: cfg, stores: s}).codec()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		f(s, codec)
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
	leads := func(c *view.Codec, p string) bool { _, ok := c.Real("d", "Patient", p); return ok }
	var sealed, drawn string
	run(func(s *stores, codec *view.Codec) {
		sealed, _ = codec.Pseudonym("d", "Patient", "mrn-1")
		drawn, _ = codec.Surrogate("d", "Patient", "mrn-1")
		if !leads(codec, sealed) || !leads(codec, drawn) {
			t.Fatalf("%q and %q", sealed, drawn)
		}
		other := &stores{} // a replica, or a command
		other.listen(erasedKind, other.learnErased)
		if err := other.open(cfg); err != nil {
			t.Fatal(err)
		}
		other.opened = s.opened
		heard, err := (&snapshot{cfg: cfg, stores: other}).codec()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // again is no error
			if err := s.forgetPseudonyms(t.Context(), cfg, "Patient/mrn-1"); err != nil {
				t.Fatal(err)
			}
		}
		if err := other.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*view.Codec{codec, heard} {
			if leads(c, sealed) || leads(c, drawn) {
				t.Error("it leads to the patient still")
			}
		}
		err = s.shared.List(t.Context(), erasedKind, func(r state.Row) error {
			if len(r.ID) != 64 || string(r.Value) != "\x01" {
				t.Errorf("the row says %q %q", r.ID, r.Value)
			}
			return other.shared.Close()
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	run(func(_ *stores, codec *view.Codec) {
		if leads(codec, sealed) || leads(codec, drawn) {
			t.Error("after a restart it leads to the patient")
		}
		if p, err := codec.Pseudonym("d", "Patient", "mrn-1"); err == nil {
			t.Errorf("it is made again: %s", p)
		}
	})
	st, err := OpenState(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := forgetHere(cfg, st)(t.Context(), "Patient/mrn-2"); err != nil {
		t.Error(err)
	}
}
