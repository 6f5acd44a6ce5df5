package view

import (
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// Issue 8 point 10: beside the rows of a later version this one would draw other
// surrogates for the same patients.
func TestNewerVaultIsRefused(t *testing.T) {
	dir := t.TempDir()
	_, done, err := OpenVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(dir, "pseudonyms.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("pseudonyms/v2"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenVault(dir); err == nil || !strings.Contains(err.Error(), "newer format") {
		t.Errorf("got %v", err)
	}
}
