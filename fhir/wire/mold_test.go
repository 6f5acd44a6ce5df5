package wire

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
)

// holdMold: an entry that fits the mold of another is one that the skim accepts,
// with the same hits, and all its scalars but those that changed are as they were.
func holdMold(t *testing.T, first, second []byte) (fits bool) {
	hits, err := plan.Skim(first, nil)
	if err != nil || len(first) == 0 || first[0] != '{' || first[len(first)-1] != '}' {
		return false
	}
	m := Mold{doc: first, hits: hits, scalars: scalarsOf(first, nil)}
	within := append([]byte("  "), second...)
	end, changed, ok := m.follow(append(within, ",{"...), 2, nil)
	if !ok {
		if bytes.Equal(first, second) {
			t.Fatalf("%q does not fit itself", first)
		}
		return false
	}
	raw := within[2:end]
	want, err := plan.Skim(raw, nil)
	if err != nil {
		t.Fatalf("%q fits %q: %v", raw, first, err)
	}
	e := Entry{Raw: raw, Mold: &m, Changed: changed}
	if got := e.Hits(nil); !slices.Equal(got, want) {
		t.Fatalf("%q by %q: got %v, want %v", raw, first, got, want)
	}
	holdScalars(t, &e, scalarsOf(raw, nil))
	return true
}

func holdScalars(t *testing.T, e *Entry, want []span) {
	if len(want) != len(e.Mold.scalars) {
		t.Fatalf("%q by %q: %d scalars, want %d", e.Raw, e.Mold.doc, len(e.Mold.scalars), len(want))
	}
	left := e.Changed
	for i, in := range e.Mold.scalars {
		got := span{e.At(in.start), e.At(in.end)}
		if got != want[i] {
			t.Fatalf("%q by %q: scalar %d is at %v, want %v", e.Raw, e.Mold.doc, i, got, want[i])
		}
		if len(left) > 0 && left[0].Scalar == i {
			if left[0].Start != want[i].start || left[0].End != want[i].end {
				t.Fatalf("%q by %q: change %v, want %v", e.Raw, e.Mold.doc, left[0], want[i])
			}
			left = left[1:]
		} else if !bytes.Equal(got.of(e.Raw), in.of(e.Mold.doc)) {
			t.Fatalf("%q by %q: scalar %d has changed unseen", e.Raw, e.Mold.doc, i)
		}
	}
}

var molded = []struct {
	first, second string
	fits          bool
}{
	{`{"a":1}`, `{"a":1}`, true},
	{`{"a":1}`, `{"a":12}`, true},
	{`{"a":12}`, `{"a":1}`, true},
	{`{"a":1.5}`, `{"a":"x"}`, true},
	{`{"a":1,"b":2}`, `{"a":null,"b":-2e9}`, true},
	{`{"a":""}`, `{"a":"\""}`, true},
	{`{"a":"x\"y"}`, `{"a":"x\\"}`, true},
	{`{"a":"b","c":"d"}`, `{"a":"b\",","c":"d"}`, true},
	{`{"a":[1,2]}`, `{"a":[1,2,3]}`, false},
	{`{"a":[1]}`, `{"a":[]}`, false},
	{`{"a":1}`, `{"a":{}}`, false},
	{`{"a":1}`, `{"a":[1]}`, false},
	{`{"a":1}`, `{"b":1}`, false},
	{`{"a":1,"b":2}`, `{"a":1,"a":2}`, false},
	{`{"a":1}`, `{"a" :1}`, false},
	{`{"a":1}`, `{"a":1`, false},
	{`{"a":1}`, `{"a":01}`, false},
	{`{"a":1}`, `{"a":1.}`, false},
	{`{"a":"x"}`, "{\"a\":\"\xff\"}", false},
	{`{"a":"x"}`, `{"a":"\ud800"}`, false},
	{`{"a":"x"}`, "{\"a\":\"\n\"}", false},
	{`{"a":"é"}`, "{\"a\":\"\xc3\"}", false},
	{`{"a":"é"}`, `{"a":"è"}`, true},
}

func TestMold(t *testing.T) {
	for _, c := range molded {
		if got := holdMold(t, []byte(c.first), []byte(c.second)); got != c.fits {
			t.Errorf("%s by %s: fits: %v, want %v", c.second, c.first, got, c.fits)
		}
	}
}

// TestMoldMutations spoils a good entry as TestMutations does.
func TestMoldMutations(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const spoilers = "{}[]\":,\\ \n\t\x00\x1f0129.eE+-/u'ab\x80\xc3\xe2\xed\xf0\xff"
	fits := 0
	for range 20000 {
		first := []byte(resource(r, "a-1"))
		second := bytes.Clone(first)
		for range 1 + r.IntN(3) {
			at, c := r.IntN(len(second)), spoilers[r.IntN(len(spoilers))]
			if r.IntN(2) == 0 {
				second = slices.Insert(second, at, c)
			} else {
				second[at] = c
			}
		}
		if holdMold(t, first, second) {
			fits++
		}
	}
	if fits < 1000 {
		t.Errorf("%d fit: too few to tell", fits)
	}
}

func FuzzMold(f *testing.F) {
	for _, c := range molded {
		f.Add([]byte(c.first), []byte(c.second))
	}
	f.Add([]byte(resource(rand.New(rand.NewPCG(1, 1)), "a")), []byte(resource(rand.New(rand.NewPCG(1, 1)), "bcd")))
	f.Fuzz(func(t *testing.T, first, second []byte) { holdMold(t, first, second) })
}

// Entries of many forms are read all the same, and forms that do not come again
// are no longer made molds of.
func TestMoldsOfABundle(t *testing.T) {
	var doc bytes.Buffer
	doc.WriteString(`{"resourceType":"Bundle","entry":[`)
	const count = 200
	for i := range count {
		if i > 0 {
			doc.WriteByte(',')
		}
		fmt.Fprintf(&doc, `{"id":"%d","m%d":1}`, i, i%(1+i/20))
	}
	doc.WriteString(`]}`)
	b := NewBundle(&doc, Limits{})
	for i := range count {
		e, err := b.NextEntry(plan)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`{"id":"%d","m%d":1}`, i, i%(1+i/20)); string(e.Raw) != want {
			t.Fatalf("got %s, want %s", e.Raw, want)
		}
		if hits := e.Hits(nil); len(hits) != 1 || string(e.Raw[hits[0].Start:hits[0].End]) != fmt.Sprintf(`"%d"`, i) {
			t.Fatalf("entry %d: hits %v", i, hits)
		}
		if e.Mold != nil && e.Mold.Memo != i%(1+i/20) {
			t.Fatalf("entry %d: the memo is %v", i, e.Mold.Memo)
		}
		if m := b.Learn(); m != nil {
			m.Memo = i % (1 + i/20)
		}
	}
	if _, err := b.NextEntry(plan); err != io.EOF {
		t.Fatal(err)
	}
	if b.molds.credit > 0 {
		t.Errorf("credit %d: forms that never came again were still tried", b.molds.credit)
	}
}
