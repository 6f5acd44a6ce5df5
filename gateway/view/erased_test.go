package view

import (
	"strings"
	"testing"
)

// DEIDENTIFICATION §3: once a patient is erased no pseudonym of theirs opens, keyed
// or kept, in no domain and of no epoch; none is made again, and everybody else's
// and other types' stay.
func TestErasedPatient(t *testing.T) {
	v, erased, long := MemoryVault(), &Erased{}, strings.Repeat("z", 60)
	before, _ := CodecOptions{Vault: v, Erased: erased}.Codec(testKey(1))
	after, _ := CodecOptions{Vault: v, Erased: erased}.Codec(testKey(1), testKey(2))
	type handle struct{ domain, typ, p string }
	open := func(h handle) bool { _, ok := after.Real(h.domain, h.typ, h.p); return ok }
	for _, id := range []string{"mrn-1", long} {
		var gone, stay []handle
		for _, domain := range []string{"a", "b"} {
			for _, c := range []*Codec{before, after} {
				for _, make := range []func(string, string, string) (string, error){c.Pseudonym, c.Surrogate} {
					p, err := make(domain, "Patient", id)
					q, err2 := make(domain, "Patient", id+"2")
					e, err3 := make(domain, "Encounter", id)
					if err != nil || err2 != nil || err3 != nil {
						t.Fatal(err, err2, err3)
					}
					gone = append(gone, handle{domain, "Patient", p})
					stay = append(stay, handle{domain, "Patient", q}, handle{domain, "Encounter", e})
				}
			}
		}
		kept := len(v.(*fileVault).pending)
		erased.Add(before.Tombstone(id))
		if err := before.Forget(id); err != nil {
			t.Fatal(err)
		}
		if err := after.Forget(id); err != nil {
			t.Fatal(err)
		}
		for _, h := range gone {
			if open(h) {
				t.Errorf("%v opens", h)
			}
			if _, ok := before.Real(h.domain, h.typ, h.p); ok && h.p[0] == 'A' {
				t.Errorf("%v opens before the rotation", h)
			}
		}
		for _, h := range stay {
			if !open(h) {
				t.Errorf("%v does not open", h)
			}
		}
		if p, err := after.Pseudonym("a", "Patient", id); err == nil {
			t.Errorf("a pseudonym is made again: %s", p)
		}
		if p, err := after.Surrogate("a", "Patient", id); err == nil {
			t.Errorf("a surrogate is made again: %s", p)
		}
		// Two rows a surrogate; of a long id one more for each epoch.
		want := map[bool]int{false: 2 * 2, true: 2*2 + 2*2}[id == long]
		if n := kept - len(v.(*fileVault).pending); n != want {
			t.Errorf("%s: %d rows are gone from the vault, want %d", id, n, want)
		}
	}
	if stone := before.Tombstone("mrn-1"); strings.Contains(stone, "mrn") || len(stone) != 64 || stone != after.Tombstone("mrn-1") {
		t.Errorf("tombstone %s", stone)
	}
}

// The vault's file keeps nothing that was dropped, also not through a commit.
func TestDroppedRowsAreGone(t *testing.T) {
	dir := t.TempDir()
	v, done, err := OpenVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := NewCodec(v, testKey(1))
	p, err := c.Surrogate("d", "Patient", "jdoe")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.sync(); err != nil {
		t.Fatal(err)
	}
	if err := c.Forget("jdoe"); err != nil {
		t.Fatal(err)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	v, done, err = OpenVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	c, _ = NewCodec(v, testKey(1)) // it has never heard of an erasure
	if id, ok := c.Real("d", "Patient", p); ok {
		t.Errorf("opens as %s", id)
	}
	if again, _ := c.Surrogate("d", "Patient", "jdoe"); again == p {
		t.Error("the same surrogate is drawn again")
	}
}

// Issue 6 point 5: the pseudonym of a UUID is a UUID, one to one, of its own in
// each domain and type; what is no UUID has the usual form, and both open.
func TestUUIDShape(t *testing.T) {
	const id = "7c9e6679-7425-40de-944b-e07fc1f90ae7" // version 4
	const old = "7c9e6679-7425-11de-944b-e07fc1f90ae7"
	c, err := CodecOptions{Vault: MemoryVault(), UUIDs: true}.Codec(testKey(1), testKey(2))
	if err != nil {
		t.Fatal(err)
	}
	sealed, _ := NewCodec(nil, testKey(1), testKey(2))
	seen := map[string]bool{id: true, old: true}
	for _, domain := range []string{"a", "b"} {
		for _, typ := range []string{"Patient", "Encounter"} {
			for _, real := range []string{id, old} {
				p, err := c.Pseudonym(domain, typ, real)
				if err != nil || !UUIDShaped(p) || seen[p] {
					t.Errorf("%s %s %s: %q %v", domain, typ, real, p, err)
				}
				seen[p] = true
				if v4 := p[14] == '4' && strings.IndexByte("89ab", p[19]) >= 0; v4 != (real == id) {
					t.Errorf("%s: %s keeps no version", real, p)
				}
				if got, ok := c.Real(domain, typ, p); !ok || got != real {
					t.Errorf("%s opens as %q %v", p, got, ok)
				}
				if got, _ := c.Real(domain, typ, real); got == real {
					t.Errorf("the real id opens as itself")
				}
				if got, _ := c.Real(domain, "Observation", p); got == real {
					t.Errorf("%s opens for another type", p)
				}
				if _, ok := c.Real(domain, typ, strings.ToUpper(p)); ok {
					t.Errorf("%s has two spellings", p)
				}
				before, _ := sealed.Pseudonym(domain, typ, real)
				if got, ok := c.Real(domain, typ, before); !ok || got != real {
					t.Errorf("what was given out before the shape changed does not open")
				}
			}
		}
	}
	if p, _ := c.Pseudonym("a", "Patient", "mrn-1"); len(p) != 48 {
		t.Errorf("an id that is no UUID: %s", p)
	}
	if p, _ := c.Pseudonym("a", "version:x:Patient/1", id); UUIDShaped(p) {
		t.Errorf("a version: %s", p)
	}
}

// Issue 6 point 8: master, tenant, domain, purpose, epoch: gateways that share a
// key and no tenant share no pseudonym and no date.
func TestTenants(t *testing.T) {
	codec := func(tenant string) *Codec {
		c, err := CodecOptions{Tenant: tenant}.Codec(testKey(1))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b, none := codec("a"), codec("b"), codec("")
	usual, _ := NewCodec(nil, testKey(1))
	p, _ := a.Pseudonym("d", "Patient", "1")
	q, _ := none.Pseudonym("d", "Patient", "1")
	if same, _ := usual.Pseudonym("d", "Patient", "1"); same != q {
		t.Error("no tenant is not the one tenant")
	}
	if _, ok := b.Real("d", "Patient", p); ok {
		t.Error("opens for another tenant")
	}
	if _, ok := none.Real("d", "Patient", p); ok {
		t.Error("opens without a tenant")
	}
	if id, ok := a.Real("d", "Patient", p); !ok || id != "1" {
		t.Error("does not open for its own")
	}
}

func BenchmarkShapes(b *testing.B) {
	sealed, _ := NewCodec(nil, testKey(1))
	uuids, _ := CodecOptions{UUIDs: true}.Codec(testKey(1))
	const id = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	for name, c := range map[string]*Codec{"sealed": sealed, "uuid": uuids} {
		d, err := c.domain("d")
		if err != nil {
			b.Fatal(err)
		}
		p, _ := c.Pseudonym("d", "Patient", id)
		b.Run(name+" first", func(b *testing.B) {
			for b.Loop() {
				d.memo.table.Store(nil)
				c.Pseudonym("d", "Patient", id)
			}
		})
		b.Run(name+" again", func(b *testing.B) {
			for b.Loop() {
				c.Pseudonym("d", "Patient", id)
			}
		})
		b.Run(name+" back", func(b *testing.B) {
			for b.Loop() {
				c.Real("d", "Patient", p)
			}
		})
	}
}
