package wire

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// wide is an object of n members whose names are alike at both ends.
func wide(n int, last string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		fmt.Fprintf(&b, `"extension%07dextension":0,`, i)
	}
	return b.String() + fmt.Sprintf("%q:0}", last)
}

// TestWideObjects: a duplicate is found wherever it stands, and looking for it
// costs no quadratic time.
func TestWideObjects(t *testing.T) {
	plan := NewPlan("a.x")
	for _, n := range []int{1, 2, 31, 32, 33, 34, 100, 100_000} {
		for _, twin := range []int{-1, 0, n / 2, n - 1} {
			name := "b"
			if twin >= 0 {
				name = fmt.Sprintf("extension%07dextension", twin)
			}
			doc := []byte(`{"a":` + wide(n, name) + `}`)
			start := time.Now()
			_, err := plan.Skim(doc, nil)
			if (err != nil) != (twin >= 0) {
				t.Errorf("skim of %d members, twin %d: got %v", n, twin, err)
			}
			if err := new(Tree).Parse(doc); (err != nil) != (twin >= 0) {
				t.Errorf("tree of %d members, twin %d: got %v", n, twin, err)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%d members took %v", n, took)
			}
		}
	}
}

// TestNoAllocation: neither skim nor tree allocates once its memory is there.
func TestNoAllocation(t *testing.T) {
	doc := page(10)
	var tree Tree
	var edits Edits
	var hits []Hit
	var out []byte
	run := func() {
		hits, _ = facts.Skim(doc, hits[:0])
		tree.Parse(doc)
		edits.Reset(&tree)
		edits.Remove(3)
		edits.Append(0, "x", []byte("1"))
		edits.Prune()
		out = edits.Apply(out[:0])
	}
	run()
	if n := testing.AllocsPerRun(10, run); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// TestDense: a body of many tiny values is refused before it takes twelve
// times its size in memory.
func TestDense(t *testing.T) {
	doc := []byte("[" + strings.Repeat("1,", maxValues) + "1]")
	if err := new(Tree).Parse(doc); err == nil || !strings.Contains(err.Error(), reasons[tooMany]) {
		t.Errorf("tree: got %v", err)
	}
	if _, err := NewPlan("a", "b").Skim(doc, nil); err != nil {
		t.Errorf("skim of nothing in it: got %v", err)
	}
	doc = append([]byte(`{"a":`), append(doc, '}')...)
	if _, err := NewPlan("a[]").Skim(doc, nil); err == nil || !strings.Contains(err.Error(), reasons[tooMany]) {
		t.Errorf("skim: got %v", err)
	}
}

// TestErrors: an error says where and why, and quotes nothing.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{`{"secret":tru3}`, "JSON at byte 13: unexpected character"},
		{`{"secret":1,"secret":2}`, "JSON at byte 13: duplicate member name"},
		{`{"secre\u0074":1}`, "JSON at byte 7: escape in a member name"},
		{`["secret`, "JSON at byte 8: unexpected end"},
		{`[1] x`, "JSON at byte 4: bytes after the end"},
		{`["\ud800"]`, "JSON at byte 2: lone surrogate in a string"},
		{"[\"a\xff\"]", "JSON at byte 2: invalid UTF-8 in a string"},
		{"[\"a\n\"]", "JSON at byte 3: control character in a string"},
		{`["\q"]`, "JSON at byte 3: invalid escape in a string"},
		{strings.Repeat("[", 513), "JSON at byte 512: nested too deeply"},
	} {
		tree := Tree{}
		if err := tree.Parse([]byte(c.doc)); err == nil || err.Error() != c.want || len(tree.Nodes) != 0 {
			t.Errorf("tree of %s: got %v, want %s", c.doc, err, c.want)
		}
		if _, err := NewPlan("a").Skim([]byte(c.doc), nil); err == nil || err.Error() != c.want {
			t.Errorf("skim of %s: got %v, want %s", c.doc, err, c.want)
		}
	}
}

func TestPlan(t *testing.T) {
	for _, c := range []struct{ doc, paths, want string }{
		{`{"a":{"b":1}}`, "a.b", "0 1 0"},
		{`{"a":{"b":1}}`, "a a.b", `0 {"b":1} 0; 1 1 0`},
		{`{"a":[{"b":1},{"b":2,"c":3}]}`, "a.b a.c", "0 1 1; 0 2 2; 1 3 2"},
		{`{"a":[{"b":[{"c":1}]},{"b":[{"c":2},{"c":3}]}]}`, "a.b.c", "0 1 2; 0 2 4; 0 3 5"},
		{`{"a":[1,2]}`, "a", "0 [1,2] 0"},
		{`{"a":[1,2]}`, "a[]", "0 1 1; 0 2 2"},
		{`{"a":[1,{"b":2}]}`, "a a[] a.b", `0 [1,{"b":2}] 0; 1 1 1; 1 {"b":2} 2; 2 2 2`},
		{`{"a":1}`, "a.b a[]", ""},
		{`[{"a":1}]`, "a", "0 1 1"},
		{`{"A":1,"ſ":2,"a ":3}`, "a s", ""},
		{`{"medicationCodeableConcept":1,"medicationReference":2}`, "medicationReference medicationCodeableConcept", "1 1 0; 0 2 0"},
	} {
		hits, err := NewPlan(strings.Fields(c.paths)...).Skim([]byte(c.doc), nil)
		var got []string
		for _, h := range hits {
			got = append(got, fmt.Sprintf("%d %s %d", h.Path, c.doc[h.Start:h.End], h.Group))
		}
		if strings.Join(got, "; ") != c.want || err != nil {
			t.Errorf("%s in %s: got %v, %v, want %s", c.paths, c.doc, got, err, c.want)
		}
	}
}

func TestBadPlans(t *testing.T) {
	for _, paths := range [][]string{{""}, {"a."}, {".a"}, {"a..b"}, {"a[].b"}, {`a"`}, {"a", "a"}, {"a[]", "a[]"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q: no panic", paths)
				}
			}()
			NewPlan(paths...)
		}()
	}
}

// FuzzQuote: text survives quoting, and what the strict library reads from a
// string is what Unquote does.
func FuzzQuote(f *testing.F) {
	for _, s := range slices.Concat(messy, []string{"a\x00\x1f\"\\/\u2028é😀", "\xff"}) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		raw := Quote(nil, s)
		want, err := jsontext.AppendUnquote(nil, raw)
		if err != nil || string(want) != string([]rune(s)) {
			t.Fatalf("%q is quoted as %s", s, raw)
		}
		for _, raw := range []string{string(raw), s, `"` + s + `"`} {
			got, err := Unquote([]byte(raw))
			want, bad := jsontext.AppendUnquote(nil, raw)
			if (err == nil) != (bad == nil) || err == nil && (got != string(want) || !Equal([]byte(raw), got)) {
				t.Fatalf("%q: got %q, %v, want %q, %v", raw, got, err, want, bad)
			}
		}
	})
}

// TestSkimSome: hits come as Skim gives them, and no more than were asked for.
func TestSkimSome(t *testing.T) {
	p := NewPlan("a", "b.c", "d")
	const doc = `{"x":[1],"b":{"c":"two","c2":3},"a":{"in":"one"},"d":4,"b":{}}`
	all, err := p.Skim([]byte(strings.Replace(doc, `,"b":{}}`, "}", 1)), nil)
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	for n := 1; n <= 3; n++ {
		got, err := p.SkimSome([]byte(doc), nil, n)
		if err != nil || !slices.Equal(got, all[:n]) {
			t.Errorf("%d hits: got %v, %v, want %v", n, got, err, all[:n])
		}
	}
	if _, err := p.SkimSome([]byte(doc), nil, 4); err == nil {
		t.Error("a name that comes twice was not seen")
	}
	if got, err := p.SkimSome([]byte(`{"a":1}`), nil, 2); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}
