package wire

import "strings"

// Plan is a set of member paths to look for. It is made once, never changes
// and may be used by many goroutines.
type Plan struct{ root *node }

// node is a place in a document that paths lead through or to.
type node struct {
	name     string
	key      uint64
	path     int32   // the path that ends here, or -1
	each     int32   // the path that ends at each element of an array here, or -1
	element  *node   // what is wanted of each element, if the value is an array; nil for nothing
	children []*node // hashed by key, with gaps; nil for none
	shift    uint8   // 64 - log2(len(children))
}

// NewPlan makes a plan of dotted paths such as "subject.reference". An array on
// the way is transparent: each of its elements is visited. An array at the end
// is one hit, or, if the path ends in "[]", one hit for each element.
// It panics on a bad path, since plans are program text.
func NewPlan(paths ...string) *Plan {
	root := &node{path: -1, each: -1}
	for i, path := range paths {
		dotted, each := strings.CutSuffix(path, "[]")
		at := root
		for name := range strings.SplitSeq(dotted, ".") {
			if name == "" || strings.ContainsAny(name, "[]\"\\") {
				panic("wire: bad path " + path)
			}
			at = at.grow(name)
		}
		end := &at.path
		if each {
			end = &at.each
		}
		if *end >= 0 {
			panic("wire: path given twice: " + path)
		}
		*end = int32(i)
	}
	root.hash()
	return &Plan{root}
}

// grow is the child of that name, made if there is none.
func (n *node) grow(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	c := &node{name: name, key: key([]byte(name), 0, len(name)), path: -1, each: -1}
	n.children = append(n.children, c)
	return c
}

// hash lays the children out for find and makes the element nodes.
func (n *node) hash() {
	list := n.children
	n.children, n.shift = nil, 64
	if len(list) > 0 {
		for n.shift = 62; 1<<(64-n.shift) < 2*len(list); n.shift-- {
		}
		n.children = make([]*node, 1<<(64-n.shift))
	}
	for _, c := range list {
		c.hash()
		slot := spread(c.key) >> n.shift
		for n.children[slot] != nil {
			slot = (slot + 1) % uint64(len(n.children))
		}
		n.children[slot] = c
	}
	if len(list) == 0 && n.each < 0 {
		return
	}
	n.element = &node{path: n.each, each: n.each, children: n.children, shift: n.shift}
	n.element.element = n.element // an array in an array is transparent too
}

// find is the child of that name, or nil.
func (n *node) find(key uint64, name []byte) *node {
	mask := uint64(len(n.children) - 1)
	for slot := spread(key) >> n.shift; ; slot++ {
		c := n.children[slot&mask]
		if c == nil || c.key == key && c.name == string(name) {
			return c
		}
	}
}
