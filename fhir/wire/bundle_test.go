package wire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// drain reads a Bundle to its end and returns its entries and envelope.
func drain(r io.Reader, l Limits) (entries []string, members []Member, err error) {
	b := NewBundle(r, l)
	for {
		entry, err := b.Next()
		if err != nil {
			return entries, b.Members(), err
		}
		entries = append(entries, string(entry))
	}
}

func TestBundle(t *testing.T) {
	late := `"x":"` + strings.Repeat("y", 64<<10) + `"`
	for _, c := range []struct{ name, doc, entries, members, why string }{
		{"plain", `{"resourceType":"Bundle","total":1,"entry":[{"a":1}]}`, `{"a":1}`, `resourceType="Bundle" total=1`, ""},
		{"entry before link", `{"resourceType":"Bundle","entry":[{"a":1} , {"b":[]}],"link":[{"url":"u"}], "total":12 } ` + "\n", `{"a":1} {"b":[]}`, `resourceType="Bundle" link=[{"url":"u"}] total=12`, ""},
		{"resourceType late", `{"entry":[{"a":1}],"total":1,"resourceType":"Bundle"}`, `{"a":1}`, `total=1 resourceType="Bundle"`, ""},
		{"resourceType escaped", `{"resourceType":"B\u0075ndle"}`, "", `resourceType="B\u0075ndle"`, ""},
		{"no entry", `{"resourceType":"Bundle"}`, "", `resourceType="Bundle"`, ""},
		{"no entries", `{"resourceType":"Bundle","entry":[ ]}`, "", `resourceType="Bundle"`, ""},
		{"resourceType too late", `{` + late + `,"resourceType":"Bundle"}`, "", "", "no resourceType near the start"},
		{"no resourceType", `{"entry":[{"a":1}]}`, "", "", "no resourceType near the start"},
		{"empty object", `{}`, "", "", "unexpected character"},
		{"another resource", `{"resourceType":"List","entry":[{"a":1}]}`, "", "", "not a Bundle"},
		{"resourceType is no string", `{"resourceType":["Bundle"]}`, "", "", "not a Bundle"},
		{"not an object", `[{"a":1}]`, "", "", "unexpected character"},
		{"empty", ` `, "", "", "unexpected end"},
		{"byte order mark", "\xef\xbb\xbf" + `{"resourceType":"Bundle"}`, "", "", "unexpected character"},
		{"trailing bytes", `{"resourceType":"Bundle","entry":[{"a":1}]}{}`, `{"a":1}`, `resourceType="Bundle"`, "bytes after the end"},
		{"trailing NUL", `{"resourceType":"Bundle"}` + "\x00", "", `resourceType="Bundle"`, "bytes after the end"},
		{"duplicate member", `{"resourceType":"Bundle","total":1,"total":2}`, "", `resourceType="Bundle" total=1`, "duplicate member name"},
		{"duplicate resourceType", `{"resourceType":"Bundle","resourceType":"Bundle"}`, "", `resourceType="Bundle"`, "duplicate member name"},
		{"duplicate entry", `{"resourceType":"Bundle","entry":[{"a":1}],"entry":[{"b":1}]}`, `{"a":1}`, `resourceType="Bundle"`, "duplicate member name"},
		{"escaped entry", `{"resourceType":"Bundle","\u0065ntry":[{"a":1}]}`, "", `resourceType="Bundle"`, "escape in a member name"},
		{"entry is null", `{"resourceType":"Bundle","entry":null}`, "", `resourceType="Bundle"`, "entry is not an array of objects"},
		{"entry is an object", `{"resourceType":"Bundle","entry":{"a":1}}`, "", `resourceType="Bundle"`, "entry is not an array of objects"},
		{"entry of strings", `{"resourceType":"Bundle","entry":["a"]}`, "", `resourceType="Bundle"`, "entry is not an array of objects"},
		{"no comma", `{"resourceType":"Bundle","entry":[{"a":1}{"b":1}]}`, `{"a":1}`, `resourceType="Bundle"`, "unexpected character"},
		{"comma last", `{"resourceType":"Bundle","entry":[{"a":1},]}`, `{"a":1}`, `resourceType="Bundle"`, "entry is not an array of objects"},
		{"comma last in envelope", `{"resourceType":"Bundle",}`, "", `resourceType="Bundle"`, "unexpected character"},
		{"bad entry", `{"resourceType":"Bundle","entry":[{"a":1},{"a":01}]}`, `{"a":1}`, `resourceType="Bundle"`, "unexpected character"},
		{"too deep", `{"resourceType":"Bundle","entry":[{"a":` + strings.Repeat("[", 510) + strings.Repeat("]", 510) + `}]}`, "", `resourceType="Bundle"`, "nested too deeply"},
		{"number cut by the end", `{"resourceType":"Bundle","total":1`, "", `resourceType="Bundle"`, "unexpected end"},
	} {
		entries, members, err := drain(strings.NewReader(c.doc), Limits{})
		why := ""
		if err != io.EOF {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%s: got %v, want an *Error", c.name, err)
			}
			why = e.Reason
		}
		if got := strings.Join(entries, " "); got != c.entries || why != c.why {
			t.Errorf("%s: got %q, %q, want %q, %q", c.name, got, why, c.entries, c.why)
		}
		if got := show(members); got != c.members {
			t.Errorf("%s: got members %s, want %s", c.name, got, c.members)
		}
	}
}

func show(members []Member) string {
	var list []string
	for _, m := range members {
		list = append(list, m.Name+"="+string(m.Value))
	}
	return strings.Join(list, " ")
}

// TestTruncated: no piece cut off a Bundle ends well, however it comes in.
func TestTruncated(t *testing.T) {
	doc := page(3)
	for n := range len(doc) {
		_, _, err := drain(bytes.NewReader(doc[:n]), Limits{})
		var e *Error
		if !errors.As(err, &e) || e.Reason != reasons[truncated] {
			t.Fatalf("cut at %d: got %v", n, err)
		}
	}
	_, _, err := drain(io.MultiReader(bytes.NewReader(doc[:500]), iotest.ErrReader(io.ErrUnexpectedEOF)), Limits{})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("broken connection: got %v", err)
	}
	_, _, err = drain(io.MultiReader(bytes.NewReader(doc), iotest.ErrReader(io.ErrUnexpectedEOF)), Limits{})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("connection broken behind the end: got %v", err)
	}
}

// TestErrorStays: after an error a Bundle gives nothing more.
func TestErrorStays(t *testing.T) {
	b := NewBundle(strings.NewReader(`{"resourceType":"Bundle","entry":[1,{"a":1}]}`), Limits{})
	for range 3 {
		if entry, err := b.Next(); entry != nil || err == nil || err == io.EOF {
			t.Fatalf("got %q, %v", entry, err)
		}
	}
}

func TestLimits(t *testing.T) {
	doc := `{"resourceType":"Bundle","link":"0123456789","entry":[{"a":"0123456789"}],"total":1}`
	for _, c := range []struct {
		limits Limits
		why    string
	}{
		{Limits{}, "EOF"},
		{Limits{Entry: 42, Head: 24, Total: int64(len(doc))}, "EOF"},
		{Limits{Entry: 17}, "longer than the limit"},
		{Limits{Entry: 41}, "longer than the limit"},
		{Limits{Head: 23}, "no resourceType near the start"},
		{Limits{Total: int64(len(doc)) - 1}, "longer than the limit"},
	} {
		for _, r := range []io.Reader{strings.NewReader(doc), iotest.OneByteReader(strings.NewReader(doc)), iotest.DataErrReader(strings.NewReader(doc))} {
			_, _, err := drain(r, c.limits)
			if !strings.Contains(err.Error(), c.why) {
				t.Errorf("%+v: got %v, want %s", c.limits, err, c.why)
			}
		}
	}
}

// TestEndless: what never ends is given up within the limits.
func TestEndless(t *testing.T) {
	for _, head := range []string{``, `{"resourceType":"Bundle"`, `{"resourceType":"Bundle","entry":[{"a":"`, `{"resourceType":"Bundle","x":"`, `{"resourceType":"Bundle","x":`} {
		for _, c := range []byte(" [{a1,") {
			r := io.MultiReader(strings.NewReader(head), repeat(c))
			if _, _, err := drain(r, Limits{Entry: 1 << 16, Total: 1 << 20}); err == nil || err == io.EOF {
				t.Errorf("%q and %q without end: got %v", head, c, err)
			}
		}
	}
}

type repeat byte

func (c repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

// FuzzBundle: however a document is cut into reads it gives the same, and it
// ends well only if the whole is what Skim accepts.
func FuzzBundle(f *testing.F) {
	for _, s := range messy {
		f.Add([]byte(s), uint64(1))
	}
	f.Add(page(3), uint64(2))
	f.Add(indented(page(2)), uint64(3))
	f.Fuzz(holdBundle)
}

var envelope = NewPlan("resourceType", "entry", "entry[]")

func holdBundle(t *testing.T, doc []byte, seed uint64) {
	whole, members, err := drain(bytes.NewReader(doc), Limits{})
	want, ok := wantEntries(doc)
	if (err == io.EOF) != ok {
		t.Fatalf("%q: ended with %v, want well: %v", doc, err, ok)
	}
	if ok && !slices.Equal(whole, want) {
		t.Fatalf("%q: got entries %q, want %q", doc, whole, want)
	}
	for _, r := range []io.Reader{iotest.OneByteReader(bytes.NewReader(doc)), iotest.DataErrReader(bytes.NewReader(doc)), &chunks{doc, rand.New(rand.NewPCG(seed, 0))}} {
		got, more, again := drain(r, Limits{})
		if !slices.Equal(got, whole) || show(more) != show(members) || (again == io.EOF) != ok {
			t.Fatalf("%q in pieces: got %q, %v, want %q, %v", doc, got, again, whole, err)
		}
	}
}

// wantEntries is what a Bundle holds by way of Skim.
func wantEntries(doc []byte) (entries []string, ok bool) {
	hits, err := envelope.Skim(doc, nil)
	if err != nil {
		return nil, false
	}
	typed := false
	for _, h := range hits {
		value := doc[h.Start:h.End]
		switch {
		case h.Path == 0 && h.Group == 0:
			typed = Equal(value, "Bundle")
		case h.Path == 1 && value[0] != '[':
			return nil, false
		case h.Path == 2:
			if value[0] != '{' {
				return nil, false
			}
			entries = append(entries, string(value))
		}
	}
	return entries, typed
}

// chunks gives a document in pieces of any size.
type chunks struct {
	rest []byte
	r    *rand.Rand
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest[:min(len(c.rest), c.r.IntN(40))])
	c.rest = c.rest[n:]
	return n, nil
}

// TestNextEntry: hits are offsets into the entry, whatever was read before it and
// whatever mold it fits.
func TestNextEntry(t *testing.T) {
	p := NewPlan("resource.id", "search.mode")
	b := NewBundle(iotest.OneByteReader(bytes.NewReader(page(20))), Limits{})
	for n := 0; ; n++ {
		entry, err := b.NextEntry(p)
		if err == io.EOF && n == 20 {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got := entry.Hits(nil)
		want, err := p.Skim(entry.Raw, nil)
		if err != nil || !slices.Equal(got, want) || len(got) != 2 {
			t.Fatalf("entry %d: got %v, want %v", n, got, want)
		}
		b.Learn()
	}
}

// TestFlat: memory does not grow with the Bundle.
func TestFlat(t *testing.T) {
	entry := strings.Repeat(`{"resource":`+resource(rand.New(rand.NewPCG(1, 1)), "a")+`},`, 64)
	parts := []io.Reader{strings.NewReader(`{"resourceType":"Bundle","entry":[`)}
	for range 1000 {
		parts = append(parts, strings.NewReader(entry))
	}
	parts = append(parts, strings.NewReader(`{}]}`))
	b := NewBundle(io.MultiReader(parts...), Limits{})
	n := 0
	for _, err := b.Next(); err != io.EOF; _, err = b.Next() {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if size := cap(b.in.buf); n != 64001 || size > 128<<10 {
		t.Errorf("got %d entries with a buffer of %d bytes, want 64001 with 128 KiB", n, size)
	}
}

// TestReset: a reused reader knows nothing of the Bundle before, and the
// members that it gave stay.
func TestReset(t *testing.T) {
	b := NewBundle(strings.NewReader(`{"resourceType":"Bundle","total":7,"entry":[{"a":1},{"a":2}`), Limits{Entry: 100})
	for range 3 {
		b.Next()
	}
	total := b.Member("total")
	b.Reset(strings.NewReader(`{"resourceType":"Bundle","id":"x","entry":[{"b":1}]}`), Limits{})
	entry, err := b.Next()
	if string(entry) != `{"b":1}` || err != nil || show(b.Members()) != `resourceType="Bundle" id="x"` || string(total) != "7" {
		t.Errorf("got %s, %v, %s, %s", entry, err, show(b.Members()), total)
	}
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		text string
		max  int64
		want []string
		why  string
	}{
		{"", 9, nil, "EOF"},
		{"{}", 9, []string{"{}"}, "EOF"},
		{"{\"a\":1}\r\n\n \n{}\n", 9, []string{`{"a":1}`, `{}`}, "EOF"},
		{"{}\n123456789\n", 9, []string{"{}", "123456789"}, "EOF"},
		{"{}\n1234567890\n{}", 9, []string{"{}"}, "JSON at byte 3: longer than the limit"},
		{"{}\n" + strings.Repeat("x", 1<<20), 9, []string{"{}"}, "JSON at byte 3: longer than the limit"},
		{"\u0085{}\n", 9, []string{"\u0085{}"}, "EOF"},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.text), iotest.OneByteReader(strings.NewReader(c.text)), iotest.DataErrReader(strings.NewReader(c.text))} {
			l := NewLines(r, c.max)
			var got []string
			line, err := l.Next()
			for ; err == nil; line, err = l.Next() {
				got = append(got, string(line))
			}
			if !slices.Equal(got, c.want) || err.Error() != c.why {
				t.Errorf("%.20q: got %q, %v, want %q, %s", c.text, got, err, c.want, c.why)
			}
		}
	}
	l := NewLines(io.MultiReader(strings.NewReader("{}\n{\"a\""), iotest.ErrReader(io.ErrUnexpectedEOF)), 99)
	l.Next()
	if _, err := l.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("broken connection: got %v", err)
	}
}
