package wire

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// messy are documents at the edges of the grammar, good and bad.
var messy = []string{
	`{}`, `[]`, `null`, `true`, `false`, `0`, `-0`, `1.10`, `1e309`, `12345678901234567890.1234567890E-12`, `""`, ` [ 1 , 2 ] `,
	`01`, `-`, `+1`, `1.`, `.5`, `1e`, `1e+`, `0x1`, `NaN`, `Infinity`, `tru`, `truex`, `nul`, `'a'`,
	`[1,]`, `[,1]`, `[1 2]`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{"a":1 "b":2}`, `[}`, `{]`, `[1}`, `{"a":1]`, `[[]`, `]`, `{"a":1}}`, `{} {}`, `{}x`, "{}\x00", "\xef\xbb\xbf{}", "\x00", ``, ` `,
	`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"x":{"a":1,"a":2}}`, `{"":1,"":2}`, `{"":1}`, `{"subject":1,"ſubject":2}`,
	`"\ud800"`, `"\udc00"`, `"\ud83d\ude00"`, `"\ud83d\ud83d"`, `"\ud83dx"`, `"\ud83d\n"`, `"\ud83d`, `"\u12"`, `"\u123g"`, `"\x"`, `"\/\b\f\n\r\t\"\\"`, `"a\"b"`, `"\`,
	"\"\x01\"", "\"\x1f\"", "\"\x7f\"", "\"a\nb\"", "\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"é山😀\"", "{\"\xff\":1}", "\"abcdefgh\xff\"", "\"abcdefghi\"", "\"abcdefg\\\"\"", "\"éééééééé\"\n",
	"[\v1]", "[\u00a01]", "[1]\u0085", "/**/1", "1 //", "\t\r\n 1",
	`{"entry":[{"resource":{"id":"1","subject":{"reference":"Patient/1"}}},{"resource":{"id":"2","id":"3"}}]}`,
	`{"a":[[{"b":1}],{"b":[1,2]}],"id":"x"}`, `{"id":{"id":[{"id":1}]}}`, `{"a":{"b":1,"c":{"b":2,"b":2}},"a.b":3}`,
	`{"resourceType":"Bundle","entry":[{"a":1},{"b":[2]}],"total":2}`,
	`{"resourceType":"Bundle","entry":[{"a":1},{"b":[2]}`,
	`{"entry":[{"a":1}],"link":[],"resourceType":"Bundle"}`,
	`{"":{"":{"a":0,"0":0}}}`,
}

var paths = []string{"id", "a", "a.b", "a.b[]", "entry.resource.id", "entry.resource.subject.reference", "entry[]", "meta.security.code"}

// FuzzSkim (N-06, N-08) holds the skim to the strict library: the same
// documents, the same values, and duplicates refused in what it looks into.
func FuzzSkim(f *testing.F) {
	for _, s := range messy {
		f.Add([]byte(s))
	}
	f.Add(page(3))
	f.Add(indented(page(2)))
	f.Add([]byte(nested(maxDepth)))
	f.Add([]byte(nested(maxDepth + 1)))
	f.Fuzz(holdSkim)
}

var plan = NewPlan(paths...)

func holdSkim(t *testing.T, doc []byte) {
	m, valid := modelOf(doc, true)
	if _, err := nothing.Skim(doc, nil); (err == nil) != valid {
		t.Fatalf("%q: error %v, the strict library accepts: %v", doc, err, valid)
	}
	got, err := plan.Skim(doc, nil)
	var want []Hit
	if valid {
		want, valid = expectHits(m, paths)
	}
	if (err == nil) != valid {
		t.Fatalf("%q: error %v, want accepted: %v", doc, err, valid)
	}
	if err == nil && !slices.Equal(got, want) {
		t.Fatalf("%q: got %v, want %v", doc, got, want)
	}
}

// FuzzTree holds the deep walk to the strict library, duplicates at every level included.
func FuzzTree(f *testing.F) {
	for _, s := range messy {
		f.Add([]byte(s))
	}
	f.Add(page(3))
	f.Add(indented(page(2)))
	f.Add([]byte(nested(maxDepth)))
	f.Add([]byte(nested(maxDepth + 1)))
	f.Fuzz(holdTree)
}

func holdTree(t *testing.T, doc []byte) {
	m, valid := modelOf(doc, false)
	var tree Tree
	err := tree.Parse(doc)
	if (err == nil) != valid {
		t.Fatalf("%q: error %v, the strict library accepts: %v", doc, err, valid)
	}
	if err != nil {
		return
	}
	if why := differ(&tree, 0, m); why != "" {
		t.Fatalf("%q: %s", doc, why)
	}
	if next := int(tree.Nodes[0].Next); next != len(tree.Nodes) {
		t.Fatalf("%q: root ends at %d of %d nodes", doc, next, len(tree.Nodes))
	}
}

// TestMutations does in every run what the fuzzers do at leisure: it spoils a
// byte or two of a good page, with the bytes that matter to a parser.
func TestMutations(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const spoilers = "{}[]\":,\\ \n\t\x00\x1f0129.eE+-/u'ab\x80\xc3\xe2\xed\xf0\xff"
	for n := range 20000 {
		doc := []byte(messy[r.IntN(len(messy))])
		if n%4 == 0 {
			doc = []byte(resource(r, "a-1"))
		}
		for range 1 + r.IntN(2) {
			at, c := r.IntN(len(doc)+1), spoilers[r.IntN(len(spoilers))]
			if r.IntN(2) == 0 || at == len(doc) {
				doc = slices.Insert(doc, at, c)
			} else {
				doc[at] = c
			}
		}
		holdSkim(t, doc)
		holdTree(t, doc)
	}
}

// differ says where a tree is not what the model says.
func differ(t *Tree, i int, m *model) string {
	kinds := map[Kind]string{Null: "n", False: "f", True: "t", Number: "0", String: `"`, Array: "[", Object: "{"}
	if kinds[t.Nodes[i].Kind] != string(m.kind) || string(t.Raw(i)) != m.raw || t.Text(i) != m.text {
		return fmt.Sprintf("node %d is %q, want %q", i, t.Raw(i), m.raw)
	}
	if t.Nodes[i].Kind == String && t.Nodes[i].Plain == strings.Contains(m.raw, `\`) {
		return fmt.Sprintf("node %d: wrong about escapes", i)
	}
	k := 0
	for c := range t.Children(i) {
		if k == len(m.children) {
			return fmt.Sprintf("node %d has too many children", i)
		}
		if m.kind == '{' && (string(t.Name(c)) != m.names[k] || t.Get(i, m.names[k]) != c) {
			return fmt.Sprintf("node %d: name %q, want %q", c, t.Name(c), m.names[k])
		}
		if m.kind == '[' && t.Name(c) != nil {
			return fmt.Sprintf("element %d has a name", c)
		}
		if why := differ(t, c, m.children[k]); why != "" {
			return why
		}
		k++
	}
	if k < len(m.children) {
		return fmt.Sprintf("node %d has too few children", i)
	}
	return ""
}

func nested(depth int) string {
	return strings.Repeat(`[{"a":`, depth/2) + strings.Repeat("[", depth%2) + strings.Repeat("]", depth%2) + strings.Repeat("1", 1-depth%2) + strings.Repeat(`}]`, depth/2)
}
