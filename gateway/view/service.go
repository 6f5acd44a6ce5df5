package view

import (
	"bytes"
	"errors"
	"fmt"
)

// Service is somebody else's pseudonym service: it names the resources of some
// types, and leads back. It bounds its own time.
type Service interface {
	// Serves reports whether it names resources of the type.
	Serves(typ string) bool
	// Pseudonym gives the pseudonym of an id in a domain, making one where there is
	// none.
	Pseudonym(domain, typ, id string) (string, error)
	// Leads reports whether Real gives anything: else the vault keeps the way back.
	Leads() bool
	// Real gives what a pseudonym stands for; "" for nothing.
	Real(domain, typ, p string) (string, error)
}

func (c *Codec) elsewhere(typ string) bool { return c.service != nil && c.service.Serves(typ) }

var (
	errNotID = errors.New("the pseudonym service gave what is no FHIR id")
	// A name of two would lead from the records of one to those of the other.
	errShared = errors.New("the pseudonym service gave the same pseudonym for another id")
)

// asked takes a pseudonym from the service, once.
func (c *Codec) asked(d *domain, typ, id string) (string, error) {
	p, err := c.service.Pseudonym(d.name, typ, id)
	if err == nil && !fhirID(p) {
		err = errNotID
	}
	if err != nil {
		return "", err
	}
	if whose, ok := d.memo.get(p, "back:", typ); ok && whose != id {
		return "", errShared
	}
	keep := c.remember
	if c.service.Leads() {
		keep = c.alone
	}
	if err := keep(d, typ, id, p); err != nil {
		return "", err
	}
	d.memo.put(p, id, typ)
	d.memo.put(id, p, "back:", typ)
	return p, nil
}

// alone holds a pseudonym to the first id that it was given for, whatever is restarted.
// The service leads back, so no way back is kept here: a keyed hash tells the id again.
func (c *Codec) alone(d *domain, typ, id, p string) error {
	if c.vault == nil {
		return nil
	}
	k := &d.epochs[0]
	whose := k.hash("service sole:"+typ, id)[:16]
	stands, err := c.vault.Keep(k.hash("service", "sole:"+typ+"\x00"+p), whose)
	if err != nil {
		return fmt.Errorf("keep whose pseudonym it is: %w", err)
	}
	if !bytes.Equal(stands, whose) {
		return errShared
	}
	return nil
}

// remember keeps the way back from a pseudonym of the service, and what Forget needs
// to find it by the id.
func (c *Codec) remember(d *domain, typ, id, p string) error {
	if c.vault == nil {
		return errNoVault
	}
	if err := c.note(d); err != nil {
		return err
	}
	if whose, ok := c.remembers(d, "led:"+typ+"\x00"+p); ok && whose != id {
		return errShared
	}
	k := &d.epochs[0] // for good, as the service's pseudonyms are
	for key, text := range map[string]string{"given:" + typ + "\x00" + id: p, "led:" + typ + "\x00" + p: id} {
		sealed, err := k.siv.EncryptDeterministically([]byte(text), []byte(key))
		if err != nil {
			return fmt.Errorf("seal vault entry: %w", err)
		}
		if err = c.vault.Put(k.hash("service", key), sealed); err != nil {
			return fmt.Errorf("keep pseudonym: %w", err)
		}
	}
	return nil
}

// remembers finds what remember has kept.
func (c *Codec) remembers(d *domain, key string) (string, bool) {
	if c.vault == nil {
		return "", false
	}
	k := &d.epochs[0]
	sealed, err := c.vault.Get(k.hash("service", key))
	if err != nil || sealed == nil {
		return "", false
	}
	text, err := k.siv.DecryptDeterministically(sealed, []byte(key))
	return string(text), err == nil
}

// led asks the service what a pseudonym stands for. One that it does not know is
// asked again each time: it may be made elsewhere meanwhile.
func (c *Codec) led(d *domain, typ, p string) (string, bool) {
	if id, ok := d.memo.get(p, "back:", typ); ok {
		return id, true
	}
	if !c.service.Leads() {
		return c.remembers(d, "led:"+typ+"\x00"+p)
	}
	id, err := c.service.Real(d.name, typ, p)
	if err != nil || !fhirID(id) {
		return "", false
	}
	d.memo.put(id, p, "back:", typ)
	return id, true
}
