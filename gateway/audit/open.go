package audit

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

// opener reads one stored record.
type opener struct {
	keys    *keyring
	own     bool // in ownFormat
	nonce   [12]byte
	rest    reader // parts not yet opened
	record  *Record
	part    int
	groups  [][]int
	members []*patientKey // nil where erased
	place   []int
}

// open decrypts a stored record. Parts whose patient was erased read empty, and
// the record says so; any other part that does not open is an error.
func open(k *keyring, stored []byte) (*Record, error) {
	if len(stored) > 0 && stored[0] > ownFormat {
		return nil, fmt.Errorf("stored record: %w", errNewer)
	}
	if len(stored) < 9 || stored[0] != recordFormat && stored[0] != ownFormat {
		return nil, fmt.Errorf("stored record: unknown format")
	}
	o := &opener{keys: k, own: stored[0] == ownFormat, rest: reader{b: stored[9:]}, record: &Record{}}
	copy(o.nonce[:], stored[1:9])
	d, err := o.next(k.log)
	if err != nil {
		return nil, err
	}
	o.readLogPart(d)
	if d.bad {
		return nil, errFormat
	}
	if err := o.readParts(); err != nil {
		return nil, err
	}
	if o.rest.bad || len(o.rest.b) > 0 {
		return nil, errFormat
	}
	return o.record, nil
}

// next opens the next part; with a nil key it skips it.
func (o *opener) next(a cipher.AEAD) (*reader, error) {
	sealed := o.rest.take(o.rest.uint())
	binary.BigEndian.PutUint32(o.nonce[8:], uint32(o.part))
	o.part++
	if a == nil {
		o.record.Erased = true
		return nil, nil
	}
	plain, err := a.Open(nil, o.nonce[:], sealed, nil)
	if err != nil || len(plain) == 0 {
		return nil, fmt.Errorf("stored record: part %d does not open", o.part-1)
	}
	o.record.Cut = o.record.Cut || plain[0] == 1
	return &reader{b: plain[1:]}, nil
}

func (o *opener) readLogPart(d *reader) {
	r := o.record
	readHead(d, r)
	for range d.count() {
		p, err := o.keys.byTag(d.fixed())
		if err != nil {
			p = nil
		}
		o.members = append(o.members, p)
	}
	for range d.count() {
		o.groups = append(o.groups, o.readGroup(d))
	}
	if len(o.members) == 0 {
		readRequest(d, r)
	}
	for range d.count() {
		o.readEntry(d)
	}
	readVerdicts(d, r)
	o.readOwnBases(d, r)
	readNotes(d, r)
}

func (o *opener) readGroup(d *reader) []int {
	var g []int
	for range d.count() {
		i := int(d.uint())
		if i < 0 || i >= len(o.members) {
			d.bad = true
			return nil
		}
		g = append(g, i)
	}
	return g
}

func (o *opener) readEntry(d *reader) {
	before := &noEntry
	if n := len(o.record.Entries); n > 0 {
		before = &o.record.Entries[n-1]
	}
	e := Entry{Effect: Effect(d.byte()), Type: before.Type, Reason: before.Reason}
	if d.byte() == 0 {
		e.Type = d.text()
	}
	if d.byte() == 0 {
		e.Reason = d.text()
	}
	place := int(d.uint()) - 1
	if place < -1 || place >= len(o.members)+len(o.groups) {
		d.bad = true
	}
	if place < 0 {
		e.ID, e.Version = d.text(), d.text()
	}
	o.record.Entries = append(o.record.Entries, e)
	o.place = append(o.place, place)
}

// readParts opens the parts in the order in which sealParts wrote them.
func (o *opener) readParts() error {
	if len(o.members) == 0 {
		return nil
	}
	var c chain
	c.link(len(o.members)+len(o.groups), o.place)
	names := make([]string, len(o.members))
	for i := range c.head {
		d, err := o.next(o.key(i))
		if err != nil {
			return err
		}
		if d == nil {
			continue
		}
		if i < len(names) {
			names[i] = d.text()
			if i == 0 && o.own {
				readOwn(d, o.record)
				if o.record.Caller.User != names[0] {
					o.record.Caller.Self = names[0]
				}
			}
			o.readConsents(d, names[i])
		}
		for e := c.head[i]; e >= 0; e = c.next[e] {
			o.record.Entries[e].ID, o.record.Entries[e].Version = d.text(), d.text()
		}
		if len(names) == 1 {
			readRequest(d, o.record)
		}
		o.readPartBases(d, &c, i)
		if d.bad || len(d.b) > 0 {
			return errFormat
		}
	}
	o.name(names)
	if len(names) == 1 {
		return nil
	}
	d, err := o.next(o.set(o.members))
	if err != nil || d == nil {
		return err
	}
	readRequest(d, o.record)
	if len(d.b) > 0 {
		o.record.Asked = d.raw()
	}
	if d.bad {
		return errFormat
	}
	return nil
}

// name gives the entries their patients; an erased one has no name.
func (o *opener) name(names []string) {
	for i := range o.record.Entries {
		e, place := &o.record.Entries[i], o.place[i]
		switch {
		case place < 0:
			continue
		case place < len(names):
			e.Patients = appendName(e.Patients, names[place])
		default:
			for _, p := range o.groups[place-len(names)] {
				e.Patients = appendName(e.Patients, names[p])
			}
		}
	}
}

func appendName(l []string, name string) []string {
	if name == "" {
		return l
	}
	return append(l, name)
}

func (o *opener) readConsents(d *reader, patient string) {
	for range d.count() {
		o.record.Consents = append(o.record.Consents,
			Consent{Patient: patient, Decision: d.text(), Source: d.text(), Provision: d.text()})
	}
}

// key is the key of a part, nil where a patient it needs was erased.
func (o *opener) key(part int) cipher.AEAD {
	if part >= len(o.members) {
		return o.set(pick(o.members, o.groups[part-len(o.members)]))
	}
	if o.members[part] == nil {
		return nil
	}
	return o.members[part].aead
}

func (o *opener) set(of []*patientKey) cipher.AEAD {
	for _, p := range of {
		if p == nil {
			return nil
		}
	}
	return together(of)
}
