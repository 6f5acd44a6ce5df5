package wire

import (
	"bytes"
	"io"
)

// Limits bound what a Bundle reader holds in memory. Zero takes the default,
// except Total, where it means no limit.
type Limits struct {
	Entry int64 // bytes of one entry, and of all members beside the entries together; 8 MiB
	Head  int64 // bytes within which resourceType must have been told; 64 KiB
	Total int64 // bytes of the document
}

// maxMembers bounds the members of the envelope; FHIR defines nine.
const maxMembers = 64

// Member is a member of a Bundle's envelope, its value as it stood.
type Member struct {
	Name  string
	Value []byte
}

// Bundle reads a Bundle of any length, one entry in memory at a time. Members
// may come in any order.
type Bundle struct {
	in      input
	limits  Limits
	members []Member
	size    int64 // of the members
	began   bool
	first   bool // the next value is the first of its container
	entries bool // reading inside entry
	seen    bool // entry has been met
	err     error
	entry   Entry // the last
	molds   molds
}

// NewBundle reads a Bundle from r.
func NewBundle(r io.Reader, l Limits) *Bundle {
	b := new(Bundle)
	b.Reset(r, l)
	return b
}

// Reset begins another Bundle with the memory of this one, whose entries are
// void; its members are not.
func (b *Bundle) Reset(r io.Reader, l Limits) {
	if l.Entry == 0 {
		l.Entry = 8 << 20
	}
	if l.Head == 0 {
		l.Head = 64 << 10
	}
	*b = Bundle{in: input{r: r, buf: b.in.buf[:0], total: l.Total}, limits: l, entry: b.entry, molds: b.molds}
	b.molds.reset()
}

// Next is the next element of entry, checked like Plan.Skim does with no
// paths. It is valid until the next call. The error is io.EOF when the whole
// document has been read and was well formed, an *Error if it was not or if it
// broke a limit, or else the reader's. An error stays.
func (b *Bundle) Next() ([]byte, error) {
	e, err := b.NextEntry(nothing)
	if err != nil {
		return nil, err
	}
	return e.Raw, nil
}

var nothing = NewPlan()

// NextEntry is Next and, in the same pass, a Skim of the entry with p, but where
// the entry fits a mold: its hits are then those of the plan that this was made with.
func (b *Bundle) NextEntry(p *Plan) (*Entry, error) {
	if b.err != nil {
		return nil, b.err
	}
	if b.err = b.seek(); b.err != nil {
		return nil, b.err
	}
	e := &b.entry
	start, end, err := b.in.read(b.limits.Entry, func(doc []byte, i int) (end int, f fault) {
		if doc[i] != '{' {
			return i, badEntry
		}
		if e.Mold, e.Changed, end = b.molds.find(doc, i, e.Changed); e.Mold != nil {
			return end, none
		}
		s := skim{doc: doc[i:], hits: e.hits[:0]}
		end, f = s.value(0, 2, p.root, 0)
		e.hits = s.hits
		return i + end, f
	})
	if err != nil {
		b.err = err
		return nil, err
	}
	e.Raw = b.in.buf[start:end]
	return e, nil
}

// Member is a member of the envelope, without its entries, as far as it has
// been read: nil if it has not (yet) come.
func (b *Bundle) Member(name string) []byte {
	for _, m := range b.members {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

// Members are the members of the envelope so far, without its entries, in
// document order.
func (b *Bundle) Members() []Member { return b.members }

// seek reads up to the next entry, or to the end of the document.
func (b *Bundle) seek() error {
	if !b.began {
		if err := b.begin(); err != nil {
			return err
		}
	}
	for {
		if b.entries {
			more, err := b.more(']')
			if err != nil || more {
				return err
			}
			b.entries = false
			continue
		}
		more, err := b.more('}')
		if err != nil {
			return err
		}
		if !more {
			return b.in.end()
		}
		if err := b.member(); err != nil {
			return err
		}
	}
}

// begin reads the opening brace and makes sure that this is a Bundle.
func (b *Bundle) begin() error {
	b.began, b.first = true, true
	c, err := b.in.peek()
	if err != nil {
		return err
	}
	if c != '{' {
		return b.in.fault(badSyntax)
	}
	b.in.at++
	for {
		window := b.in.buf[b.in.at:]
		full := int64(len(window)) >= b.limits.Head-1
		if full {
			window = window[:b.limits.Head-1]
		}
		kind, f := findType(window)
		switch {
		case f == truncated && full:
			return b.in.fault(lateType)
		case f == truncated:
			if err := b.in.more(); err != nil {
				return err
			}
		case f != none:
			return b.in.fault(f)
		case !Equal(kind, "Bundle"):
			return b.in.fault(notBundle)
		default:
			return nil
		}
	}
}

// findType is the resourceType of an object that begins behind its brace.
func findType(doc []byte) ([]byte, fault) {
	i := space(doc, 0)
	for {
		start, end, value, f := scanName(doc, i)
		if f != none {
			return nil, f
		}
		if i, f = skip(doc, value, 1); f != none {
			return nil, f
		}
		if string(doc[start:end]) == "resourceType" {
			return doc[value:i], none
		}
		i = space(doc, i)
		switch at(doc, i) {
		case ',':
			i = space(doc, i+1)
		case '}':
			return nil, lateType
		default:
			return nil, unexpected(doc, i)
		}
	}
}

// more steps to the next value of a container, or over its closing bracket.
func (b *Bundle) more(closer byte) (bool, error) {
	c, err := b.in.peek()
	if err != nil {
		return false, err
	}
	first := b.first
	b.first = false
	if c == closer {
		b.in.at++
		return false, nil
	}
	if first {
		return true, nil
	}
	if c != ',' {
		return false, b.in.fault(badSyntax)
	}
	b.in.at++
	_, err = b.in.peek()
	return true, err
}

// member reads one member of the envelope, or the bracket that opens entry.
func (b *Bundle) member() error {
	var from, to int
	_, end, err := b.in.read(b.limits.Entry, func(doc []byte, i int) (int, fault) {
		var value int
		var f fault
		from, to, value, f = scanName(doc, i)
		return value, f
	})
	if err != nil {
		return err
	}
	name := string(b.in.buf[from:to])
	if b.Member(name) != nil || name == "entry" && b.seen {
		return b.in.fault(duplicateName)
	}
	b.in.at = end
	if name == "entry" {
		return b.open()
	}
	start, end, err := b.in.read(b.limits.Entry, func(doc []byte, i int) (int, fault) { return skip(doc, i, 1) })
	if err != nil {
		return err
	}
	if b.size += int64(end - start + len(name)); b.size > b.limits.Entry {
		return b.in.fault(tooLong)
	}
	if len(b.members) == maxMembers {
		return b.in.fault(tooMany)
	}
	b.members = append(b.members, Member{name, bytes.Clone(b.in.buf[start:end])})
	return nil
}

func (b *Bundle) open() error {
	c, err := b.in.peek()
	if err != nil {
		return err
	}
	if c != '[' {
		return b.in.fault(badEntry)
	}
	b.in.at++
	b.seen, b.entries, b.first = true, true, true
	return nil
}
