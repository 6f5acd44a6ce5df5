package view

import (
	"bytes"
	"strings"
	"testing"
)

// Issue 6 point 8: what a dropped key made opens no more (forged by whoever holds it,
// X-10); what stands by the first key, and what no key made, stands.
func TestDroppedKey(t *testing.T) {
	vault, long := MemoryVault(), strings.Repeat("x.", 32)
	made, err := NewCodec(vault, testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, id := range []string{"1", long, "0b6fb4f5-4a42-4b4c-9a3e-9d6f4f1f7d11"} {
		p, err := made.Pseudonym("d", "Patient", id)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	text, _ := made.Text("d", "identifier:s", "123")
	sealed, _ := made.Seal("d", "Device.serialNumber", "123")
	random, _ := made.Surrogate("d", "Patient", "1")
	days, _ := made.mac("d", "dateShift", "Patient/1")

	after, err := CodecOptions{Vault: vault, Dropped: []bool{true, false}}.Codec(testKey(1), testKey(2))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if id, ok := after.Real("d", "Patient", p); ok {
			t.Errorf("%s opens to %s", p, id)
		}
	}
	if _, ok := after.RealText("d", "identifier:s", text); ok {
		t.Error("an identifier opens")
	}
	if _, err := after.Open("d", "Device.serialNumber", sealed); err == nil {
		t.Error("an encrypted text opens")
	}
	if id, ok := after.Real("d", "Patient", random); !ok || id != "1" {
		t.Errorf("a surrogate leads to %q, %v", id, ok)
	}
	if now, _ := after.mac("d", "dateShift", "Patient/1"); !bytes.Equal(now, days) {
		t.Error("dates are shifted otherwise")
	}
	fresh, err := after.Pseudonym("d", "Patient", "1")
	if id, ok := after.Real("d", "Patient", fresh); err != nil || !ok || id != "1" || fresh[0] != 'B' {
		t.Errorf("made anew %s, %v, leads to %q, %v", fresh, err, id, ok)
	}
	if err := after.Forget(long); err != nil {
		t.Error(err)
	}
	again, _ := NewCodec(vault, testKey(1))
	if _, ok := again.Real("d", "Patient", list[1]); ok {
		t.Error("the vault's entry outlives the erasure")
	}
}
