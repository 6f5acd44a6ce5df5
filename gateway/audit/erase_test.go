package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Issue 7.3: erasing a patient takes all that names them, keeps all else, and
// leaves the tree whole; what comes later is readable again.
func TestEraseForgetsOnePatient(t *testing.T) {
	o := testOptions(t.TempDir())
	o.SegmentBytes = 8 << 10
	l := mustOpen(t, o)
	both := smallRead(1)
	both.Request, both.ID, both.Query = "both", "", []byte("/Observation?patient=p1,p2")
	both.Entries = []Entry{
		{Effect: Released, Type: "Observation", ID: "of-p1", Patients: []string{"Patient/p1"}},
		{Effect: Released, Type: "Observation", ID: "of-p2", Patients: []string{"Patient/p2"}},
		{Effect: Released, Type: "Group", ID: "of-both", Patients: []string{"Patient/p1", "Patient/p2"}},
	}
	for i := range 100 {
		mustAppend(t, l, smallRead(i)) // all of p1
	}
	mustAppend(t, l, both)
	if err := l.Erase(context.Background(), "Patient/p1"); err != nil {
		t.Fatal(err)
	}
	later := smallRead(7)
	later.Request = "later"
	mustAppend(t, l, later)
	mustClose(t, l)
	checkVerified(t, o.Dir)

	for _, r := range mustRead(t, o.Dir) {
		if r.Request == "later" {
			if r.Erased || r.Entries[0].Patients[0] != "Patient/p1" {
				t.Errorf("after the erasure: %+v", r)
			}
			continue
		}
		if !r.Erased || r.Caller.Subject != "f9b1c3" || r.Status != 200 || len(r.Entries) == 0 || r.Entries[0].Type != "Observation" {
			t.Fatalf("record lost more or less than the patient: %+v", r)
		}
		if text := fmt.Sprintf("%+v", r); bytes.Contains([]byte(text), []byte("p1")) || bytes.Contains([]byte(text), []byte("o-1")) {
			t.Fatalf("still names the patient: %s", text)
		}
		if r.Request == "both" && (r.Entries[1].ID != "of-p2" || r.Entries[1].Patients[0] != "Patient/p2" || r.Entries[2].ID != "" || r.Query != nil) {
			t.Errorf("record of two patients: %+v", r)
		}
	}
}

// Issue 7.8: a patient who reads, too, stands in the log under the patient's key:
// nothing tells after the erasure who called; of whoever else is concerned all stays.
func TestEraseForgetsThePatientWhoCalled(t *testing.T) {
	o := testOptions(t.TempDir())
	l := mustOpen(t, o)
	var want []*Record
	for i, other := range []string{"Patient/mother", "Patient/child", ""} { // the own record, a child's, nobody's
		r := smallRead(i)
		r.Caller.Subject, r.Caller.User, r.Caller.Name, r.Address, r.Consents = "account-9", "Patient/mother", "Ann Smith", "192.0.2.99", nil
		r.Entries[0].Patients = []string{other}
		if other == "" {
			r.Entries[0].Patients = nil
		}
		mustAppend(t, l, r)
		want = append(want, r)
	}
	for i, r := range mustRead(t, o.Dir)[:3] {
		if r.Caller.User != "Patient/mother" || r.Caller.Subject != "account-9" || r.Caller.Name != "Ann Smith" || r.Address != "192.0.2.99" || r.Caller.Client != want[i].Caller.Client {
			t.Fatalf("record %d: %+v", i, r)
		}
	}
	if err := l.Erase(context.Background(), "Patient/mother"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	checkVerified(t, o.Dir)
	for i, r := range mustRead(t, o.Dir)[:3] {
		text := fmt.Sprintf("%+v", r)
		for _, gone := range []string{"mother", "account-9", "Smith", "192.0.2.99"} {
			if bytes.Contains([]byte(text), []byte(gone)) {
				t.Errorf("record %d still tells %s: %s", i, gone, text)
			}
		}
		if !r.Erased || r.Caller.Client == "" || i == 1 && (r.Entries[0].ID == "" || r.Entries[0].Patients[0] != "Patient/child") {
			t.Errorf("record %d lost more: %s", i, text)
		}
	}
}

// Erasures that meet, and meet what expires, bring no key back and fail none.
func TestErasuresMeet(t *testing.T) {
	o := testOptions(t.TempDir())
	l := mustOpen(t, o)
	const patients = 12
	for i := range patients {
		r := smallRead(i)
		r.Entries[0].Patients, r.Consents = []string{fmt.Sprint("Patient/p", i)}, nil
		mustAppend(t, l, r)
	}
	var all sync.WaitGroup
	for i := range patients {
		all.Go(func() {
			if err := l.Erase(context.Background(), fmt.Sprint("Patient/p", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Go(func() {
		if _, _, err := l.Expire(context.Background(), ExpireOptions{}); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	mustClose(t, l)
	checkVerified(t, o.Dir)
	for _, r := range mustRead(t, o.Dir) {
		if len(PatientsOf(r)) > 0 {
			t.Errorf("record %d still names %v", r.Index, PatientsOf(r))
		}
	}
}

// The same of one who is known by the launch patient alone, also after the record has
// come through the spool, which reads it and writes it anew.
func TestEraseForgetsWhoIsTakenForThePatient(t *testing.T) {
	spool, o := testOptions(t.TempDir()), testOptions(t.TempDir())
	first := mustOpen(t, spool)
	r := smallRead(1)
	r.Caller = Caller{Issuer: r.Caller.Issuer, Subject: "account-9", Client: "phone", Name: "Ann Smith", Self: "Patient/mother"}
	r.Address, r.Entries[0].Patients, r.Consents = "192.0.2.99", []string{"Patient/child"}, nil
	mustAppend(t, first, r)
	mustClose(t, first)
	l := mustOpen(t, o)
	read := mustRead(t, spool.Dir)[0]
	if read.Caller.Self != "Patient/mother" || read.Caller.User != "" || !slices.Equal(PatientsOf(read), PatientsOf(r)) {
		t.Fatalf("%+v", read)
	}
	mustAppend(t, l, read)
	if err := l.Erase(context.Background(), "Patient/mother"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	checkVerified(t, o.Dir)
	got := mustRead(t, o.Dir)[0]
	for _, gone := range []string{"mother", "account-9", "Smith", "192.0.2.99"} {
		if text := fmt.Sprintf("%+v", got); strings.Contains(text, gone) {
			t.Errorf("still tells %s: %s", gone, text)
		}
	}
	if got.Caller.Client != "phone" || got.Entries[0].Patients[0] != "Patient/child" {
		t.Errorf("lost more: %+v", got)
	}
}

func TestErasedKeyIsGoneAndTheOthersStay(t *testing.T) {
	s := newSecrets()
	tags := []uint64{0, 1, 15, 16, 1 << 60, 0x123456789abcdef0, 0x123456789abcdef1, ^uint64(0), ^uint64(0) - 1}
	want := make(map[uint64][32]byte)
	for _, tag := range tags {
		want[tag], _ = s.key(tag)
	}
	for i, gone := range tags {
		if !s.erase(gone) || s.erase(gone) {
			t.Fatalf("erase %x", gone)
		}
		b := s.marshal()
		s, _ = parseSecrets(b)
		for j, tag := range tags {
			k, err := s.key(tag)
			if j <= i && !errors.Is(err, errNoKey) {
				t.Errorf("key of %x after its erasure: %v", tag, err)
			}
			if j > i && (err != nil || k != want[tag]) {
				t.Errorf("key of %x changed with the erasure of %x: %v", tag, gone, err)
			}
		}
	}
}

// At rest nothing of a patient is in the clear, nor does the wrong key open it.
func TestNothingInTheClear(t *testing.T) {
	o := testOptions(t.TempDir())
	l := mustOpen(t, o)
	r := smallRead(1)
	r.Query = []byte("/Patient?identifier=urn:oid:2.16.840.1.113883.4.1|999-99-9999")
	mustAppend(t, l, r)
	mustClose(t, l)
	err := filepath.WalkDir(o.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, secret := range []string{"999-99", "Patient/", "f9b1c3", "Observation", "ward-app"} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds %q in the clear", path, secret)
			}
		}
		if info, _ := d.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wrong, _ := OpenReader(o.Dir, bytes.Repeat([]byte{8}, 32))
	for rec, err := range wrong.All() {
		if err == nil {
			t.Errorf("another key opened %+v", rec)
		}
	}
}
