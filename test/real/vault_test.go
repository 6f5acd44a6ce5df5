//go:build real

package real

import (
	"bytes"
	"sync"
	"testing"

	"gatehouse/gateway/state"
	"gatehouse/gateway/view"
)

// Issue 6 point 5: two replicas draw one surrogate for one patient, each opens what
// the other gave out, an erasure by one holds for both, and the database tells
// nobody.
func TestVaultOnPostgreSQL(t *testing.T) {
	schema(t)
	key := []byte{1, 38, 75, 112, 149, 186, 223, 4, 41, 78, 115, 152, 189, 226, 7, 44, 81, 118, 155, 192, 229, 10, 47, 84, 121, 158, 195, 232, 13, 50, 87, 124}
	erased := &view.Erased{}
	var codecs [2]*view.Codec
	var vaults [2]*state.Vault
	for i := range codecs {
		s, err := replica(t, 7)
		if err != nil {
			t.Fatal(err)
		}
		if vaults[i], err = s.Vault(t.Context()); err != nil {
			t.Fatal(err)
		}
		if codecs[i], err = (view.CodecOptions{Vault: vaults[i], Erased: erased}).Codec(key); err != nil {
			t.Fatal(err)
		}
	}
	var drawn [8]string
	var all sync.WaitGroup
	for i := range drawn {
		all.Go(func() {
			p, err := codecs[i%2].Surrogate("study", "Patient", family)
			if err == nil {
				err = vaults[i%2].Sync()
			}
			if err != nil {
				t.Error(err)
			}
			drawn[i] = p
		})
	}
	all.Wait()
	for _, p := range drawn {
		if id, ok := codecs[1].Real("study", "Patient", p); !ok || id != family || p != drawn[0] {
			t.Errorf("%s and %s, which opens as %q", p, drawn[0], id)
		}
	}
	out, err := ledger.command("pg_dump", "-d", ledger.url).CombinedOutput()
	if err != nil || bytes.Contains(out, []byte(family)) || bytes.Contains(out, []byte("study")) {
		t.Errorf("the database holds a name: %v", err)
	}
	if err := codecs[0].Forget(family); err != nil {
		t.Fatal(err)
	}
	if _, ok := codecs[1].Real("study", "Patient", drawn[0]); ok {
		t.Error("an erased surrogate opens on the other replica")
	}
}
