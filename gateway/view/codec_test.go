package view

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// testKey is a random-looking key that is the same in every run.
func testKey(seed byte) []byte {
	key := make([]byte, 32)
	for i := range key {
		key[i] = seed + byte(i*37)
	}
	return key
}

func testCodec(t testing.TB) *Codec {
	t.Helper()
	c, err := NewCodec(MemoryVault(), testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWeakKeysAreRefused(t *testing.T) {
	for name, key := range map[string][]byte{
		"empty": nil, "64 bit": testKey(1)[:8], "passphrase": []byte("correct horse battery staple!!!!"), "zeros": make([]byte, 32),
	} {
		if _, err := NewCodec(nil, key); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := NewCodec(nil); err == nil {
		t.Error("no key: accepted")
	}
}

// The lengths of DEIDENTIFICATION §3.
func TestPseudonymLengths(t *testing.T) {
	c := testCodec(t)
	for _, x := range []struct {
		id   string
		want int
	}{
		{"7c9e6679-7425-40de-944b-e07fc1f90ae7", 45},
		{"1", 34}, {"0", 34}, {"9999999999999999999", 34},
		{"jdoe-19700101", 48}, {"a", 48},
		{"eabcdefghijklmnopqrstuvw", 48}, // 24, as Epic's
		{strings.Repeat("a", 39), 64}, {strings.Repeat("a", 40), 64},
		{strings.Repeat("a", 41), 45}, {strings.Repeat("f", 64), 45}, // vault
	} {
		p, err := c.Pseudonym("study", "Patient", x.id)
		if err != nil || len(p) != x.want || !fhirID(p) {
			t.Errorf("%s: %q (%d) %v, want %d characters", x.id, p, len(p), err, x.want)
		}
		if id, ok := c.Real("study", "Patient", p); !ok || id != x.id {
			t.Errorf("%s: opens as %q %v", x.id, id, ok)
		}
	}
}

func TestPseudonymsRoundTrip(t *testing.T) {
	c := testCodec(t)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[A-Za-z0-9\-.]{1,64}`).Draw(t, "id")
		p, err := c.Pseudonym("d", "Patient", id)
		if err != nil || !fhirID(p) || p[0] < 'A' || p[0] > 'Z' || strings.Contains(p, id) && len(id) > 3 {
			t.Fatalf("Pseudonym(%q) = %q, %v", id, p, err)
		}
		if got, ok := c.Real("d", "Patient", p); !ok || got != id {
			t.Fatalf("Real(%q) = %q %v, want %q", p, got, ok, id)
		}
		if _, ok := c.Real("d", "Patient", id); ok {
			t.Fatalf("the real id %q opens", id)
		}
	})
}

// nothing made for another domain, type or by another hand opens.
func TestForeignPseudonymsDoNotOpen(t *testing.T) {
	c := testCodec(t)
	for _, id := range []string{"1", "7c9e6679-7425-40de-944b-e07fc1f90ae7", "patient-23-letters-long", strings.Repeat("z", 60)} {
		p, _ := c.Pseudonym("a", "Patient", id)
		forged := []string{"", p + "\n", p[:len(p)-1], p + "A", "B" + p[1:], p[:1] + "s" + p[2:], strings.ToLower(p), id}
		last := p[len(p)-1]
		for _, s := range symbols { // spare bits of the last character too
			if byte(s) != last {
				forged = append(forged, p[:len(p)-1]+string(s))
			}
		}
		for _, f := range forged {
			if got, ok := c.Real("a", "Patient", f); ok {
				t.Errorf("%q opens as %q", f, got)
			}
		}
		for _, x := range [][2]string{{"b", "Patient"}, {"a", "Encounter"}, {"", "Patient"}, {"aP", "atient"}} {
			if got, ok := c.Real(x[0], x[1], p); ok {
				t.Errorf("%s opens %s's %q as %q", x, "a/Patient", p, got)
			}
		}
	}
	if _, err := c.Pseudonym("", "Patient", "1"); err == nil {
		t.Error("a pseudonym without a domain")
	}
	var none *Codec
	if _, err := none.Pseudonym("a", "Patient", "1"); err == nil {
		t.Error("a pseudonym without a codec")
	}
}

func TestKeyEpochs(t *testing.T) {
	v := MemoryVault()
	before, _ := NewCodec(v, testKey(1))
	after, _ := NewCodec(v, testKey(1), testKey(2))
	for _, id := range []string{"1", strings.Repeat("z", 60)} {
		old, _ := before.Pseudonym("d", "Patient", id)
		fresh, _ := after.Pseudonym("d", "Patient", id)
		if old == fresh {
			t.Errorf("%s: the new key writes as the old one", id)
		}
		for _, p := range []string{old, fresh} {
			if got, ok := after.Real("d", "Patient", p); !ok || got != id {
				t.Errorf("%s does not open after rotation", p)
			}
		}
	}
}

// Replicas read a new key one after another: who has it announced opens what
// another makes with it, and goes on with the old one. Hashes never move.
func TestAwaitedKey(t *testing.T) {
	v := MemoryVault()
	waits, err := CodecOptions{Vault: v, Next: [][]byte{testKey(2)}}.Codec(testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	rotated, _ := NewCodec(v, testKey(1), testKey(2))
	before, _ := NewCodec(v, testKey(1))
	for _, id := range []string{"1", strings.Repeat("z", 60)} {
		old, _ := before.Pseudonym("d", "Patient", id)
		still, _ := waits.Pseudonym("d", "Patient", id)
		fresh, _ := rotated.Pseudonym("d", "Patient", id)
		if old != still {
			t.Errorf("%s: a key that waits writes", id)
		}
		if got, ok := waits.Real("d", "Patient", fresh); !ok || got != id {
			t.Errorf("%s: %q %v", id, got, ok)
		}
		if _, ok := before.Real("d", "Patient", fresh); ok {
			t.Errorf("%s opens without its key", id)
		}
	}
	a, _ := before.mac("d", "oid", "1.2")
	b, _ := rotated.mac("d", "oid", "1.2")
	if !bytes.Equal(a, b) {
		t.Error("a rotation moves hashes and dates")
	}
	if _, err := (CodecOptions{Next: [][]byte{[]byte("short")}}).Codec(testKey(1)); err == nil {
		t.Error("a weak key waits")
	}
}

func TestSurrogates(t *testing.T) { // ruling 14
	dir := t.TempDir()
	v, closeVault, err := OpenVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := NewCodec(v, testKey(1))
	p, err := c.Surrogate("d", "Patient", "jdoe")
	if err != nil || !fhirID(p) || len(p) != 24 {
		t.Fatalf("Surrogate = %q, %v", p, err)
	}
	if again, _ := c.Surrogate("d", "Patient", "jdoe"); again != p {
		t.Errorf("second time %q, first %q", again, p)
	}
	if other, _ := c.Surrogate("e", "Patient", "jdoe"); other == p {
		t.Error("two domains share a surrogate")
	}
	if err := closeVault(); err != nil {
		t.Fatal(err)
	}
	v, closeVault, err = OpenVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closeVault()
	c, _ = NewCodec(v, testKey(1), testKey(2))
	if again, _ := c.Surrogate("d", "Patient", "jdoe"); again != p {
		t.Errorf("after restart and rotation %q, before %q", again, p)
	}
	if id, ok := c.Real("d", "Patient", p); !ok || id != "jdoe" {
		t.Errorf("Real = %q %v", id, ok)
	}
	if _, ok := c.Real("d", "Encounter", p); ok {
		t.Error("opens for another type")
	}
}

func TestText(t *testing.T) {
	c := testCodec(t)
	for _, s := range []string{"", "123", "Müller / 7", strings.Repeat("x", 500)} {
		p, err := c.Text("d", "urn:mrn", s)
		if got, ok := c.RealText("d", "urn:mrn", p); err != nil || !ok || got != s {
			t.Errorf("%q comes back as %q %v %v", s, got, ok, err)
		}
		if _, ok := c.RealText("d", "urn:ssn", p); ok {
			t.Error("opens for another system")
		}
	}
	short, _ := c.Text("d", "s", "1")
	long, _ := c.Text("d", "s", "123456789")
	if len(short) != len(long) {
		t.Error("the length of a number shows")
	}
}

func TestUUIDs(t *testing.T) {
	c := testCodec(t)
	for _, u := range []string{"7c9e6679-7425-40de-944b-e07fc1f90ae7", "00000000-0000-0000-0000-000000000000", "7c9e6679-7425-10de-944b-e07fc1f90ae7"} {
		p, err := c.UUID("d", u)
		if err != nil || p == u || p[14] == '4' != (u[14] == '4') {
			t.Errorf("UUID(%s) = %s, %v", u, p, err)
		}
		if got, ok := c.RealUUID("d", p); !ok || got != u {
			t.Errorf("RealUUID(%s) = %s %v", p, got, ok)
		}
		if q, _ := c.UUID("e", u); q == p {
			t.Error("two domains share a UUID")
		}
	}
	if _, err := c.UUID("d", "not-a-uuid"); err == nil {
		t.Error("accepted")
	}
}

func FuzzReal(f *testing.F) {
	c := testCodec(f)
	f.Add("An")
	p, _ := c.Pseudonym("d", "Patient", "1")
	f.Add(p)
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := c.Real("d", "Patient", s); ok {
			if back, err := c.Pseudonym("d", "Patient", id); err != nil || back != s {
				t.Errorf("%q opens as %q, whose pseudonym is %q", s, id, back)
			}
		}
	})
}

func BenchmarkPseudonym(b *testing.B) {
	c := testCodec(b)
	var ids [][]byte
	for i := range 100000 {
		ids = append(ids, bytes.Clone([]byte{'p', byte('0' + i%10), byte('0' + i/10%10), byte('0' + i/100%10), byte('0' + i/1000%10), byte('0' + i/10000)}))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Pseudonym("d", "Patient", string(ids[i%len(ids)]))
	}
}
