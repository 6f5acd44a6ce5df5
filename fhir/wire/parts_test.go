package wire

import (
	"errors"
	"slices"
	"testing"
)

// The objects of the root's array of a name are somebody else's to read, and no others.
func TestParseParts(t *testing.T) {
	doc := []byte(`{"a":[{"x":1}],"entry":[ {"x":{"entry":[{}]}} , {"y":2},[{"z":1}],7],"b":{"entry":[{"w":1}]}}`)
	var tree, one Tree
	var got []string
	err := tree.ParseParts(doc, "entry", func(i int) (int, error) {
		if err := one.ParsePart(doc[i:]); err != nil {
			return i, err
		}
		got = append(got, string(one.Doc))
		return i + len(one.Doc), nil
	})
	if want := []string{`{"x":{"entry":[{}]}}`, `{"y":2}`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	list := tree.Get(0, "entry")
	var seen []string
	for c := range tree.Children(list) {
		seen = append(seen, string(tree.Raw(c)))
		if n := tree.Nodes[c]; n.Kind == Object && int(n.Next) != c+1 {
			t.Errorf("%s has children", tree.Raw(c))
		}
	}
	if want := []string{`{"x":{"entry":[{}]}}`, `{"y":2}`, `[{"z":1}]`, `7`}; !slices.Equal(seen, want) {
		t.Errorf("the elements are %q, want %q", seen, want)
	}
	broken := errors.New("broken")
	if err := tree.ParseParts(doc, "entry", func(int) (int, error) { return 0, broken }); err != broken || len(tree.Nodes) != 0 {
		t.Errorf("got %v and %d nodes, want the reader's error and none", err, len(tree.Nodes))
	}
	if err := tree.Parse(doc); err != nil || tree.Nodes[tree.Get(0, "entry")+1].Next == 0 {
		t.Errorf("the next document is read by itself: %v", err)
	}
	for _, bad := range []string{``, `{`, `{"a":1,"a":2}`, `]`} {
		if one.ParsePart([]byte(bad)) == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
