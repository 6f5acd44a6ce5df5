package wire

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFirst(t *testing.T) {
	doc := `{"resourceType":"Bundle", "entry" :[ {"a":[1,{"b":2}]} , {"a":[{"b":"x"}]}], "total":2 } `
	p := NewPlan("entry.a.b", "total", "entry.a[]")
	hits, err := p.Skim([]byte(doc), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hits {
		t.Log(h, doc[h.Start:h.End])
	}
	var tree Tree
	if err := tree.Parse([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	var e Edits
	e.Reset(&tree)
	e.Remove(tree.Get(0, "entry"))
	e.Append(0, "x", []byte("1"))
	t.Log(string(e.Apply(nil)))
	b := NewBundle(iotest.OneByteReader(strings.NewReader(doc)), Limits{})
	for {
		x, err := b.Next()
		t.Log(string(x), err)
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			break
		}
	}
	t.Log(b.Members())
}
