package wire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// at is the node that a path of names and indexes leads to.
func (t *Tree) nodeAt(path string) int {
	i := 0
	for step := range strings.FieldsSeq(path) {
		k, err := strconv.Atoi(step)
		if err != nil {
			i = t.Get(i, step)
			continue
		}
		i = slices.Collect(t.Children(i))[k]
	}
	return i
}

func TestEdits(t *testing.T) {
	for _, c := range []struct{ doc, edits, want string }{
		{` { "a" : 1.10 , "b":[ ] } `, "", ` { "a" : 1.10 , "b":[ ] } `},
		{`{"a":1,"b":2,"c":3}`, "remove a", `{"b":2,"c":3}`},
		{`{"a":1,"b":2,"c":3}`, "remove b", `{"a":1,"c":3}`},
		{`{"a":1,"b":2,"c":3}`, "remove c", `{"a":1,"b":2}`},
		{`{"a":1,"b":2,"c":3}`, "remove a; remove b", `{"c":3}`},
		{`{"a":1,"b":2,"c":3}`, "remove c; remove a", `{"b":2}`},
		{`{"a":1,"b":2,"c":3}`, "remove b; remove c", `{"a":1}`},
		{`{"a":1,"b":2,"c":3}`, "remove c; remove b; remove a", `{}`},
		{`{"a":1,"b":2,"c":3}`, "remove b; remove b", `{"a":1,"c":3}`},
		{"{\n \"a\": 1,\n \"b\": 2\n}", "remove a", "{\n \"b\": 2\n}"},
		{"{\n \"a\": 1,\n \"b\": 2\n}", "remove b", "{\n \"a\": 1\n}"},
		{"{\n \"a\": 1\n}", "remove a", "{\n \n}"},
		{`[1,2,3]`, "remove 0; remove 2", `[2]`},
		{`[1,2,3]`, "remove 0; remove 1; element  9", `[3,9]`},
		{`[1,2,3]`, "remove 0; remove 1; remove 2; element  9; element  8", `[9,8]`},
		{`[ ]`, "element  9", `[9 ]`},
		{`{}`, "append  x 1; append  y 2", `{"x":1,"y":2}`},
		{`{"a":1}`, "remove a; append  x 1", `{"x":1}`},
		{`{"a":1,"b":2}`, "remove b; append  x 1", `{"a":1,"x":1}`},
		{`{"a":{"b":{}}}`, "append a/b x 1; append a y 2; append  z 3", `{"a":{"b":{"x":1},"y":2},"z":3}`},
		{`{"a":{"b":1},"c":2}`, "replace a/b 5; remove a", `{"c":2}`},
		{`{"a":{"b":1},"c":2}`, "remove a/b; append a x 1; replace a []", `{"a":[],"c":2}`},
		{`{"a":{"b":1},"c":2}`, "replace a 7; replace a 8; rename a z; rename a y", `{"y":8,"c":2}`},
		{`{"a":{"b":1},"c":2}`, "rename a z; remove a", `{"c":2}`},
		{`{"a":{"b":1},"c":2}`, "rename c q\"; remove a", `{"q\"":2}`},
		{`1.10`, "replace  2.20", `2.20`},
		{`{"":1,"a":[{}]}`, "remove a/0", `{"":1,"a":[]}`},
		{`{"a":{"b":1},"c":2}`, "remove a/b; prune", `{"c":2}`},
		{`{"a":[{"b":1},{"b":2,"x":{}}],"c":{}}`, "remove a/0/b; remove a/1/b; prune", `{"a":[{"x":{}}],"c":{}}`},
		{`{"a":[{"b":[1]}]}`, "remove a/0/b/0; prune", `{}`},
		{`{"a":[{"b":[1]}]}`, "remove a/0/b/0; append a/0 x 1; prune", `{"a":[{"x":1}]}`},
		{`{"a":{"b":1}}`, "remove a/b; rename a z; prune", `{}`},
		{`{"a":{"b":1}}`, "remove a/b; replace a 1; prune", `{"a":1}`},
	} {
		var tree Tree
		if err := tree.Parse([]byte(c.doc)); err != nil {
			t.Fatal(err)
		}
		var e Edits
		e.Reset(&tree)
		perform(&e, &tree, c.edits)
		if got := string(e.Apply([]byte("dst"))); got != "dst"+c.want {
			t.Errorf("%s: %s: got %s, want %s", c.doc, c.edits, got, c.want)
		}
	}
}

// perform reads "verb path argument…" separated by semicolons.
func perform(e *Edits, t *Tree, script string) {
	for line := range strings.SplitSeq(script, "; ") {
		words := append(strings.Split(line, " "), "", "", "")
		node := t.nodeAt(strings.ReplaceAll(words[1], "/", " "))
		switch words[0] {
		case "remove":
			e.Remove(node)
		case "replace":
			e.Replace(node, []byte(words[2]))
		case "rename":
			e.Rename(node, words[2])
		case "append":
			e.Append(node, words[2], []byte(words[3]))
		case "element":
			e.AppendElement(node, []byte(words[2]))
		case "prune":
			e.Prune()
		}
	}
}

// want is the plain meaning of edits, for TestEditsProperty: a description of
// each node's fate, rendered from the top.
type want struct {
	tree              *Tree
	removed           map[int]bool
	replaced, renamed map[int]string
	appended          map[int][]string
	pruned            bool
}

func (w *want) gone(i int) bool {
	if i != 0 && w.removed[i] {
		return true
	}
	n := w.tree.Nodes[i]
	_, replaced := w.replaced[i]
	if !w.pruned || i == 0 || replaced || len(w.appended[i]) > 0 || int(n.Next) == i+1 {
		return false
	}
	for c := range w.tree.Children(i) {
		if !w.gone(c) {
			return false
		}
	}
	return true
}

func (w *want) render(i int) string {
	t, n := w.tree, w.tree.Nodes[i]
	if s, ok := w.replaced[i]; ok {
		return s
	}
	if n.Kind < Array {
		return string(t.Raw(i))
	}
	out := string(t.Doc[n.Start : n.Start+1])
	end, left := n.Start+1, 0
	for c := range t.Children(i) {
		before := string(t.Doc[end:t.begin(c)])
		if c == i+1 {
			out += before
		}
		end = t.Nodes[c].End
		if w.gone(c) {
			continue
		}
		if left > 0 {
			out += before
		}
		left++
		if name, ok := w.renamed[c]; ok {
			m := t.Nodes[c]
			out += string(Quote(nil, name)) + string(t.Doc[m.NameEnd+1:m.Start])
		} else {
			out += string(t.Doc[t.begin(c):t.Nodes[c].Start])
		}
		out += w.render(c)
	}
	for _, s := range w.appended[i] {
		if left > 0 {
			out += ","
		}
		out += s
		left++
	}
	return out + string(t.Doc[end:n.End])
}

// TestEditsProperty: any edits of any document give, to the byte, what they
// mean, and the result parses.
func TestEditsProperty(t *testing.T) {
	rapid.Check(t, holdEdits)
}

func FuzzEdits(f *testing.F) { f.Fuzz(rapid.MakeFuzz(holdEdits)) }

func holdEdits(t *rapid.T) {
	doc := anySpace(t) + anyValue(t, 0) + anySpace(t)
	var tree Tree
	if err := tree.Parse([]byte(doc)); err != nil {
		t.Fatalf("%q: %v", doc, err)
	}
	var e Edits
	e.Reset(&tree)
	w := &want{tree: &tree, removed: map[int]bool{}, replaced: map[int]string{}, renamed: map[int]string{}, appended: map[int][]string{}}
	for k := range rapid.IntRange(0, 12).Draw(t, "edits") {
		anyEdit(t, &e, w, k)
	}
	if w.pruned = rapid.Bool().Draw(t, "prune"); w.pruned {
		e.Prune()
	}
	got := string(e.Apply(nil))
	root := tree.Nodes[0]
	if want := doc[:root.Start] + w.render(0) + doc[root.End:]; got != want {
		t.Fatalf("%q: got %q, want %q", doc, got, want)
	}
	if err := new(Tree).Parse([]byte(got)); err != nil {
		t.Fatalf("%q became %q: %v", doc, got, err)
	}
}

func anyEdit(t *rapid.T, e *Edits, w *want, k int) {
	i := rapid.IntRange(0, len(w.tree.Nodes)-1).Draw(t, "node")
	raw := rapid.SampledFrom([]string{`1.10`, `"x"`, `{ }`, `[1, {"a":2}]`, `null`}).Draw(t, "raw")
	name := fmt.Sprintf("new%d", k)
	switch n := w.tree.Nodes[i]; rapid.IntRange(0, 4).Draw(t, "action") {
	case 0:
		if i > 0 {
			e.Remove(i)
			w.removed[i] = true
		}
	case 1:
		e.Replace(i, []byte(raw))
		w.replaced[i] = raw
	case 2:
		if n.NameStart > 0 {
			e.Rename(i, name)
			w.renamed[i] = name
		}
	default:
		if n.Kind == Object {
			e.Append(i, name, []byte(raw))
			w.appended[i] = append(w.appended[i], string(Quote(nil, name))+":"+raw)
		} else if n.Kind == Array {
			e.AppendElement(i, []byte(raw))
			w.appended[i] = append(w.appended[i], raw)
		}
	}
}

func anySpace(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", " ", "\n    ", "\t\r\n"}).Draw(t, "space")
}

func anyValue(t *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 4).Draw(t, "kind")
	if kind < 2 || depth > 4 {
		return rapid.SampledFrom([]string{`1.10`, `-0.0e-1`, `null`, `true`, `"a,b]}"`, `"\"\\"`, `"山"`, `""`, `{}`, `[]`}).Draw(t, "scalar")
	}
	var parts []string
	for k := range rapid.IntRange(0, 4).Draw(t, "size") {
		part := anySpace(t) + anyValue(t, depth+1) + anySpace(t)
		if kind == 2 {
			part = anySpace(t) + fmt.Sprintf(`"%s%d"`, rapid.SampledFrom([]string{"", "né", "aMemberWithALongName"}).Draw(t, "name"), k) + anySpace(t) + ":" + part
		}
		parts = append(parts, part)
	}
	inside := strings.Join(parts, ",")
	if len(parts) == 0 {
		inside = anySpace(t)
	}
	if kind == 2 {
		return "{" + inside + "}"
	}
	return "[" + inside + "]"
}
