package config

import (
	"errors"
	"fmt"
	"strings"
)

// dropped ends the line of a key that opens nothing any more.
const dropped = "dropped"

var errDropped = errors.New("has a key that was dropped, which only the keys of pseudonyms may have")

// waits tells whether the last key does not write yet.
func (k *Keys) waits() bool {
	last := len(k.Epochs) - 1
	return k.Writes < last && !k.Dropped[last]
}

// whole refuses keys of which one was dropped: what it made would not be there.
func (k *Keys) whole() error {
	for _, gone := range k.Dropped {
		if gone {
			return errDropped
		}
	}
	return nil
}

// ReadPseudonymKeys is ReadKeys for the keys of pseudonyms, of which some may have
// been dropped.
func ReadPseudonymKeys(path string) (Keys, error) {
	text, err := readPrivate(path)
	if err != nil {
		return Keys{}, err
	}
	return parseKeys(string(text))
}

// Epoch is the place of a key that is named by its letter. It refuses those that
// cannot be dropped: the one that writes, one that waits, and one that was.
func (k Keys) Epoch(letter string) (int, error) {
	if len(letter) != 1 || letter[0] < 'A' || int(letter[0]-'A') >= len(k.Epochs) {
		return 0, fmt.Errorf("has no key %q; `gatehouse keys list` tells their letters", letter)
	}
	at := int(letter[0] - 'A')
	switch {
	case at == k.Writes:
		return 0, fmt.Errorf("writes with key %s; let another one write first: gatehouse keys rotate", letter)
	case at > k.Writes:
		return 0, fmt.Errorf("has made nothing with key %s, which waits", letter)
	case k.Dropped[at]:
		return 0, fmt.Errorf("has dropped key %s already", letter)
	}
	return at, nil
}

// DropKey marks a key of a file of pseudonyms, named by its letter and its id: what it
// made opens no more. Its line stays, since the letters of those after it, and of the
// first key the dates and hashes, stand by it.
func DropKey(path, letter, id string) error {
	return changeKeys(path, func(text string) (string, error) {
		keys, err := parseKeys(text)
		if err != nil {
			return "", err
		}
		at, err := keys.Epoch(letter)
		if err != nil {
			return "", err
		}
		if KeyID(keys.Epochs[at]) != id {
			return "", fmt.Errorf("has another id than %s for key %s", id, letter)
		}
		lines := strings.Split(strings.TrimSpace(text), "\n")
		lines[at] = strings.TrimSpace(lines[at]) + " " + dropped
		return strings.Join(lines, "\n") + "\n", nil
	})
}
