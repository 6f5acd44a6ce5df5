package view

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Text is a reversible pseudonym for a text of any length (an identifier's
// value), bound to the domain and a label (the identifier's system).
func (c *Codec) Text(domain, label, text string) (string, error) {
	return c.text(domain, text, label)
}

// text is Text of a label given in parts.
func (c *Codec) text(domain, text string, label ...string) (string, error) {
	d, err := c.domain(domain)
	if err != nil {
		return "", err
	}
	if p, ok := d.memo.get(text, label...); ok {
		return p, nil
	}
	epoch, k := d.now()
	sealed, err := k.siv.EncryptDeterministically(padded(text), bind(epoch, classText, domain, strings.Join(label, "")))
	if err != nil {
		return "", fmt.Errorf("seal text: %w", err)
	}
	p := string([]byte{epoch, classText}) + sixBits.EncodeToString(sealed)
	d.memo.put(p, text, label...)
	return p, nil
}

// RealText opens what Text made for the same domain and label.
func (c *Codec) RealText(domain, label, p string) (string, bool) {
	d, err := c.domain(domain)
	if err != nil || len(p) < 2 || p[1] != classText {
		return "", false
	}
	k, ok := c.opens(d, p)
	if !ok {
		return "", false
	}
	sealed, err := open64(p[2:])
	if err != nil {
		return "", false
	}
	text, err := k.siv.DecryptDeterministically(sealed, bind(p[0], classText, domain, label))
	if err != nil {
		return "", false
	}
	return unpadded(text)
}

// padded is a text in whole blocks: the length of a number tells what it is.
func padded(text string) []byte {
	b := binary.AppendUvarint(make([]byte, 0, len(text)+18), uint64(len(text)))
	b = append(b, text...)
	return append(b, make([]byte, (16-len(b)%16)%16)...)
}

func unpadded(b []byte) (text string, ok bool) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return "", false
	}
	return string(b[used : used+int(n)]), true
}

// UUID is the UUID that stands for another in a domain: a permutation of all
// UUIDs of RFC 9562 version 4 shape (others keep their shape but for those six
// bits). It is lower case, and has no tag: a foreign one maps to a stranger,
// not to an error.
func (c *Codec) UUID(domain, uuid string) (string, error) {
	d, err := c.domain(domain)
	if err != nil {
		return "", err
	}
	if p, ok := d.memo.get(uuid, "uuid"); ok {
		return p, nil
	}
	p, err := c.permute(domain, uuid, true)
	if err == nil {
		d.memo.put(p, uuid, "uuid")
	}
	return p, err
}

// RealUUID undoes UUID.
func (c *Codec) RealUUID(domain, uuid string) (string, bool) {
	u, err := c.permute(domain, uuid, false)
	return u, err == nil
}

func (c *Codec) permute(domain, uuid string, forward bool) (string, error) {
	d, err := c.domain(domain)
	if err != nil {
		return "", err
	}
	var b [16]byte
	if !parseUUID(&b, uuid) {
		return "", errors.New("not a UUID")
	}
	// The first epoch for good: there is no room in a UUID to say which.
	walk(d.epochs[0].uuid, &b, forward)
	return formatUUID(&b), nil
}

func walk(block cipher.Block, b *[16]byte, forward bool) {
	v4 := shapedV4(b)
	for {
		if forward {
			block.Encrypt(b[:], b[:])
		} else {
			block.Decrypt(b[:], b[:])
		}
		// Cycle walking keeps version 4 within version 4 and all else outside.
		if shapedV4(b) == v4 {
			return
		}
	}
}

// UUIDShaped reports whether an id is a UUID as RFC 9562 writes it: lower case,
// so that each has one spelling.
func UUIDShaped(id string) bool {
	var b [16]byte
	return parseUUID(&b, id) && formatUUID(&b) == id
}

// plainType tells ids from what else is mapped like one, such as versions.
func plainType(label string) bool { return strings.IndexByte(label, ':') < 0 }

// uuidOf is the UUID that stands for a resource's id: a permutation of its own for
// each type, or one id of two types would show. Like UUID it has no tag.
func (d *domain) uuidOf(typ, id string) (string, error) {
	block, err := d.typed(typ)
	if err != nil {
		return "", err
	}
	var b [16]byte
	parseUUID(&b, id)
	walk(block, &b, true)
	p := formatUUID(&b)
	d.memo.put(p, id, typ)
	return p, nil
}

func (d *domain) realOf(typ, p string) (string, bool) {
	block, err := d.typed(typ)
	if err != nil {
		return "", false
	}
	var b [16]byte
	parseUUID(&b, p)
	walk(block, &b, false)
	return formatUUID(&b), true
}

func (d *domain) typed(typ string) (cipher.Block, error) {
	return aes.NewCipher(d.epochs[0].hash("uuid", typ))
}

func shapedV4(b *[16]byte) bool { return b[6]>>4 == 4 && b[8]>>6 == 2 }

// RealIdentifier opens an identifier as a view shows it; where the view shows the
// system as it is, it is given so.
func (c *Codec) RealIdentifier(domain, system, value string) (realSystem, realValue string, ok bool) {
	if sealed, mapped := strings.CutPrefix(system, pseudonymousSystem); mapped {
		if system, ok = c.RealText(domain, "system", sealed); !ok {
			return "", "", false
		}
	}
	realValue, ok = c.RealText(domain, identifierLabel(system), value)
	return system, realValue, ok
}
