package view

import "errors"

// Service is somebody else's pseudonym service: it names the resources of some
// types, and leads back. It bounds its own time.
type Service interface {
	// Serves reports whether it names resources of the type.
	Serves(typ string) bool
	// Pseudonym gives the pseudonym of an id in a domain, making one where there is
	// none.
	Pseudonym(domain, typ, id string) (string, error)
	// Real gives what a pseudonym stands for; "" for nothing.
	Real(domain, typ, p string) (string, error)
}

func (c *Codec) elsewhere(typ string) bool { return c.service != nil && c.service.Serves(typ) }

var errNotID = errors.New("the pseudonym service gave what is no FHIR id")

// asked takes a pseudonym from the service, once.
func (c *Codec) asked(d *domain, typ, id string) (string, error) {
	p, err := c.service.Pseudonym(d.name, typ, id)
	if err == nil && !fhirID(p) {
		err = errNotID
	}
	if err != nil {
		return "", err
	}
	d.memo.put(typ, id, p)
	d.memo.put("back:"+typ, p, id)
	return p, nil
}

// led asks the service what a pseudonym stands for. One that it does not know is
// asked again each time: it may be made elsewhere meanwhile.
func (c *Codec) led(d *domain, typ, p string) (string, bool) {
	if id, ok := d.memo.get("back:"+typ, p); ok {
		return id, true
	}
	id, err := c.service.Real(d.name, typ, p)
	if err != nil || !fhirID(id) {
		return "", false
	}
	d.memo.put("back:"+typ, p, id)
	return id, true
}
