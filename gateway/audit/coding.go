package audit

import (
	"encoding/binary"
	"errors"
)

// errFormat is a sealed part that opened and does not read as a record: another
// version wrote it, or a fault in this one.
var errFormat = errors.New("record does not read as format 1")

// writer appends the fields of a record; integers are varints, texts carry
// their length.
type writer struct {
	b     []byte
	cut   bool // some text was capped
	clean bool // texts were escaped and capped before
}

func (w *writer) byte(c byte)    { w.b = append(w.b, c) }
func (w *writer) uint(n uint64)  { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) count(n int)    { w.uint(uint64(max(n, 0))) }
func (w *writer) fixed(n uint64) { w.b = binary.BigEndian.AppendUint64(w.b, n) }
func (w *writer) bool(v bool) {
	if v {
		w.byte(1)
		return
	}
	w.byte(0)
}

func (w *writer) text(s string) {
	if !w.clean {
		var cut bool
		s, cut = clean(s)
		w.cut = w.cut || cut
	}
	w.count(len(s))
	w.b = append(w.b, s...)
}

func (w *writer) raw(b []byte) {
	if len(b) > maxRaw {
		b, w.cut = b[:maxRaw], true
	}
	w.count(len(b))
	w.b = append(w.b, b...)
}

func (w *writer) list(l []string) {
	if len(l) > maxList {
		l, w.cut = l[:maxList], true
	}
	w.count(len(l))
	for _, s := range l {
		w.text(s)
	}
}

// reader reads what writer wrote; after the first fault everything reads empty
// and bad is set.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) uint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count reads the number of things that follow, each of at least one byte.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return 0
	}
	return int(n)
}

func (r *reader) fixed() uint64 {
	if p := r.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

func (r *reader) text() string { return string(r.take(r.uint())) }

func (r *reader) raw() []byte {
	p := r.take(r.uint())
	if len(p) == 0 {
		return nil
	}
	return append([]byte(nil), p...)
}

func (r *reader) list() []string {
	n := r.count()
	if n == 0 {
		return nil
	}
	l := make([]string, 0, n)
	for range n {
		l = append(l, r.text())
	}
	return l
}
