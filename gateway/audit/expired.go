package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// What is left of a segment that expired is a signed note, expired/00000001:
//
//	gatehouse audit expired v1
//	<origin>
//	<segment> <first index> <records> <time>
//	<HMAC-SHA-256 of these lines, base64>
//
// The signature tells an auditor with the public key that the log itself let the
// records go; the HMAC tells the same to a reader with the audit key.
const expiredHead = "gatehouse audit expired v1"

func expiredPath(dir string, segment uint64) string {
	return filepath.Join(dir, "expired", fmt.Sprintf("%08d", segment))
}

func (e Expired) text(origin string) string {
	return fmt.Sprintf("%s\n%s\n%d %d %d %s\n", expiredHead, origin, e.Segment, e.First, e.Records, e.At.UTC().Format(time.RFC3339))
}

func expiredMAC(key []byte, text string) string {
	m := hmac.New(sha256.New, derive(key, "expired"))
	io.WriteString(m, text)
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func (e Expired) sign(origin string, key []byte, s note.Signer) ([]byte, error) {
	text := e.text(origin)
	b, err := note.Sign(&note.Note{Text: text + expiredMAC(key[:masterLen], text) + "\n"}, s)
	if err != nil {
		return nil, fmt.Errorf("sign what expired: %w", err)
	}
	return b, nil
}

// proof tells whether the text of a note is the log's, and which.
type proof func(b []byte) (text string, err error)

func bySignature(v note.Verifier) proof {
	return func(b []byte) (string, error) {
		n, err := note.Open(b, note.VerifierList(v))
		if err != nil {
			return "", err
		}
		return n.Text, nil
	}
}

func byMAC(key []byte) proof {
	return func(b []byte) (string, error) {
		text, _, ok := strings.Cut(string(b), "\n\n")
		at := strings.LastIndexByte(text, '\n') + 1
		for k := key; ok && len(k) >= masterLen; k = k[masterLen:] {
			if hmac.Equal([]byte(text[at:]), []byte(expiredMAC(k[:masterLen], text[:at]))) {
				return text + "\n", nil
			}
		}
		return "", errors.New("it is not of this log")
	}
}

// unproven takes the note's word: for messages alone.
func unproven(b []byte) (string, error) {
	text, _, _ := strings.Cut(string(b), "\n\n")
	return text + "\n", nil
}

// Expired is what has expired from the log that r reads, by the log's own notes.
func (r *Reader) Expired() (Gaps, error) {
	origin, err := OriginOf(r.dir)
	if err != nil {
		return nil, err
	}
	return expiredOf(r.dir, origin, byMAC(r.key))
}

// expiredOf lists what has expired from the log of an origin in dir, in order.
func expiredOf(dir, origin string, proven proof) ([]Expired, error) {
	files, err := os.ReadDir(filepath.Join(dir, "expired"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list what expired: %w", err)
	}
	var all []Expired
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".tmp") {
			continue
		}
		path := filepath.Join(dir, "expired", f.Name())
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read what expired: %w", err)
		}
		e, err := parseExpired(b, origin, proven)
		if err != nil || path != expiredPath(dir, e.Segment) {
			return nil, fmt.Errorf("%s does not say what expired: %w", path, err)
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Expired) int { return int(a.First - b.First) })
	return all, nil
}

func parseExpired(b []byte, origin string, proven proof) (e Expired, err error) {
	text, err := proven(b)
	if err != nil {
		return e, err
	}
	lines := strings.Split(text, "\n")
	if lines[0] != expiredHead && strings.HasPrefix(lines[0], expiredHead[:len(expiredHead)-1]) {
		return e, errNewer
	}
	if len(lines) < 4 || lines[0] != expiredHead || origin != "" && lines[1] != origin {
		return e, errors.New("it does not read as one")
	}
	var at string
	if _, err := fmt.Sscanf(lines[2], "%d %d %d %s", &e.Segment, &e.First, &e.Records, &at); err != nil {
		return e, err
	}
	e.At, err = time.Parse(time.RFC3339, at)
	if err == nil && (e.First < 0 || e.Records < 1) {
		err = errors.New("it does not read as one")
	}
	return e, err
}

// Gaps are the records that have expired.
type Gaps []Expired

// Bridge tells whether all records from one index up to another have expired.
func (g Gaps) Bridge(from, to int64) bool { return g.past(from) >= to }

// Before counts those before an index.
func (g Gaps) Before(index int64) (n int64) {
	for _, e := range g {
		n += max(0, min(e.Records, index-e.First))
	}
	return n
}

// past is the first index from index on that has not expired.
func (g Gaps) past(index int64) int64 {
	for _, e := range g {
		if e.First <= index && index < e.First+e.Records {
			index = e.First + e.Records
		}
	}
	return index
}
