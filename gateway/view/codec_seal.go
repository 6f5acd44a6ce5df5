package view

import (
	"errors"
	"fmt"
)

// Seal encrypts a text for the domain, bound to the place where it stands: AES-GCM
// with a fresh nonce, so that the same text twice looks like two.
func (c *Codec) Seal(domain, place, text string) (string, error) {
	d, err := c.domain(domain)
	if err != nil {
		return "", err
	}
	epoch, k := d.now()
	sealed := k.gcm.Seal(nil, nil, padded(text), bind(epoch, classSealed, domain, place))
	return string([]byte{epoch, classSealed}) + sixBits.EncodeToString(sealed), nil
}

var errNotSealed = errors.New("not a text that this domain encrypted at this place")

// Open undoes Seal, whatever epoch it was made in.
func (c *Codec) Open(domain, place, sealed string) (string, error) {
	d, err := c.domain(domain)
	if err != nil {
		return "", err
	}
	if len(sealed) < 2 || sealed[1] != classSealed {
		return "", errNotSealed
	}
	k, ok := c.opens(d, sealed)
	if !ok {
		return "", errNotSealed
	}
	raw, err := open64(sealed[2:])
	if err != nil {
		return "", errNotSealed
	}
	text, err := k.gcm.Open(nil, nil, raw, bind(sealed[0], classSealed, domain, place))
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNotSealed, err)
	}
	plain, ok := unpadded(text)
	if !ok {
		return "", errNotSealed
	}
	return plain, nil
}
