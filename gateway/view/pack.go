package view

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// The second character of a pseudonym: how its id is packed. They are
// associated data too, so a changed one does not open.
const (
	classUUID   = 'u' // 16 bytes: 45 characters
	classNumber = 'n' // up to 19 digits, 8 bytes: 34 characters
	classShort  = 's' // up to 22 characters, padded to 18 bytes: 48 characters
	classSix    = 'x' // 23 to 40 characters, six bits each: 48 to 64 characters
	classSixEnd = 'y' // the same, where the last three bytes hold three characters
	classStored = 'v' // longer: keyed hash, the id is in the vault
	classRandom = 'r' // random surrogate, the id is in the vault
	classText   = 't' // any text, padded; not an id
	classSealed = 'e' // any text, padded, encrypted anew each time; not an id
)

const maxPacked = 40

// pack writes an id in as few bytes as its shape allows.
func pack(id string) (class byte, packed []byte, fits bool) {
	if n, err := strconv.ParseUint(id, 10, 64); err == nil && len(id) <= 19 && (id[0] != '0' || id == "0") {
		return classNumber, binary.BigEndian.AppendUint64(nil, n), true
	}
	var u [16]byte
	if parseUUID(&u, id) && formatUUID(&u) == id {
		return classUUID, u[:], true
	}
	if len(id) > maxPacked {
		return 0, nil, false
	}
	bits := toBits(id)
	switch {
	case len(id) <= 22:
		// Padded, so that the length of a short id does not show.
		short := make([]byte, 18)
		short[0] = byte(len(id))
		copy(short[1:], bits)
		return classShort, short, true
	case len(id)%4 == 3:
		return classSixEnd, bits, true
	}
	return classSix, bits, true
}

func unpack(class byte, packed []byte) (id string, ok bool) {
	switch class {
	case classNumber:
		if len(packed) == 8 {
			return strconv.FormatUint(binary.BigEndian.Uint64(packed), 10), true
		}
	case classUUID:
		if len(packed) == 16 {
			return formatUUID((*[16]byte)(packed)), true
		}
	case classShort:
		if len(packed) == 18 && packed[0] <= 22 {
			return fromBits(packed[1:], int(packed[0])), true
		}
	case classSix:
		return fromBits(packed, len(packed)*8/6), true
	case classSixEnd:
		return fromBits(packed, len(packed)*8/6-1), true
	}
	return "", false
}

var symbolValue = func() (v [256]byte) {
	for i := range symbols {
		v[symbols[i]] = byte(i)
	}
	return v
}()

// toBits packs six bits a character, the last byte filled with zeros.
func toBits(id string) []byte {
	out := make([]byte, 0, (len(id)*6+7)/8)
	var acc uint32
	n := 0
	for i := range len(id) {
		acc, n = acc<<6|uint32(symbolValue[id[i]]), n+6
		if n >= 8 {
			n -= 8
			out = append(out, byte(acc>>n))
		}
	}
	if n > 0 {
		out = append(out, byte(acc<<(8-n)))
	}
	return out
}

func fromBits(b []byte, n int) string {
	out := make([]byte, 0, n)
	var acc uint32
	have := 0
	for i := 0; len(out) < n; {
		if have < 6 {
			acc, have, i = acc<<8|uint32(b[i]), have+8, i+1
		}
		have -= 6
		out = append(out, symbols[acc>>have&63])
	}
	return string(out)
}

// parseUUID reads 8-4-4-4-12 hexadecimal digits of either case.
func parseUUID(dst *[16]byte, s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	var digits [32]byte
	n := copy(digits[:], s[:8])
	n += copy(digits[n:], s[9:13])
	n += copy(digits[n:], s[14:18])
	n += copy(digits[n:], s[19:23])
	copy(digits[n:], s[24:])
	_, err := hex.Decode(dst[:], digits[:])
	return err == nil
}

func formatUUID(b *[16]byte) string {
	var s [36]byte
	hex.Encode(s[:8], b[:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:], b[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

// fhirID reports whether s is 1 to 64 of the symbols.
func fhirID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if symbolValue[s[i]] == 0 && s[i] != 'A' {
			return false
		}
	}
	return true
}
