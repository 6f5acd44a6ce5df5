package view

import (
	"fmt"
	"testing"

	"gatehouse/config"
	"gatehouse/fhir"
)

// oneWayService names ids and tells of none.
type oneWayService struct{ asked int }

func (s *oneWayService) Serves(typ string) bool { return typ == "Patient" }
func (s *oneWayService) Leads() bool            { return false }
func (s *oneWayService) Pseudonym(domain, _, id string) (string, error) {
	s.asked++
	return fmt.Sprintf("%s-PSN-%s", domain, id[4:]), nil
}
func (s *oneWayService) Real(_, _, _ string) (string, error) { panic("asked the way back") }

// Issue 6.12, 6.8: where the service has no way back the vault keeps one, for the
// domain alone, across restarts, until the patient is erased.
func TestServiceWithoutWayBack(t *testing.T) {
	service, vault, key := &oneWayService{}, MemoryVault(), testKey(1)
	codec := func() *Codec {
		c, err := CodecOptions{Vault: vault, Service: service, Erased: &Erased{}}.Codec(key)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := codec()
	p, err := first.Pseudonym("study", "Patient", "mrn-1")
	if err != nil || p != "study-PSN-1" {
		t.Fatalf("got %q %v", p, err)
	}
	for _, tt := range []struct {
		domain, typ, p, want string
	}{{"study", "Patient", p, "mrn-1"}, {"other", "Patient", p, ""}, {"study", "Encounter", p, ""}, {"study", "Patient", "mrn-1", ""}, {"study", "Patient", "study-PSN-2", ""}} {
		if got, ok := codec().Real(tt.domain, tt.typ, tt.p); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%+v: got %q", tt, got)
		}
	}
	if err := first.Forget("mrn-1"); err != nil {
		t.Fatal(err)
	}
	if got, ok := codec().Real("study", "Patient", p); ok {
		t.Errorf("erased, and %s leads to %s", p, got)
	}
	if none, err := (CodecOptions{Service: service}).Codec(key); err != nil {
		t.Fatal(err)
	} else if p, err := none.Pseudonym("study", "Patient", "mrn-1"); err == nil {
		t.Errorf("without a vault: got %q", p)
	}
}

// The memory that an id was read from is used again for other records; the way back
// from its pseudonym is not what stands there then.
func TestServiceLeadsBackToWhatItNamed(t *testing.T) {
	codec, err := CodecOptions{Vault: MemoryVault(), Service: &oneWayService{}}.Codec(testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	w, err := Load(fhir.R4, "test", config.View{Use: "research"}, Options{Codec: codec})
	if err != nil {
		t.Fatal(err)
	}
	room := []byte(`{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/mrn-1"}}`)
	if _, err := w.Apply(nil, room, study); err != nil {
		t.Fatal(err)
	}
	copy(room, `{"resourceType":"Observation","id":"p","subject":{"reference":"Patient/mrn-2"}}`)
	if id, ok := codec.Real("study", "Patient", "study-PSN-1"); id != "mrn-1" || !ok {
		t.Errorf("got %q, want mrn-1", id)
	}
}

// sharingService gives everybody one name.
type sharingService struct {
	oneWayService
	leads bool
}

func (s *sharingService) Leads() bool                              { return s.leads }
func (s *sharingService) Pseudonym(_, _, _ string) (string, error) { return "PSN", nil }
func (s *sharingService) Real(_, _, _ string) (string, error)      { return "", nil }

// What a service calls two people by leads to the one that it was given for first, also
// after a restart where the vault keeps that; of the other nothing is shown.
func TestServiceThatNamesTwoAlike(t *testing.T) {
	for _, leads := range []bool{true, false} {
		vault := MemoryVault()
		codec, err := CodecOptions{Vault: vault, Service: &sharingService{leads: leads}}.Codec(testKey(1))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if p, err := codec.Pseudonym("study", "Patient", "a"); p != "PSN" || err != nil {
				t.Errorf("got %q %v", p, err)
			}
			if p, err := codec.Pseudonym("study", "Patient", "b"); err == nil {
				t.Errorf("b is %s, as a is", p)
			}
		}
		if id, ok := codec.Real("study", "Patient", "PSN"); id != "a" || !ok {
			t.Errorf("leads to %q", id)
		}
		again, err := CodecOptions{Vault: vault, Service: &sharingService{leads: leads}}.Codec(testKey(1))
		if err != nil {
			t.Fatal(err)
		}
		if p, err := again.Pseudonym("study", "Patient", "b"); err == nil {
			t.Errorf("after a restart b is %s", p)
		}
	}
}
