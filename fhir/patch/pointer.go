package patch

import (
	"errors"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"gatehouse/fhir/wire"
)

// pointer is a JSON Pointer (RFC 6901), unescaped.
type pointer []string

var errNoPlace = errors.New("there is nothing at the path")

func member(t *wire.Tree, node int, name string) (pointer, error) {
	i := t.Get(node, name)
	if i < 0 || t.Nodes[i].Kind != wire.String {
		return nil, errors.New("it needs a " + name)
	}
	text := t.Text(i)
	if text == "" {
		return pointer{}, nil
	}
	if text[0] != '/' {
		return nil, errors.New("a path begins with /")
	}
	p := pointer(strings.Split(text[1:], "/"))
	for i, s := range p {
		if rest := strings.ReplaceAll(strings.ReplaceAll(s, "~0", ""), "~1", ""); strings.Contains(rest, "~") {
			return nil, errors.New("in a path ~ is written ~0, and / is written ~1")
		}
		p[i] = strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
	}
	return p, nil
}

// within tells whether p is below q, or q itself.
func (p pointer) within(q pointer) bool { return len(p) >= len(q) && slices.Equal(p[:len(q)], q) }

// find is the node that the pointer names.
func (p pointer) find(t *wire.Tree) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	parent, last, err := p.parent(t)
	if err != nil {
		return 0, err
	}
	if t.Nodes[parent].Kind == wire.Array {
		return index(t, parent, last, false)
	}
	if i := t.Get(parent, last); i >= 0 {
		return i, nil
	}
	return 0, errNoPlace
}

// parent is the object or list that the last part of the pointer stands in.
func (p pointer) parent(t *wire.Tree) (node int, last string, err error) {
	if node, err = p[:len(p)-1].find(t); err != nil {
		return 0, "", err
	}
	if k := t.Nodes[node].Kind; k != wire.Object && k != wire.Array {
		return 0, "", errNoPlace
	}
	return node, p[len(p)-1], nil
}

// index is the element of a list that a part of a pointer names; -1 for the
// place after the last one, where end allows it.
func index(t *wire.Tree, list int, part string, end bool) (int, error) {
	if part == "-" && end {
		return -1, nil
	}
	n, err := strconv.Atoi(part)
	if err != nil || n < 0 || strconv.Itoa(n) != part {
		return 0, errNoPlace
	}
	for i := range t.Children(list) {
		if n == 0 {
			return i, nil
		}
		n--
	}
	if n == 0 && end {
		return -1, nil
	}
	return 0, errNoPlace
}

// equal compares as RFC 6902 §4.6 does: members in any order, numbers by value.
func equal(a *wire.Tree, i int, b *wire.Tree, j int) bool {
	if a.Nodes[i].Kind != b.Nodes[j].Kind {
		return false
	}
	switch a.Nodes[i].Kind {
	case wire.String:
		return a.Text(i) == b.Text(j)
	case wire.Number:
		return sameNumber(string(a.Raw(i)), string(b.Raw(j)))
	case wire.Object:
		return sameMembers(a, i, b, j)
	case wire.Array:
		left, right := slices.Collect(a.Children(i)), slices.Collect(b.Children(j))
		return slices.EqualFunc(left, right, func(x, y int) bool { return equal(a, x, b, y) })
	}
	return true
}

func sameMembers(a *wire.Tree, i int, b *wire.Tree, j int) bool {
	left, right := 0, 0
	for range b.Children(j) {
		right++
	}
	for x := range a.Children(i) {
		left++
		y := b.Get(j, string(a.Name(x)))
		if y < 0 || !equal(a, x, b, y) {
			return false
		}
	}
	return left == right
}

// sameNumber compares without rounding; numbers too long to be meant are
// compared by their text, since an exponent could ask for gigabytes.
func sameNumber(x, y string) bool {
	if x == y || len(x) > 64 || len(y) > 64 || strings.ContainsAny(x+y, "eE") {
		return x == y
	}
	a, ok := new(big.Rat).SetString(x)
	b, ok2 := new(big.Rat).SetString(y)
	return ok && ok2 && a.Cmp(b) == 0
}
