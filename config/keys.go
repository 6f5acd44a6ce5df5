package config

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// KeySize is the length of every Gatehouse key, in bytes.
const KeySize = 32

// MaxEpochs is how many keys one key file may hold: a pseudonym names its own by
// one letter.
const MaxEpochs = 26

// keyPrefix opens each line of a key file, so that a password or a PEM file in its
// place is told apart from a key.
const keyPrefix = "gatehouse-key-v1 "

var errNewerKey = errors.New("is of a newer format than this Gatehouse reads: run the version that made it, or a later one")

// waiting ends the line of a key that opens and does not write yet.
const waiting = "next"

// Keys are the keys of one use, as a key file holds them: one a line,
//
//	gatehouse-key-v1 BASE64 [DATE] [next|dropped]
//
// oldest first. What is made is made with the newest that is not marked next;
// whatever any of them made still opens, but for those marked dropped (see DropKey).
type Keys struct {
	Epochs  [][]byte // oldest first; the first also makes what must never change
	Made    []string // when, RFC 3339; "" where the file does not say
	Dropped []bool   // by epoch: what it made opens no more
	Writes  int      // index of the one that makes what is new
}

// Current is the key that makes what is new.
func (k Keys) Current() []byte { return k.Epochs[k.Writes] }

// String keeps keys out of logs and errors, whatever prints them (law 12).
func (k Keys) String() string { return fmt.Sprintf("%d keys", len(k.Epochs)) }

// GoString is String.
func (k Keys) GoString() string { return k.String() }

// KeyID tells keys apart and tells nothing of them: eight hexadecimal digits.
func KeyID(key []byte) string {
	sum := sha256.Sum256(append([]byte("gatehouse key id\x00"), key...))
	return hex.EncodeToString(sum[:4])
}

func keyLine(made string) string {
	var key [KeySize]byte
	rand.Read(key[:])
	line := keyPrefix + base64.StdEncoding.EncodeToString(key[:])
	if made != "" {
		line += " " + made
	}
	return line
}

// NewKey makes a key file for any use: one line, a word that says what it is
// and 32 random bytes in base64. The file must not exist, and is readable by
// its owner alone; a directory that is missing is made the same way.
func NewKey(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make directory of key file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("key file %s is there already, and a key is never overwritten", path)
	}
	if err != nil {
		return fmt.Errorf("make key file: %w", err)
	}
	_, err = f.WriteString(keyLine("") + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(path) // half a key is none
		return fmt.Errorf("write key file %s: %w", path, err)
	}
	return nil
}

// RotateKey adds a key to a key file, which from then on makes what is new; with
// announce it waits, and the next RotateKey lets it write. The file is replaced
// whole: whoever reads it meanwhile reads the old one or the new one.
func RotateKey(path string, announce bool, now time.Time) error {
	return changeKeys(path, func(text string) (string, error) { return rotated(text, announce, now) })
}

// changeKeys puts a changed key file in the place of the one that is there.
func changeKeys(path string, change func(text string) (string, error)) error {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is a link, or no file; name the file that it leads to")
	}
	if err != nil {
		return fmt.Errorf("key file %s: %w", path, err)
	}
	// Before it is read: of two at once the second would write over the first's key,
	// with which something may be made already.
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s.new is there: another rotation is at work; one that was cut off leaves it, and then remove it", path)
	}
	if err != nil {
		return fmt.Errorf("write key file %s: %w", path, err)
	}
	if err := changeInto(f, path, info, change); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// changeInto writes the changed file to f and puts it in the place of path.
func changeInto(f *os.File, path string, like fs.FileInfo, change func(text string) (string, error)) error {
	text, err := readPrivate(path)
	if err != nil {
		return errors.Join(fmt.Errorf("key file %s: %w", path, err), f.Close())
	}
	next, err := change(string(text))
	if err != nil {
		return errors.Join(fmt.Errorf("key file %s %w", path, err), f.Close())
	}
	_, err = f.WriteString(next)
	err = errors.Join(err, own(f, like), f.Chmod(like.Mode().Perm()), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write key file %s: %w", path, err)
	}
	return nil
}

func rotated(text string, announce bool, now time.Time) (string, error) {
	keys, err := parseKeys(text)
	if err != nil {
		return "", err
	}
	text = strings.TrimSpace(text)
	switch awaited := keys.waits(); {
	case awaited && announce:
		return "", errors.New("has a key that waits already; rotate without --announce to let it write")
	case awaited:
		return strings.TrimSpace(strings.TrimSuffix(text, waiting)) + "\n", nil
	case len(keys.Epochs) == MaxEpochs:
		return "", fmt.Errorf("holds %d keys, the most there may be; begin a new one", MaxEpochs)
	}
	text += "\n" + keyLine(now.UTC().Format(time.RFC3339))
	if announce {
		text += " " + waiting
	}
	return text + "\n", nil
}

// ReadKeys reads a file made by NewKey or RotateKey, of any use but pseudonyms. Errors
// never quote it.
func ReadKeys(path string) (Keys, error) {
	k, err := ReadPseudonymKeys(path)
	if err == nil {
		err = k.whole()
	}
	if err != nil {
		return Keys{}, err
	}
	return k, nil
}

// ReadKey reads the one key of a file made by NewKey, for what cannot change its
// key.
func ReadKey(path string) ([]byte, error) {
	keys, err := ReadKeys(path)
	if err != nil {
		return nil, err
	}
	if len(keys.Epochs) > 1 {
		return nil, errors.New("holds several keys, and this use has one for good")
	}
	return keys.Epochs[0], nil
}

var errNoKey = errors.New("is not a key made by `gatehouse keys new`")

func parseKeys(text string) (Keys, error) {
	var k Keys
	for line := range strings.Lines(strings.TrimSpace(text)) {
		if len(k.Epochs) == MaxEpochs {
			return Keys{}, fmt.Errorf("holds more than %d keys", MaxEpochs)
		}
		if k.waits() {
			return Keys{}, errors.New("has a key after the one that waits (next); only the last may wait")
		}
		if err := k.add(strings.TrimSpace(line)); err != nil {
			return Keys{}, err
		}
	}
	if len(k.Epochs) == 0 {
		return Keys{}, errNoKey
	}
	if k.Dropped[k.Writes] {
		return Keys{}, errors.New("has no key that writes")
	}
	return k, nil
}

func (k *Keys) add(line string) error {
	words := strings.Split(line, " ")
	if strings.HasPrefix(words[0], "gatehouse-key-v") && words[0]+" " != keyPrefix {
		return errNewerKey
	}
	if len(words) < 2 || words[0]+" " != keyPrefix {
		return errNoKey
	}
	key, err := base64.StdEncoding.Strict().DecodeString(words[1])
	if err != nil || len(key) != KeySize {
		return errNoKey
	}
	if bytes.Count(key, key[:1]) == KeySize {
		return errors.New("holds no random key")
	}
	if slices.ContainsFunc(k.Epochs, func(old []byte) bool { return bytes.Equal(old, key) }) {
		return errors.New("holds a key twice")
	}
	k.Epochs = append(k.Epochs, key)
	rest, made := words[2:], ""
	if len(rest) > 0 && rest[0] != waiting && rest[0] != dropped {
		if _, err := time.Parse(time.RFC3339, rest[0]); err != nil {
			return errNoKey
		}
		made, rest = rest[0], rest[1:]
	}
	k.Made = append(k.Made, made)
	gone := len(rest) == 1 && rest[0] == dropped
	k.Dropped = append(k.Dropped, gone)
	switch {
	case gone: // the last one never is, see parseKeys
	case len(rest) == 0:
		k.Writes = len(k.Epochs) - 1
	case len(rest) > 1 || rest[0] != waiting || len(k.Epochs) == 1:
		return errNoKey
	}
	return nil
}
